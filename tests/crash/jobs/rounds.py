"""One job, killed again and again: at a point, looked at, run again, compared with what it has to come to."""

from __future__ import annotations

import shutil
from itertools import count
from typing import TYPE_CHECKING

from tests.crash.jobs.model import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.crash.jobs.buckets import Bucket
    from tests.crash.jobs.model import Case
    from tests.crash.jobs.program import Haul, Point

KINDS = ("commit", "request", "rename", "amend")
MOMENTS = ("before", "after")
_LARGEST_PUT = 5 * 1024**2


class Rounds:
    """A job and its case. With a ``concurrency`` of 1 the numbering varies least from run to run.

    ``planned``, ``begun`` and ``applied`` are the points that undisturbed runs passed until then.
    """

    def __init__(self, haul: Haul, bucket: Bucket, case: Case, *, concurrency: int = 1) -> None:
        self.haul = haul
        self.bucket = bucket
        self.case = case
        url = f"s3://{bucket.name}"
        self._more = ("--concurrency", str(concurrency))
        self.plan = ("plan", *(word.format(url=url) for word in case.plan), "--job", "j", *self._more)
        self.apply = ("apply", "j", *case.apply, *self._more)
        self.undo = ("undo", "j", *self._more)
        self.haul.smaller = {**haul.smaller, "max_put_size": _LARGEST_PUT}
        if case.rules:
            (haul.cwd / "rules.toml").write_text(case.rules)

    def prepare(self) -> None:
        """Keep the job as it is when it is ``planned``, ``begun`` (nothing done yet), and ``applied``."""
        haul = self.haul
        self.bucket.fill(self.case.before)
        self.planned = haul.ok(*self.plan).points
        haul.keep("planned")
        # Here the program finds out what the endpoint honours.
        killed = haul(*self.apply, point="commit:1:before")
        assert killed.was_killed
        self.begun = killed.points
        haul.keep("begun")
        compare(self.bucket.read(), self.case.before)
        self.applied = haul.ok(*self.apply).points
        self.check_applied()
        haul.keep("applied")

    def check_applied(self) -> None:
        """Look at what was done, and that nothing is left to do."""
        self._check_journal({"done"})
        compare(self.bucket.read(), self.case.after)
        self._check_versions()
        again = self.haul.ok(*self.apply)
        assert again.writes == []

    def check_undone(self) -> None:
        """Look at what was taken back, and that nothing is left to do."""
        self._check_journal({"undone", "kept"})
        compare(self.bucket.read(), self.case.undone)
        self._check_versions()
        again = self.haul(*self.undo)
        assert again.writes == [], again.writes

    def _check_journal(self, expected: set[str]) -> None:
        phases = self.haul.phases()
        assert phases.keys() <= expected, phases
        assert self.bucket.open_uploads() == []

    def _check_versions(self) -> None:
        """See that a bucket with versions has kept those that were there before."""
        if self.case.is_versioned:
            versions = self.bucket.versions()
            assert [key for key, thing in self.case.before.items() if thing.body not in versions[key]] == []

    def applying(self, point: str) -> bool:
        """Kill `apply` at a point and make up for it; return whether it came there."""
        self.bucket.fill(self.case.before)
        self.haul.restore("begun")
        return self._kill(self.apply, point, 0, undoing=False)

    def beginning(self, point: str) -> bool:
        """The same with an `apply` that knows nothing of the endpoint, and asks whether it may do all."""
        shutil.rmtree(self.haul.environ["HAUL_STATE_DIR"])
        self.bucket.fill(self.case.before)
        self.haul.restore("planned")
        return self._kill(self.apply, point, 0, undoing=False)

    def undoing(self, point: str) -> bool:
        """The same with `undo`."""
        self._lay_out_applied()
        return self._kill(self.undo, point, self.case.undo_code, undoing=True)

    def undo_points(self) -> Sequence[Point]:
        """Return the points that an undisturbed `undo` passes."""
        self._lay_out_applied()
        return self.haul(*self.undo).points

    def _lay_out_applied(self) -> None:
        if self.case.is_versioned or any(len(each.body) > _LARGEST_PUT for each in self.case.after.values()):
            # Versions and ETags of parts are not to be had by writing the same again.
            self.bucket.fill(self.case.before)
            self.haul.restore("begun")
            self.haul.ok(*self.apply)
        else:
            self.bucket.fill(self.case.after)
            self.haul.restore("applied")

    def _kill(self, words: tuple[str, ...], point: str, code: int, *, undoing: bool) -> bool:
        killed = self.haul(*words, point=point)
        assert killed.was_killed or killed.code == code, (point, killed.out, killed.err)
        said = f"killed at {point}: {killed.points[-1:]}\n{killed.err}"
        try:
            self.case.check_between(self.bucket.read(), undoing=undoing)
            again = self.haul(*words)
            said += f"\nagain: {again.code}\n{again.out}{again.err}"
            # Also where everything was kept, or left alone, before the kill.
            assert again.code == code
            (self.check_undone if undoing else self.check_applied)()
        except AssertionError as error:
            error.add_note(said)
            raise
        return killed.was_killed

    def planning(self, point: str) -> bool:
        """Kill `plan`, and run it again: it has to come to the same plan."""
        self.haul.restore("planned")
        expected = sorted(self.haul.plan())
        done = self.haul(*self.plan, "--new", point=point)
        assert done.was_killed or done.code == 0, done.err
        self.haul.ok(*self.plan)
        assert sorted(self.haul.plan()) == expected, point
        return done.was_killed


def kill_everywhere(round_of: Callable[[str], bool], kind: str, moments: Sequence[str] = MOMENTS) -> int:
    """Kill at every point of a kind, until there are no more; return how many there were."""
    kills = 0
    for moment in moments:
        for number in count(1):
            if not round_of(f"{kind}:{number}:{moment}"):
                break
            kills += 1
    return kills


def kill_here_and_there(round_of: Callable[[str], bool], points: Sequence[Point], stride: int) -> int:
    """Kill at some of the points that an undisturbed run passes; return at how many."""
    last = {point.kind: point.number for point in points}
    kills = 0
    for kind in KINDS:
        for moment, start in zip(MOMENTS, (1, 1 + stride // 2), strict=True):
            for number in range(start, last.get(kind, 0) + 1, stride):
                kills += round_of(f"{kind}:{number}:{moment}")
    return kills
