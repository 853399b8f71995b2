"""SIGKILL at random moments, then the same command again: as if nothing had happened.

The moments are counted in what has passed between program and server, so that they lie anywhere from the
first request to the last answer. `make soak` runs many rounds; HAUL_SOAK_SEED repeats one of them.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.crash.conftest import make_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.crash.conftest import World

#: Repeats a soak; read here, before the settings of whoever runs the tests are taken away.
SEED = os.environ.get("HAUL_SOAK_SEED", "")
ROUNDS = int(os.environ.get("HAUL_SOAK_ROUNDS", "30"))
#: Seconds by which the kill comes later than the piece it was waiting for: work goes on between pieces.
_JITTER = 0.004
_NOTHING_LEFT = 4
#: How often what the endpoint honours is to be proved again, so that kills meet the probes as well.
_UNPROVED = 0.3

Tree = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A command, what it needs, and how to see whether it did its work."""

    words: Callable[[World], list[str]]
    prepare: Callable[[World, Tree], None]
    check: Callable[[World, Tree], None]
    codes: tuple[int, ...] = (0,)
    """How it may end when it is run again; what has nothing left to do may say so."""


def expect(actual: Mapping[str, bytes], expected: Mapping[str, bytes]) -> None:
    """Compare trees without printing megabytes."""
    assert sorted(actual) == sorted(expected)
    assert [name for name in expected if actual[name] != expected[name]] == []


def clear(world: World, *directories: str) -> None:
    for directory in directories:
        shutil.rmtree(world.cwd / directory, ignore_errors=True)


def _upload(world: World, tree: Tree) -> None:
    world.write("in", tree)


def _download(world: World, tree: Tree) -> None:
    clear(world, "out")
    world.fill("in/", tree)


def _sync_up(world: World, tree: Tree) -> None:
    world.write("in", tree)
    world.fill("out/", {"stale/a": b"x", "d0/f0.bin": b"of another size", "large0": b"x"})


def _sync_down(world: World, tree: Tree) -> None:
    clear(world, "out")
    world.fill("in/", tree)
    world.write("out", {"stale/a": b"x", "d0/f0.bin": b"of another size", "large0": b"x"})


def _is_in_bucket(world: World, tree: Tree) -> None:
    expect(world.objects("out/"), tree)


def _is_in_directory(world: World, tree: Tree) -> None:
    expect(world.files("out"), tree)


def _has_left_the_bucket(world: World, tree: Tree) -> None:
    expect(world.objects("in/"), {})


def _moved_up(world: World, tree: Tree) -> None:
    _is_in_bucket(world, tree)
    expect(world.files("in"), {})


def _moved_down(world: World, tree: Tree) -> None:
    _is_in_directory(world, tree)
    _has_left_the_bucket(world, tree)


def _moved_inside(world: World, tree: Tree) -> None:
    _is_in_bucket(world, tree)
    _has_left_the_bucket(world, tree)


def _from_another_service(world: World) -> list[str]:
    return ["--source-endpoint-url", world.direct]


_MOVED = (0, _NOTHING_LEFT)
CASES = {
    "upload": Case(lambda world: ["cp", "in/", f"{world.url}/out/"], _upload, _is_in_bucket),
    "put": Case(
        lambda world: ["put", "in/large0", f"{world.url}/out/large0"],
        lambda world, tree: world.write("in", {"large0": tree["large0"]}),
        lambda world, tree: expect(world.objects("out/"), {"large0": tree["large0"]}),
    ),
    "download": Case(lambda world: ["cp", f"{world.url}/in/", "out/"], _download, _is_in_directory),
    "move up": Case(lambda world: ["mv", "in/", f"{world.url}/out/"], _upload, _moved_up, _MOVED),
    "move down": Case(lambda world: ["mv", f"{world.url}/in/", "out/"], _download, _moved_down, _MOVED),
    "move inside": Case(
        lambda world: ["mv", f"{world.url}/in/", f"{world.url}/out/"], _download, _moved_inside, _MOVED
    ),
    "sync up": Case(lambda world: ["sync", "in/", f"{world.url}/out/", "--delete"], _sync_up, _is_in_bucket),
    "sync down": Case(
        lambda world: ["sync", f"{world.url}/in/", "out/", "--delete"], _sync_down, _is_in_directory
    ),
    "copy": Case(lambda world: ["cp", f"{world.url}/in/", f"{world.url}/out/"], _download, _is_in_bucket),
    "copy through": Case(
        lambda world: ["cp", f"{world.url}/in/", f"{world.url}/out/", *_from_another_service(world)],
        _download,
        _is_in_bucket,
    ),
    "move through": Case(
        lambda world: ["mv", f"{world.url}/in/", f"{world.url}/out/", *_from_another_service(world)],
        _download,
        _moved_inside,
        _MOVED,
    ),
    "remove": Case(lambda world: ["rm", "-r", f"{world.url}/in/"], _download, _has_left_the_bucket, _MOVED),
}

