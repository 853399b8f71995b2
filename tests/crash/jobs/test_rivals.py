"""Two processes and one job: one works, the other is told by whom, and takes over once that one is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.crash.jobs.model import CASES
from tests.crash.jobs.rounds import Rounds

from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.jobs.buckets import Bucket, QuickBucket
    from tests.crash.jobs.program import Haul, Running

    from haulyard.testing.faults import FaultServer


@pytest.fixture
def rounds(quick: QuickBucket, make_haul: Callable[[Bucket], Haul]) -> Rounds:
    rounds = Rounds(make_haul(quick), quick, CASES["move"])
    rounds.prepare()
    quick.fill(rounds.case.before)
    rounds.haul.restore("begun")
    return rounds


def held(rounds: Rounds, server: FaultServer, operation: str) -> Running:
    """Start `apply`, and hold it at a request that has been sent."""
    server.script(Fault(operation, stall=True, times=1))
    running = rounds.haul.start(*rounds.apply)
    server.wait_for(lambda request: request.fault is not None, 60)
    return running


def test_a_second_process_is_told_who_works_on_the_job(rounds: Rounds, server: FaultServer) -> None:
    first = held(rounds, server, "CopyObject")
    for words in (rounds.apply, rounds.undo, (*rounds.plan, "--new"), ("apply", "j", "--processes", "2")):
        second = rounds.haul(*words)
        assert second.code == 2, (words, second.err)
        assert f"process {first.pid} on " in second.err
        assert "haul apply" in second.err
        assert second.requests == []
    server.release()
    assert first.end().code == 0
    rounds.check_applied()


@pytest.mark.parametrize("operation", ["CopyObject", "DeleteObjects", "HeadObject"])
def test_a_dead_one_locks_nobody_out_and_its_late_requests_change_nothing(
    rounds: Rounds, server: FaultServer, operation: str
) -> None:
    first = held(rounds, server, operation)
    first.kill()
    assert first.end().was_killed
    rounds.haul.ok(*rounds.apply)
    rounds.check_applied()
    # Now what it had sent is carried out.
    server.release()
    server.settle()
    rounds.check_applied()
