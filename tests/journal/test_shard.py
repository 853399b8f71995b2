from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import JobError
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeShard = Callable[..., str]
    Tamper = Callable[..., None]

pytestmark = pytest.mark.anyio

_HOLD = """
import sys
from haulyard.journal.shard import Shard
shard = Shard.open(sys.argv[1], owner="haul apply photos")
shard.note([1, "copied", 1.0, {}])
print("open", flush=True)
sys.stdin.read()
"""
_READ = """
import sys
from haulyard.journal.shard import Shard
with Shard.open(sys.argv[1], owner="haul status", read_only=True) as shard:
    print(sum(map(len, shard.rows())), len(list(shard.entries())))
"""


def _reader(path: str) -> Shard:
    return Shard.open(path, owner="test", read_only=True)


@pytest.mark.parametrize("after", range(12))
async def test_rows_after_an_id_are_exactly_those(make_shard: MakeShard, after: int) -> None:
    with _reader(make_shard(10, batch=4)) as shard:
        pages = list(shard.rows(after))
        assert [row[0] for page in pages for row in page] == list(range(after + 1, 11))
        assert all(pages)


async def test_a_condition_saves_rows(make_shard: MakeShard) -> None:
    with _reader(make_shard(10, batch=4)) as shard:
        pages = list(shard.rows(where="note = 'third' AND size > 30"))
        assert pages == [[(6, "key/6", 60, 3.0, "third")], [(9, "key/9", 90, 4.5, "third")]]
        assert list(shard.rows(6, "note = 'third'")) == pages[1:]


async def test_a_row_is_found_by_its_id(make_shard: MakeShard) -> None:
    with _reader(make_shard(10, batch=4)) as shard:
        assert [shard.row(item)[0] for item in range(1, 11)] == list(range(1, 11))
        for absent in (0, 11, -1):
            with pytest.raises(JobError, match=f"has no row {absent}"):
                shard.row(absent)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE op SET key = 'key/66' WHERE id = 6",
        "UPDATE op SET size = CASE id WHEN 5 THEN 60 ELSE 50 END WHERE id IN (5, 6)",
        "UPDATE op SET at = 2.25 WHERE id = 5",
        "UPDATE op SET note = '' WHERE id = 5",
        "UPDATE op SET size = 'x' WHERE id = 5",
        "UPDATE op SET size = 50.5 WHERE id = 5",
        "UPDATE op SET key = CAST(key AS BLOB) WHERE id = 5",
        "UPDATE op SET key = CAST(x'ff' AS TEXT) WHERE id = 5",
        "UPDATE seal SET crc = 1 WHERE first = 5",
        "UPDATE seal SET last = 7 WHERE first = 5",
        "DELETE FROM seal WHERE first = 5",
        "DELETE FROM op WHERE id = 8",
        "DELETE FROM op WHERE id BETWEEN 5 AND 8",
        "UPDATE op SET id = 100 WHERE id = 8",
        "UPDATE seal SET crc = (SELECT o.crc FROM seal AS o WHERE o.first = 1) WHERE first = 5",
    ],
)
async def test_a_tampered_batch_is_never_yielded_and_its_rows_are_named(
    make_shard: MakeShard, tamper: Tamper, statement: str
) -> None:
    path = make_shard(10, batch=4)
    tamper(path, statement)
    for where in ("", "id = 7"):
        got: list[tuple[Any, ...]] = []
        with _reader(path) as shard, pytest.raises(JobError, match="is damaged") as caught:
            got.extend(row for page in shard.rows(where=where) for row in page)
        assert not {row[0] for row in got} & {5, 6, 7, 8}
        assert path in str(caught.value)
    with _reader(path) as shard:
        assert shard.row(2)[0] == 2
        with pytest.raises(JobError, match="is damaged"):
            shard.row(7)


async def test_rows_and_seal_missing_at_the_end_are_noticed(make_shard: MakeShard, tamper: Tamper) -> None:
    path = make_shard(10, batch=4)
    tamper(path, "DELETE FROM op WHERE id > 8", "DELETE FROM seal WHERE first > 8")
    with _reader(path) as shard, pytest.raises(JobError, match="no seal for the rows from 9 on"):
        list(shard.rows())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = '9' WHERE name = 'rows'",
        "DELETE FROM meta WHERE name = 'rows'",
        "DROP TABLE meta",
        "UPDATE meta SET value = '2', crc = 0 WHERE name = 'format'",
        "DROP TABLE op",
    ],
)
async def test_a_shard_whose_frame_is_damaged_does_not_open(
    make_shard: MakeShard, tamper: Tamper, statement: str
) -> None:
    path = make_shard()
    tamper(path, statement)
    for read_only in (True, False):
        with pytest.raises(JobError, match="is damaged"):
            Shard.open(path, owner="test", read_only=read_only)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 4095, 4096, 8192, 12288])
async def test_a_cut_file_is_refused_and_left_as_it_is(
    make_shard: MakeShard, size: int, read_only: bool
) -> None:
    path = make_shard(1000, batch=1000)
    os.truncate(path, size)
    with (
        pytest.raises(JobError, match="is damaged"),
        Shard.open(path, owner="test", read_only=read_only) as shard,
    ):
        list(shard.rows())
    assert os.path.getsize(path) == size


@pytest.mark.parametrize("read_only", [True, False])
async def test_what_is_no_database_is_refused(make_shard: MakeShard, read_only: bool) -> None:
    path = make_shard()
    with open(path, "r+b") as file:
        file.write(b"x" * 4096)
    with pytest.raises(JobError, match="is damaged"):
        Shard.open(path, owner="test", read_only=read_only)


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_missing_file_is_said_and_not_made(tmp_path: Path, read_only: bool) -> None:
    path = str(tmp_path / "00007.db")
    with pytest.raises(JobError, match=r"00007\.db is missing"):
        Shard.open(path, owner="test", read_only=read_only)
    assert not os.path.exists(path)


