"""SIGKILL of `haul ship` at every step, then the same command again.

No file is lost, none is removed that the store does not hold with the right bytes, nothing is written twice
or overwritten, no upload is left open (`shipments`). `make soak` does so at every step, on a real server with
versions as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.crash.spool.shipments import CASES, ShipRounds
from tests.crash.spool.steps import kill_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.jobs.buckets import QuickBucket, RealBucket
    from tests.crash.spool.program import Haul

    MakeHaul = Callable[[QuickBucket | RealBucket], Haul]

MOMENTS = ("before", "after", "half")
#: From one step to the next that is tried; where that begins differs.
_STRIDE = 8


def start_of(name: str, moment: str) -> int:
    return 1 + (3 * list(CASES).index(name) + 5 * MOMENTS.index(moment)) % _STRIDE


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost_or_overwritten(
    quick: QuickBucket, make_haul: MakeHaul, name: str, moment: str
) -> None:
    rounds = ShipRounds(make_haul(quick), quick, CASES[name], concurrency=1)
    assert kill_at(rounds.kill, moment, start_of(name, moment), _STRIDE) > 1


def test_nor_with_many_at_a_time(quick: QuickBucket, make_haul: MakeHaul) -> None:
    rounds = ShipRounds(make_haul(quick), quick, CASES["move"], concurrency=8)
    assert kill_at(rounds.kill, "after", 2, _STRIDE) > 2


def test_nor_while_it_finds_out_what_the_store_honours(quick: QuickBucket, make_haul: MakeHaul) -> None:
    rounds = ShipRounds(make_haul(quick), quick, CASES["suffix"], concurrency=1)
    assert kill_at(rounds.kill_at_first, "before", 3, 2 * _STRIDE) > 1


@pytest.mark.soak
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", CASES)
def test_at_every_step(
    quick: QuickBucket, make_haul: MakeHaul, name: str, moment: str, concurrency: int
) -> None:
    rounds = ShipRounds(make_haul(quick), quick, CASES[name], concurrency=concurrency)
    assert kill_at(rounds.kill, moment, 1, 1) > 10


@pytest.mark.soak
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", CASES)
def test_at_every_step_with_a_real_store(
    make_real: Callable[[], RealBucket], make_haul: MakeHaul, name: str, moment: str
) -> None:
    real = make_real()
    rounds = ShipRounds(make_haul(real), real, CASES[name], concurrency=4)
    assert kill_at(rounds.kill, moment, 1, 1) > 10
