"""What a crash leaves, and what a broken disk makes of it: a prefix of the commits, or a refusal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import JobError
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakeShard = Callable[..., str]

pytestmark = pytest.mark.anyio

_WAL_HEADER = 32
_FRAME = 24 + 4096
_COMMITS = 12

_RECORD = """
import asyncio, sys
from haulyard.journal.shard import Shard

async def main():
    shard = Shard.open(sys.argv[1], owner="child")
    async def work(first):
        for item in range(first, 1001, 8):
            await shard.record([item, "copied", 1.0, {"etag": "x" * 30}])
            print(item, flush=True)
            shard.note([item, "done", 1.0, {}])
    await asyncio.gather(*(work(first) for first in range(1, 9)))
asyncio.run(main())
"""


def _items(path: str) -> list[int]:
    with Shard.open(path, owner="test", read_only=True) as shard:
        return [entry.item for entry in shard.entries()]


@pytest.fixture
async def crashed(make_shard: MakeShard, tmp_path: Path) -> str:
    """A shard as a crash leaves it: twelve commits, all of them in the WAL only, some over several pages."""
    path = make_shard(10)
    copy = tmp_path / "crashed"
    copy.mkdir()
    async with Shard.open(path, owner="test") as shard:
        for item in range(1, _COMMITS + 1):
            await shard.record([item % 10, "copied", float(item), {"etag": "x" * (2000 * (item % 4))}])
        for name in ("00000.db", "00000.db-wal"):
            shutil.copy(tmp_path / name, copy)
    return str(copy / "00000.db")


def _commits(path: str) -> list[float]:
    with Shard.open(path, owner="test") as shard:
        return [entry.at for entry in shard.entries()]


def _copies(path: str, tmp_path: Path) -> Iterator[str]:
    while True:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(os.path.dirname(path), copy)
        yield str(copy / "00000.db")


async def test_a_reader_and_a_writer_recover_what_a_crash_left(crashed: str) -> None:
    whole = [float(item) for item in range(1, _COMMITS + 1)]
    with Shard.open(crashed, owner="test", read_only=True) as shard:
        assert [entry.at for entry in shard.entries()] == whole
    assert _commits(crashed) == whole


async def test_a_wal_cut_anywhere_is_a_prefix_of_the_commits(crashed: str, tmp_path: Path) -> None:
    size = os.path.getsize(crashed + "-wal")
    frames = range(_WAL_HEADER, size + 1, _FRAME)
    cuts = {
        0,
        1,
        _WAL_HEADER - 1,
        *frames,
        *(end - 1 for end in frames),
        *(end + 12 for end in frames),
        *(end + 2000 for end in frames),
    }
    lengths = []
    copies = _copies(crashed, tmp_path)
    for cut in sorted(cut for cut in cuts if cut <= size):
        path = next(copies)
        os.truncate(path + "-wal", cut)
        commits = _commits(path)
        assert commits == [float(item) for item in range(1, len(commits) + 1)]
        lengths.append(len(commits))
    assert lengths == sorted(lengths)
    assert set(lengths) == set(range(_COMMITS + 1))


async def test_a_wal_with_a_changed_byte_is_a_prefix_or_refused(crashed: str, tmp_path: Path) -> None:
    copies = _copies(crashed, tmp_path)
    seen = set()
    for position in range(0, os.path.getsize(crashed + "-wal"), 1999):
        path = next(copies)
        with open(path + "-wal", "r+b") as file:
            file.seek(position)
            byte = file.read(1)
            file.seek(position)
            file.write(bytes([byte[0] ^ 0x40]))
        try:
            commits = _commits(path)
        except JobError:
            continue
        assert commits == [float(item) for item in range(1, len(commits) + 1)]
        seen.add(len(commits))
    assert len(seen) > 3


async def test_a_wal_of_another_shard_is_not_taken_for_this_one_s(
    crashed: str, make_shard: MakeShard, tmp_path: Path
) -> None:
    other = make_shard(10, name="other.db")
    async with Shard.open(other, owner="test") as shard:
        for item in range(1, 4):
            await shard.record([item, "other", 1.0, {}])
        shutil.copy(other + "-wal", crashed + "-wal")
    with pytest.raises(JobError, match="is damaged at commit 1"):
        _commits(crashed)


async def test_a_disk_that_is_really_full_loses_nothing_that_was_acknowledged(make_shard: MakeShard) -> None:
    path = make_shard(1000, batch=1000)
    limited = _RECORD.replace("import asyncio, sys", "import asyncio, resource, sys").replace(
        'owner="child")', 'owner="child")\n    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))'
    )
    done = subprocess.run([sys.executable, "-c", limited, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "JobError: the journal" in done.stderr
    assert "cannot be written" in done.stderr
    acknowledged = {int(line) for line in done.stdout.split()}
    assert 0 < len(acknowledged) < 1000
    async with Shard.open(path, owner="test") as shard:
        assert acknowledged <= set(shard.last_phases())
        await shard.record([1, "done", 2.0, {}])


async def test_recording_goes_on_after_a_torn_end(crashed: str) -> None:
    os.truncate(crashed + "-wal", os.path.getsize(crashed + "-wal") - 100)
    async with Shard.open(crashed, owner="test") as shard:
        await shard.record([5, "done", 99.0, {}])
    assert _commits(crashed) == [*(float(item) for item in range(1, _COMMITS)), 99.0]


@pytest.mark.parametrize("after", [1, 17, 100, 333])
async def test_what_was_acknowledged_survives_a_kill(make_shard: MakeShard, after: int) -> None:
    path = make_shard(1000, batch=1000)
    acknowledged = []
    with subprocess.Popen([sys.executable, "-c", _RECORD, path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) == after:
                child.kill()
    assert len(acknowledged) >= after
    read_only = _items(path)
    async with Shard.open(path, owner="test") as shard:
        phases = shard.last_phases()
        assert _items(path) == read_only
        assert all(phases.get(item) in {"copied", "done"} for item in acknowledged)
        # Of what was not acknowledged, at most what was under way at that moment is there.
        assert len(phases) - len(set(acknowledged)) <= 8
        await shard.record([1, "done", 2.0, {}])