async def test_no_byte_of_the_plan_can_change_unnoticed(make_shard: MakeShard) -> None:
    path = make_shard(10, batch=4)
    with _reader(path) as shard:
        whole = list(shard.rows())
    with open(path, "rb") as file:
        content = file.read()
    for position in range(0, len(content), 101):
        changed = bytearray(content)
        changed[position] ^= 0x10
        with open(path, "wb") as file:
            file.write(changed)
        try:
            with _reader(path) as shard:
                assert list(shard.rows()) == whole
        except JobError:
            pass


async def test_a_second_process_is_told_by_whom_it_is_locked_out_and_may_read(make_shard: MakeShard) -> None:
    path = make_shard()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "open\n"
        with pytest.raises(
            JobError, match=rf"00000\.db is locked by process {child.pid} .*\(haul apply photos"
        ):
            Shard.open(path, owner="test")
        holder = Shard.holder(path)
        assert holder
        assert holder.pid == child.pid
        with _reader(path) as shard:
            assert len(list(shard.rows())) == 3
        child.kill()
    assert Shard.holder(path) is None
    Shard.open(path, owner="test").release()


async def test_a_reader_sees_what_a_writer_has_recorded_meanwhile(make_shard: MakeShard) -> None:
    path = make_shard()
    async with Shard.open(path, owner="test") as shard:
        with _reader(path) as reader:
            assert list(reader.entries()) == []
            await shard.record([1, "copied", 1.0, {}])
            assert len(list(reader.entries())) == 1
            entries = reader.entries()
            next(entries)
            await shard.record([2, "copied", 1.0, {}])
            assert len(list(reader.entries())) == 2


async def test_a_reader_neither_locks_nor_writes(make_shard: MakeShard) -> None:
    path = make_shard()
    with _reader(path) as shard:
        assert Shard.holder(path) is None
        with pytest.raises(JobError, match="is not open for work"):
            await shard.record([1, "copied", 1.0, {}])
        with pytest.raises(JobError, match="is not open for work"):
            shard.note([1, "copied", 1.0, {}])
    assert os.listdir(os.path.dirname(path)) == ["00000.db"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("worked_on", [False, True])
async def test_a_shard_in_a_directory_that_may_not_be_written_is_read(
    make_shard: MakeShard, tmp_path: Path, worked_on: bool
) -> None:
    path = make_shard()
    if worked_on:
        async with Shard.open(path, owner="test") as shard:
            await shard.record([1, "copied", 1.0, {}])
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == 0 and directory.name:
            directory.chmod(directory.stat().st_mode | 0o055)
    os.chmod(path, 0o444)
    read = _READ.replace(
        "import sys", "import os, sys; from haulyard.journal.shard import Shard; os.setuid(65534)", 1
    )
    done = subprocess.run([sys.executable, "-c", read, path], capture_output=True, text=True, check=False)
    assert done.stdout == f"10 {int(worked_on)}\n", done.stderr


async def test_a_tally_holds_until_more_is_recorded(make_shard: MakeShard) -> None:
    path = make_shard()
    async with Shard.open(path, owner="test") as shard:
        assert shard.tally() is None
        shard.note([1, "done", 1.0, {}])
        await shard.finish({"done": 1, "bytes": 10})
        assert shard.tally() == {"done": 1, "bytes": 10}
    with _reader(path) as shard:
        assert shard.tally() == {"done": 1, "bytes": 10}
    async with Shard.open(path, owner="test") as shard:
        assert shard.tally() == {"done": 1, "bytes": 10}
        await shard.record([1, "undone", 1.0, {}])
        assert shard.tally() is None
        await shard.finish({"undone": 1})
    with _reader(path) as shard:
        assert shard.tally() == {"undone": 1}


async def test_a_shard_without_entries_can_be_finished(make_shard: MakeShard) -> None:
    path = make_shard()
    async with Shard.open(path, owner="test") as shard:
        await shard.finish({})
        assert shard.tally() == {}


async def test_a_tampered_tally_is_refused(make_shard: MakeShard, tamper: Tamper) -> None:
    path = make_shard()
    async with Shard.open(path, owner="test") as shard:
        await shard.finish({"done": 1})
    tamper(path, "UPDATE meta SET value = '{\"done\":2}' WHERE name = 'tally'")
    with pytest.raises(JobError, match="is damaged in its meta row 'tally'"):
        _reader(path)


async def test_reading_a_closed_shard_is_no_damage(make_shard: MakeShard) -> None:
    shard = _reader(make_shard())
    shard.release()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        list(shard.rows())


async def test_a_closed_shard_is_one_file_and_free(make_shard: MakeShard) -> None:
    path = make_shard()
    shard = Shard.open(path, owner="test")
    await shard.record([1, "copied", 1.0, {}])
    await shard.close()
    await shard.close()
    assert sorted(os.listdir(os.path.dirname(path))) == ["00000.db", "00000.db.lock"]
    with pytest.raises(JobError, match="is not open for work"):
        await shard.record([1, "done", 1.0, {}])
    Shard.open(path, owner="test").release()


async def test_the_error_that_ends_a_block_is_not_hidden_by_that_of_closing(make_shard: MakeShard) -> None:
    path = make_shard()
    shard = Shard.open(path, owner="test")
    assert shard._writer
    shard._writer._connection.execute("PRAGMA query_only=1")
    shard.note([1, "copied", 1.0, {}])
    # No error of its own, for another one is on its way; a block that went well hears of it.
    await shard.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert Shard.holder(path) is None
