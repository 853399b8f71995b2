"""Several processes on one job: a worker dies, or the one that they work for."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest
from tests.crash.jobs.model import Case, Thing
from tests.crash.jobs.program import NO_POINT
from tests.crash.jobs.rounds import Rounds

from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.jobs.buckets import Bucket, QuickBucket
    from tests.crash.jobs.program import Haul

    from haulyard.testing.faults import FaultServer

_KEYS = [f"{number:02}.csv" for number in range(40)]
_BEFORE = {f"in/{key}": Thing(f"{key};".encode(), (("owner", key),), (("kind", "raw"),)) for key in _KEYS}
_CASE = Case(
    ("move", "{url}/in/", "{url}/out/"),
    _BEFORE,
    {f"out/{key}": _BEFORE[f"in/{key}"] for key in _KEYS},
    _BEFORE,
    moves=tuple((f"in/{key}", f"out/{key}") for key in _KEYS),
)
_POINTS = ("commit:2:before", "commit:4:after", "request:7:before", "request:20:after")
_PATIENCE = 60


@pytest.fixture
def rounds(quick: QuickBucket, make_haul: Callable[[Bucket], Haul]) -> Rounds:
    """A job of several shards, which two processes are to apply."""
    haul = make_haul(quick)
    haul.smaller = {"page_size": 8, "shard_rows": 8}
    rounds = Rounds(haul, quick, _CASE)
    rounds.prepare()
    assert len(haul.shards) == 5
    rounds.apply = ("apply", "j", "--processes", "2", "--concurrency", "4")
    return rounds


def lay_out(rounds: Rounds) -> None:
    rounds.bucket.fill(_BEFORE)
    rounds.haul.restore("begun")


def kill_a_worker(rounds: Rounds, point: str) -> bool:
    """Kill one of two workers at a point of its own; return whether one came there."""
    lay_out(rounds)
    done = rounds.haul(*rounds.apply, point=point, in_workers=True)
    if done.code:
        assert done.code == 2, done.err
        assert "worker process" in done.err
        assert "apply the job again" in done.err
    _CASE.check_between(rounds.bucket.read())
    rounds.haul.ok(*rounds.apply)
    rounds.check_applied()
    return done.code != 0


@pytest.mark.parametrize("point", _POINTS)
def test_what_a_dead_worker_leaves_is_completed(rounds: Rounds, point: str) -> None:
    assert kill_a_worker(rounds, point)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["commit", "request"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_wherever_it_dies(rounds: Rounds, kind: str, moment: str) -> None:
    number = 1
    while kill_a_worker(rounds, f"{kind}:{number}:{moment}"):
        number += 1
    # Two processes share five shards: no one has all of them.
    assert number > 8


def test_workers_end_with_the_process_that_they_work_for(rounds: Rounds, server: FaultServer) -> None:
    lay_out(rounds)
    server.script(Fault("CopyObject", attempts="all", stall=True, times=4))
    first = rounds.haul.start(*rounds.apply, in_workers=True, point=NO_POINT)
    server.wait_for(lambda request: request.fault is not None, _PATIENCE, count=4)
    workers = [os.pidfd_open(pid) for pid in {point.pid for point in first.points()} - {first.pid}]
    assert len(workers) == 2
    first.kill()
    assert first.end().was_killed
    # They still have requests under way: nobody else may touch their shards.
    second = rounds.haul("apply", "j")
    assert second.code == 2
    assert "is locked by process" in second.err
    server.release()
    for worker in workers:
        assert select.select([worker], [], [], _PATIENCE)[0], "a worker goes on"
        os.close(worker)
    # Three shards nobody had begun, and of the two others what was not under way.
    assert rounds.haul.phases()[""] >= 3 * 8 + 2
    _CASE.check_between(rounds.bucket.read())
    rounds.haul.ok(*rounds.apply)
    rounds.check_applied()
