from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import JobError
from haulyard.journal.log import Entry, Phases, beginning
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeShard = Callable[..., str]
    Tamper = Callable[..., None]

pytestmark = pytest.mark.anyio

_COMMITS = 5


@pytest.fixture
async def path(make_shard: MakeShard) -> str:
    """A shard with five commits, cleanly closed."""
    path = make_shard(10)
    async with Shard.open(path, owner="test") as shard:
        for item in range(1, _COMMITS + 1):
            await shard.record([item, "copied", item + 0.125, {"etag": f"'e{item}'", "é": None}])
    return path


async def test_entries_come_back_as_they_were_in_their_order(path: str) -> None:
    with Shard.open(path, owner="test", read_only=True) as shard:
        assert list(shard.entries()) == [
            Entry(item, "copied", item + 0.125, {"etag": f"'e{item}'", "é": None})
            for item in range(1, _COMMITS + 1)
        ]


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE log SET body = replace(body, 'e3', 'e9') WHERE seq = 3", "at commit 3"),
        ("UPDATE log SET body = CAST(body AS BLOB) WHERE seq = 3", "at commit 3"),
        ("UPDATE log SET body = '' WHERE seq = 1", "at commit 1"),
        ("UPDATE log SET crc = crc + 1 WHERE seq = 5", "at commit 5"),
        ("DELETE FROM log WHERE seq = 3", "at commit 3"),
        ("DELETE FROM log WHERE seq = 1", "at commit 1"),
        ("DELETE FROM log WHERE seq > 3", "after commit 3: 2 more had been written"),
        ("DELETE FROM log", "after commit 0: 5 more had been written"),
        ("UPDATE log SET seq = seq + 1 WHERE seq = 5", "at commit 5"),
        ("UPDATE log SET seq = -1 WHERE seq = 1", "at commit 1"),
        ("INSERT INTO log SELECT 6, body, crc FROM log WHERE seq = 5", "at commit 6"),
        (
            "UPDATE log SET body = (SELECT body FROM log AS o WHERE o.seq = 6 - log.seq) WHERE seq IN (2, 4)",
            "at commit 2",
        ),
        (
            "UPDATE log SET (body, crc) = (SELECT body, crc FROM log AS o WHERE o.seq = 3) WHERE seq = 2",
            "at commit 2",
        ),
        ("UPDATE meta SET value = '5:1' WHERE name = 'closed'", "in its meta row 'closed'"),
        ("DROP TABLE log", "no such table: log"),
    ],
)
async def test_any_change_is_found_and_placed(path: str, tamper: Tamper, statement: str, where: str) -> None:
    tamper(path, statement)
    with pytest.raises(JobError, match=where) as caught:
        Shard.open(path, owner="test").release()
    assert path in str(caught.value)
    assert "is damaged" in str(caught.value)
    assert caught.value.hint
    with pytest.raises(JobError, match=where), Shard.open(path, owner="test", read_only=True) as shard:
        list(shard.entries())
    with pytest.raises(JobError, match=where), Shard.open(path, owner="test", read_only=True) as shard:
        shard.last_phases()


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "{}",
        "[1]",
        "[[1]]",
        '[["1", "copied", 1, {}]]',
        '[[99, "x", 1, {}]]',
        '[[-1, "x", 1, {}]]',
        "[[1, 7, 1, {}]]",
    ],
)
async def test_a_good_chain_with_a_bad_content_is_refused_too(path: str, body: str) -> None:
    with Shard.open(path, owner="test") as shard:
        assert shard._writer
        link = shard._writer.link.next(body)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO log VALUES (?, ?, ?)", (link.seq, body, link.crc))
    with (
        pytest.raises(JobError, match=f"is damaged at commit {link.seq}"),
        Shard.open(path, owner="test", read_only=True) as shard,
    ):
        shard.last_phases()


async def test_what_was_read_before_the_damage_is_good(path: str, tamper: Tamper) -> None:
    async with Shard.open(path, owner="test") as shard:
        for _ in range(100):
            await shard.record([6, "copied", 1.0, {}])
    tamper(path, "UPDATE log SET crc = 0 WHERE seq = 100")
    read: list[Entry] = []
    with (
        Shard.open(path, owner="test", read_only=True) as shard,
        pytest.raises(JobError, match="at commit 100"),
    ):
        read.extend(shard.entries())
    assert [entry.item for entry in read[:6]] == [1, 2, 3, 4, 5, 6]


async def test_a_later_run_goes_on_with_the_chain(path: str) -> None:
    async with Shard.open(path, owner="test") as shard:
        await shard.record([7, "done", 1.0, {}])
    async with Shard.open(path, owner="test") as shard:
        assert [entry.item for entry in shard.entries()] == [1, 2, 3, 4, 5, 7]


async def test_the_last_phase_of_each_item_is_what_counts(path: str) -> None:
    async with Shard.open(path, owner="test") as shard:
        await shard.record(
            [0, "begun", 1.0, {}], [2, "done", 1.0, {}], [3, "failed", 1.0, {}], [3, "done", 1.0, {}]
        )
        phases = shard.last_phases()
    assert dict(phases) == {0: "begun", 1: "copied", 2: "done", 3: "done", 4: "copied", 5: "copied"}
    assert phases.counts() == {"": 5, "copied": 3, "done": 2}
    assert phases.get(9) is None
    assert phases.get(11) is None
    assert phases.get(-1) is None
    assert len(phases) == 6
    assert 9 not in phases


def test_phases_take_a_byte_a_row() -> None:
    phases = Phases(100_000)
    phases.take([[n, f"phase {n}", 0.0, {}] for n in range(1, 256)])
    assert len(phases.codes) == 100_001
    with pytest.raises(ValueError, match="one too many"):
        phases.take([[1, "one too many", 0.0, {}]])


def test_a_chain_depends_on_number_body_and_all_before() -> None:
    one, other = beginning("x").next("a"), beginning("x").next("b")
    assert one != beginning("y").next("a")
    assert one.crc != other.crc
    assert one.next("c").crc != other.next("c").crc
    assert one.next("a").crc != one.crc
