"""A job folder as a broken disk, or a helping hand, leaves it: refused or recovered, never guessed.

The job was killed half-way. Whatever is then done to its files, at no moment is an object lost, and the next
`apply` ends in one of three ways:

completed  the store and the journal have the right state
refused    nothing was done, and the damaged file is named
named      the journal forgot what had been done already: each such object is named as gone from its source,
           and everything is where it has to be
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.crash.jobs.model import CASES, compare
from tests.crash.jobs.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.crash.jobs.buckets import Bucket, QuickBucket
    from tests.crash.jobs.model import Objects
    from tests.crash.jobs.program import Done, Haul

_WAL_HEADER = 32
_FRAME = 24 + 4096
_SHARD = "shards/00000.db"
_ORDERED = "shards/ordered-00000.db"


class Torn:
    """The job as it was killed, and the bucket at that moment."""

    def __init__(self, rounds: Rounds, point: str) -> None:
        self.rounds = rounds
        self.haul = rounds.haul
        rounds.bucket.fill(rounds.case.before)
        self.haul.restore("begun")
        assert self.haul(*rounds.apply, point=point).was_killed
        self.haul.keep("torn")
        self.objects: Objects = rounds.bucket.read()

    def again(self, damage: Callable[[Path], object]) -> str:
        """Lay out what the kill left, damage it, apply, and check; return how it ended."""
        rounds = self.rounds
        rounds.bucket.fill(self.objects)
        self.haul.restore("torn")
        damage(self.haul.job)
        done = self.haul(*rounds.apply)
        found = rounds.bucket.read()
        rounds.case.check_between(found)
        if done.code == 0:
            rounds.check_applied()
            return "completed"
        if done.code == 1:
            self._check_names(done, found)
            return "named"
        assert done.code == 2, done.err
        assert str(self.haul.job.parent) in done.err, done.err
        assert found == self.objects
        return "refused"

    def _check_names(self, done: Done, found: Objects) -> None:
        compare(found, self.rounds.case.after)
        moved = {source for source, _ in self.rounds.case.moves} - self.objects.keys()
        named = {
            line.strip().partition(" is gone since")[0].removeprefix(f"s3://{self.rounds.bucket.name}/")
            for line in done.err.splitlines()
            if line.startswith("  s3://")
        }
        assert named
        assert named <= moved

    def size(self, name: str) -> int:
        return (self.haul.cwd / "torn" / name).stat().st_size


@pytest.fixture
def rounds(quick: QuickBucket, make_haul: Callable[[Bucket], Haul]) -> Rounds:
    rounds = Rounds(make_haul(quick), quick, CASES["move"])
    rounds.prepare()
    return rounds


def cut_off(job: Path, at: int) -> None:
    os.truncate(job / f"{_SHARD}-wal", at)


def flip(job: Path, name: str, at: int) -> None:
    with (job / name).open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0x40]))


def test_a_log_that_was_cut_off_anywhere(rounds: Rounds) -> None:
    torn = Torn(rounds, "commit:6:after")
    size = torn.size(f"{_SHARD}-wal")
    frames = range(_WAL_HEADER, size, _FRAME)
    assert len(frames) > 5
    cuts = (0, _WAL_HEADER - 1, *frames, *(start + 12 for start in frames), size - 1)
    ends = [torn.again(partial(cut_off, at=cut)) for cut in cuts]
    # What is cut off is forgotten, and asked of the store where it may have been under way.
    assert set(ends) == {"completed", "named"}
    assert ends[-1] == "completed"


@pytest.mark.parametrize("name", [_SHARD, f"{_SHARD}-wal", "job.json", "state.json", "summary.json"])
def test_bytes_that_changed(rounds: Rounds, name: str) -> None:
    torn = Torn(rounds, "commit:6:after")
    size = torn.size(name)
    ends = {torn.again(partial(flip, name=name, at=at)) for at in range(5, size, max(size // 8, 1))}
    assert "refused" in ends or name.endswith("-wal")


@pytest.mark.parametrize("name", [_SHARD, _ORDERED, "job.json", "state.json", "summary.json"])
def test_a_file_that_is_gone(rounds: Rounds, name: str) -> None:
    assert Torn(rounds, "commit:6:after").again(lambda job: (job / name).unlink()) == "refused"


def test_shards_in_each_others_place(rounds: Rounds) -> None:
    def swap(job: Path) -> None:
        (job / _SHARD).rename(job / "aside")
        (job / _ORDERED).rename(job / _SHARD)
        (job / "aside").rename(job / _ORDERED)

    assert Torn(rounds, "commit:6:after").again(swap) == "refused"


def test_an_older_copy_of_a_shard(rounds: Rounds) -> None:
    def bring_back(job: Path) -> None:
        for path in job.glob(f"{_SHARD}*"):
            path.unlink()
        shutil.copy(rounds.haul.cwd / "begun" / _SHARD, job / _SHARD)

    assert Torn(rounds, "commit:6:after").again(bring_back) == "named"
