"""No room for the journal: nothing is done that is not written down, and with room the job goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.crash.jobs.model import CASES
from tests.crash.jobs.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.jobs.buckets import Bucket, QuickBucket
    from tests.crash.jobs.program import Haul

#: What SQLite's own file that readers and a writer share takes.
_SHARED = 32_768
#: One more page and its header, in SQLite's write-ahead log.
_FRAME = 24 + 4096


@pytest.fixture
def rounds(quick: QuickBucket, make_haul: Callable[[Bucket], Haul]) -> Rounds:
    rounds = Rounds(make_haul(quick), quick, CASES["move"])
    rounds.prepare()
    return rounds


def test_without_room_to_begin_nothing_is_done(rounds: Rounds) -> None:
    rounds.bucket.fill(rounds.case.before)
    rounds.haul.restore("begun")
    done = rounds.haul(*rounds.apply, file_size=_SHARED // 2)
    assert done.code == 2, done.err
    assert "make room" in done.err
    assert done.writes == []
    assert rounds.bucket.read() == rounds.case.before
    rounds.haul.ok(*rounds.apply)
    rounds.check_applied()


def test_a_disk_that_fills_up_stops_the_job_before_it_acts(rounds: Rounds) -> None:
    ends = []
    for frames in range(8, 24, 2):
        rounds.bucket.fill(rounds.case.before)
        rounds.haul.restore("begun")
        done = rounds.haul(*rounds.apply, file_size=32 + frames * _FRAME + 100)
        found = rounds.bucket.read()
        rounds.case.check_between(found)
        if done.code:
            assert done.code == 2, done.err
            assert "make room" in done.err
            gone = [source for source, _ in rounds.case.moves if found.get(source) is None]
            written_down = sum(rounds.haul.phases().get(phase, 0) for phase in ("copied", "done"))
            assert len(gone) <= written_down
        ends.append(done.code)
        rounds.haul.ok(*rounds.apply)
        rounds.check_applied()
    # The first had no room, the last had enough.
    assert ends[0] == 2
    assert ends[-1] == 0
    assert ends == sorted(ends, reverse=True)
