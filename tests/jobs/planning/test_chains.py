from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from haulyard.jobs.planning.chains import SCHEMA, arrange


def starts(*operations: tuple[str, str]) -> dict[str, int]:
    """Return the first wave of each destination that takes part and can be reached."""
    with closing(sqlite3.connect("", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE op(place, key, version, destination, rank)")
        connection.executescript(SCHEMA)
        ranks: dict[str, int] = {}
        for place, (key, destination) in enumerate(operations):
            rank = ranks[destination] = ranks.get(destination, -1) + 1
            connection.execute("INSERT INTO op VALUES (?, ?, '', ?, ?)", (place, key, destination, rank))
        arrange(connection)
        return dict(connection.execute("SELECT name, wave FROM start ORDER BY name").fetchall())


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        # Nobody waits.
        ([("a", "b"), ("c", "d")], {}),
        # An object that stays in its place.
        ([("a", "a"), ("b", "c")], {}),
        ([("a", "b"), ("b", "c")], {"c": 0, "b": 1}),
        ([("c", "d"), ("a", "b"), ("b", "c")], {"d": 0, "c": 1, "b": 2}),
        # Two chains.
        ([("a", "b"), ("b", "c"), ("m", "n"), ("n", "o")], {"c": 0, "b": 1, "o": 0, "n": 1}),
        # A collision in the middle of a chain: b waits for both, for the second as well.
        ([("x", "c"), ("b", "c"), ("a", "b")], {"c": 0, "b": 2}),
        ([("b", "c"), ("x", "c"), ("a", "b")], {"c": 0, "b": 1}),
        # A swap, a longer circle, and what hangs from them; the chain beside them goes its way.
        ([("a", "b"), ("b", "a")], {}),
        (
            [("a", "b"), ("b", "c"), ("c", "a"), ("z", "c"), ("y", "z"), ("m", "n"), ("n", "o")],
            {"o": 0, "n": 1},
        ),
    ],
)
def test_groups_start_after_what_they_wait_for(
    operations: list[tuple[str, str]], expected: dict[str, int]
) -> None:
    assert starts(*operations) == expected


def test_the_length_of_a_chain_costs_no_more_than_its_operations() -> None:
    # Followed link by link from the outside this would be 50,000 rounds.
    count = 50_000
    waves = starts(*((f"{n:06}", f"{n + 1:06}") for n in range(count)))
    assert waves == {f"{n:06}": count - n for n in range(1, count + 1)}
