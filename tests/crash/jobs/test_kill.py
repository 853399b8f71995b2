"""SIGKILL at every commit, request and rename of a job, then the same command again.

In between nothing is lost or mixed, and at the end the store and the journal are as if nothing had happened
(`rounds`, `model`). `make soak` kills at every point of every case on a real server; here it is every point
of one case, and some of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.crash.jobs.model import CASES
from tests.crash.jobs.rounds import MOMENTS, Rounds, kill_everywhere, kill_here_and_there

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.jobs.buckets import Bucket, QuickBucket, RealBucket
    from tests.crash.jobs.program import Haul

    MakeHaul = Callable[[Bucket], Haul]
    MakeReal = Callable[[bool], RealBucket]

_KINDS = ("commit", "request", "rename")
"""Those that are passed after planning."""
#: Every eleventh point, and the fifth behind it.
_STRIDE = 11
_UNVERSIONED = tuple(name for name, case in CASES.items() if not case.is_versioned)
_VERSIONED = tuple(name for name, case in CASES.items() if case.is_versioned)


def prepared(haul: Haul, bucket: Bucket, name: str, *, concurrency: int = 1) -> Rounds:
    rounds = Rounds(haul, bucket, CASES[name], concurrency=concurrency)
    rounds.prepare()
    return rounds


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", _KINDS)
def test_a_move_killed_at_any_point_is_completed(
    quick: QuickBucket, make_haul: MakeHaul, kind: str, moment: str
) -> None:
    rounds = prepared(make_haul(quick), quick, "move")
    assert kill_everywhere(rounds.applying, kind, [moment])


@pytest.mark.parametrize("name", [name for name in _UNVERSIONED if name != "move"])
def test_what_was_killed_is_completed(quick: QuickBucket, make_haul: MakeHaul, name: str) -> None:
    rounds = prepared(make_haul(quick), quick, name)
    assert kill_here_and_there(rounds.applying, rounds.applied, _STRIDE)


@pytest.mark.parametrize("name", [name for name in _UNVERSIONED if name != "delete"])
def test_an_undoing_that_was_killed_is_completed(quick: QuickBucket, make_haul: MakeHaul, name: str) -> None:
    rounds = prepared(make_haul(quick), quick, name)
    assert kill_here_and_there(rounds.undoing, rounds.undo_points(), _STRIDE)


@pytest.mark.parametrize("name", _VERSIONED)
def test_versions_and_markers_survive_kills(make_real: MakeReal, make_haul: MakeHaul, name: str) -> None:
    bucket = make_real(True)
    rounds = prepared(make_haul(bucket), bucket, name)
    assert kill_here_and_there(rounds.applying, rounds.applied, 2 * _STRIDE)
    assert kill_here_and_there(rounds.undoing, rounds.undo_points(), 2 * _STRIDE)


def test_many_requests_at_a_time_change_nothing_about_it(quick: QuickBucket, make_haul: MakeHaul) -> None:
    rounds = prepared(make_haul(quick), quick, "move", concurrency=8)
    assert kill_here_and_there(rounds.applying, rounds.applied, _STRIDE)


def prepared_plan(haul: Haul, bucket: Bucket) -> Rounds:
    """Several pages, several shards, chains and collisions."""
    haul.smaller = {"page_size": 3, "shard_rows": 4}
    rounds = prepared(haul, bucket, "move")
    bucket.fill(rounds.case.before)
    return rounds


def test_a_plan_that_was_killed_is_completed(quick: QuickBucket, make_haul: MakeHaul) -> None:
    rounds = prepared_plan(make_haul(quick), quick)
    assert kill_here_and_there(rounds.planning, rounds.planned, 4)


def test_finding_out_what_is_honoured_and_allowed_may_be_killed(
    quick: QuickBucket, make_haul: MakeHaul
) -> None:
    rounds = prepared(make_haul(quick), quick, "retag")
    assert kill_here_and_there(rounds.beginning, rounds.begun, 2 * _STRIDE)


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("name", CASES)
def test_at_every_point_of_every_job(
    make_real: MakeReal, make_haul: MakeHaul, name: str, kind: str, moment: str
) -> None:
    bucket = make_real(CASES[name].is_versioned)
    assert kill_everywhere(prepared(make_haul(bucket), bucket, name).applying, kind, [moment])


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("name", ["move", "versioned move"])
def test_at_every_point_with_many_requests_at_a_time(
    make_real: MakeReal, make_haul: MakeHaul, name: str, kind: str, moment: str
) -> None:
    bucket = make_real(CASES[name].is_versioned)
    assert kill_everywhere(prepared(make_haul(bucket), bucket, name, concurrency=8).applying, kind, [moment])


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("name", CASES)
def test_at_every_point_of_every_undoing(
    make_real: MakeReal, make_haul: MakeHaul, name: str, kind: str, moment: str
) -> None:
    bucket = make_real(CASES[name].is_versioned)
    assert kill_everywhere(prepared(make_haul(bucket), bucket, name).undoing, kind, [moment])


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["request", "rename", "amend"])
def test_at_every_point_of_a_plan(make_real: MakeReal, make_haul: MakeHaul, kind: str, moment: str) -> None:
    bucket = make_real(False)
    assert kill_everywhere(prepared_plan(make_haul(bucket), bucket).planning, kind, [moment])


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["move", "retag"])
def test_at_every_point_of_a_beginning(
    make_real: MakeReal, make_haul: MakeHaul, name: str, moment: str
) -> None:
    bucket = make_real(False)
    assert kill_everywhere(prepared(make_haul(bucket), bucket, name).beginning, "request", [moment])