#: Without the rarer ones; `make soak` has all.
SHORT = (
    "upload",
    "download",
    "move up",
    "move down",
    "move inside",
    "sync up",
    "sync down",
    "copy through",
)


class Rounds:
    """Kills one command again and again."""

    def __init__(self, world: World, case: Case, seed: int, tree: Tree) -> None:
        self.world = world
        self.case = case
        self.chance = random.Random(seed)
        self.tree = tree
        self.pieces = self._uninterrupted()

    def _uninterrupted(self) -> int:
        """Run it once to its end, and return how much passed."""
        world = self.world
        self.prepare()
        world.gate.expect(0, lambda: None)
        done = world.haul(*self.words)
        assert done.code == 0, done.err
        pieces = world.gate.pieces
        self.check()
        return pieces

    def round(self) -> None:
        """Kill it at a random moment, run it again, and look at what there is."""
        world = self.world
        self.prepare()
        moment = self.chance.randrange(1, self.pieces + 1)
        pause = self.chance.random() * _JITTER
        words = self.words
        process = world.haul.start(*words)

        def kill() -> None:
            time.sleep(pause)
            process.kill()

        world.gate.expect(moment, kill)
        process.communicate()
        print(f"{words[0]} killed at {moment} of {self.pieces}: {process.returncode}")  # noqa: T201
        world.gate.expect(0, lambda: None)
        again = world.haul(*words)
        assert again.code in self.case.codes, again.err
        self.check(again.err)

    @property
    def words(self) -> list[str]:
        """The command."""
        return self.case.words(self.world)

    def prepare(self) -> None:
        """Lay out what the command works on."""
        self.world.empty()
        if self.chance.random() < _UNPROVED:
            self.world.forget_endpoints()
        clear(self.world, "in", "out")
        self.case.prepare(self.world, self.tree)

    def check(self, said: str = "") -> None:
        """Look at what the command did, and whether it left anything behind that it has not ``said``."""
        world = self.world
        self.case.check(world, self.tree)
        assert world.records() == []
        assert [name for name in (*world.objects(""), *world.files(".")) if ".haul-" in name] == []
        for upload_id, key in world.open_uploads().items():
            # Killed between its creation and the recording of its id: named, and offered for abortion.
            assert f"haul uploads abort {world.url}/{key} --upload-id {upload_id}" in said
            world.haul.ok("uploads", "abort", f"{world.url}/{key}", "--upload-id", upload_id)
        assert world.open_uploads() == {}


@pytest.mark.parametrize("name", SHORT)
def test_the_same_command_again_makes_up_for_a_kill(world: World, name: str) -> None:
    Rounds(world, CASES[name], seed=sum(name.encode()), tree=make_tree(1, small=16, large=1)).round()


@pytest.mark.soak
@pytest.mark.parametrize("name", CASES)
def test_it_does_so_at_any_moment(world: World, name: str) -> None:
    seed = int(SEED) if SEED else random.SystemRandom().randrange(2**32)
    print(f"HAUL_SOAK_SEED={seed}")  # noqa: T201
    rounds = Rounds(world, CASES[name], seed, make_tree(seed, small=40, large=2))
    for _ in range(ROUNDS):
        rounds.round()
