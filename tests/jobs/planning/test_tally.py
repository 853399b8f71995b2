from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from haulyard.jobs.model import LARGE, PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, Action
from haulyard.jobs.planning.rows import Page
from haulyard.jobs.planning.tally import Amount, Group, Tally
from haulyard.journal.building import ShardBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

Row = tuple[int, int, str, int]
ROWS = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.sampled_from([int(action) for action in Action]),
        st.sampled_from(["STANDARD", "GLACIER", ""]),
        st.sampled_from([-1, 0, 1, 7, LARGE, LARGE + 1, 3 * LARGE]),
    ),
    min_size=1,
    max_size=30,
)


def page(rows: Sequence[Row]) -> Page:
    full = [(action, rule, "k", "", size, 0.0, "", cls, "", 0, 0, "") for rule, action, cls, size in rows]
    groups = [(rule, action, cls) for rule, action, cls, _ in rows]
    return Page(list(full), ["k"] * len(rows), [row[3] for row in rows], groups, [], [])


def counted(rows: Sequence[Row]) -> dict[Group, Amount]:
    tally = Tally()
    tally.add_page(page(rows))
    return dict(tally.items())


@given(ROWS)
def test_amounts_are_those_of_the_rows(rows: list[Row]) -> None:
    total = Tally()
    total.add_page(page(rows))
    amount = total.amount()
    assert amount.objects == len(rows)
    assert amount.bytes == sum(max(size, 0) for *_, size in rows)
    assert amount.unknown == sum(size < 0 for *_, size in rows)
    assert amount.large == sum(size > LARGE for *_, size in rows)
    assert (amount.parts > 0) == (amount.large > 0)
    acting = [row for row in rows if row[1] == Action.ACT]
    assert total.amount(Action.ACT).objects == len(acting)


@given(ROWS, ROWS)
def test_tallies_add_up_and_survive_json(one: list[Row], other: list[Row]) -> None:
    tally = Tally()
    tally.add_page(page(one))
    tally = Tally(tally.to_json())
    second = Tally()
    second.add_page(page(other))
    tally.add(second)
    assert dict(tally.items()) == counted([*one, *other])


def test_a_shard_is_counted_like_its_pages(tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(ROWS)
    def check(rows: list[Row]) -> None:
        path = str(tmp_path_factory.mktemp("shard") / "00000.db")
        builder = ShardBuilder(path, PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS)
        builder.add(page(rows).rows)
        builder.seal()
        tally = Tally()
        tally.add_shard(path)
        assert dict(tally.items()) == counted(rows)

    check()
