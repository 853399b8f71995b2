"""Connections that break at random moments: the command goes on, and nobody can tell from the result."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.crash.conftest import make_tree
from tests.crash.test_kill import CASES, SEED, Rounds

if TYPE_CHECKING:
    from tests.crash.conftest import World

#: How often a connection is cut before a piece of up to 64 KiB passes: every fourth part of 5 MiB meets one.
_ODDS = 0.004


def cut_through(world: World, name: str, seed: int, rounds: int, *, small: int, large: int) -> None:
    chance = random.Random(seed)
    case = Rounds(world, CASES[name], seed, make_tree(seed, small=small, large=large))
    cuts = 0
    for _ in range(rounds):
        case.prepare()
        world.gate.cut_at_random(lambda: chance.random() < _ODDS)
        done = world.haul(*case.words)
        cuts += world.gate.cuts
        world.gate.cut_at_random(lambda: False)
        assert done.code == 0, done.err
        case.check(done.err)
    assert cuts


@pytest.mark.parametrize("name", ["upload", "move down", "copy through"])
def test_connections_that_break_are_no_failure(world: World, name: str) -> None:
    cut_through(world, name, 6, 1, small=16, large=1)


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in CASES if name != "remove"])  # that is three requests
def test_however_often_they_break(world: World, name: str) -> None:
    seed = int(SEED) if SEED else random.SystemRandom().randrange(2**32)
    print(f"HAUL_SOAK_SEED={seed}")  # noqa: T201
    cut_through(world, name, seed, 10, small=40, large=2)
