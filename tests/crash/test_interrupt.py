"""Ctrl-C once and twice, in the middle of a transfer."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
from tests.crash.conftest import make_tree

if TYPE_CHECKING:
    import subprocess

    from tests.crash.conftest import World

_PATIENCE = 60


class Held:
    """The program, held in the middle of its transfer by a closed gate."""

    def __init__(self, world: World, piece: int, *words: str) -> None:
        self.world = world
        reached = threading.Event()

        def hold() -> None:
            world.gate.close()
            reached.set()

        world.gate.expect(piece, hold)
        self.process: subprocess.Popen[bytes] = world.haul.start(*words)
        assert reached.wait(_PATIENCE)

    def interrupt(self) -> None:
        """Press Ctrl-C and wait until that is acknowledged."""
        assert self.process.stderr is not None
        self.process.send_signal(signal.SIGINT)
        while line := self.process.stderr.readline():
            if line.startswith(b"stopping:"):
                return
        pytest.fail("the program ended without a word")

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it said last."""
        _, err = self.process.communicate(timeout=_PATIENCE)
        return self.process.returncode, err.decode()


@pytest.fixture
def tree() -> dict[str, bytes]:
    return make_tree(5, small=100, large=1)


#: In the middle of the large file, which the listing names among the last.
_DIRECTIONS = ("up", "down")


def words(world: World, direction: str, tree: dict[str, bytes]) -> list[str]:
    if direction == "up":
        world.write("in", tree)
        return ["cp", "in/", f"{world.url}/out/", "--concurrency", "4"]
    world.fill("in/", tree)
    return ["cp", f"{world.url}/in/", "out/", "--concurrency", "4"]


def arrived(world: World, direction: str) -> dict[str, bytes]:
    return world.objects("out/") if direction == "up" else world.files("out")


@pytest.mark.parametrize("direction", _DIRECTIONS)
def test_ctrl_c_once_finishes_what_is_in_flight_and_says_how_to_go_on(
    world: World, tree: dict[str, bytes], direction: str
) -> None:
    command = words(world, direction, tree)
    held = Held(world, 60, *command)
    held.interrupt()
    world.gate.open()
    code, err = held.end()
    assert code == 130
    assert "run the same command again to go on" in err
    first = arrived(world, direction)
    # Something was done, something was left, and nothing is half done.
    assert 0 < len(first) < len(tree)
    assert {name: tree[name] for name in first} == first
    assert (world.records(), world.open_uploads()) == ([], {})
    world.haul.ok(*command)
    assert arrived(world, direction) == tree


@pytest.mark.parametrize("direction", _DIRECTIONS)
def test_ctrl_c_twice_stops_now_and_leaves_what_can_be_continued(world: World, direction: str) -> None:
    content = bytes(range(256)) * 125_000
    command = [*words(world, direction, {"large": content}), "--concurrency", "2"]
    held = Held(world, 400, *command)
    held.interrupt()
    held.process.send_signal(signal.SIGINT)
    # Also while nothing passes it ends, but only after it has waited for what it had handed over.
    world.gate.open()
    code, err = held.end()
    assert code == 130
    assert "run the same command again to go on" in err
    if direction == "up":
        assert (len(world.records()), len(world.open_uploads())) == (1, 1)
        assert arrived(world, direction) == {}
    else:
        (name,) = arrived(world, direction)
        assert name.startswith(".haul-")
    world.gate.expect(0, lambda: None)
    world.haul.ok(*command)
    assert arrived(world, direction) == {"large": content}
    # Not all of it went again.
    assert world.gate.pieces < 400
    assert (world.records(), world.open_uploads()) == ([], {})


def test_a_command_that_was_done_already_was_not_interrupted(world: World) -> None:
    world.write("in", {"only": b"x" * 9_000_000})
    held = Held(world, 60, "cp", "in/only", f"{world.url}/out/only")
    held.interrupt()
    world.gate.open()
    code, _ = held.end()
    assert code == 0
    assert world.objects("out/") == {"only": b"x" * 9_000_000}


def test_sigterm_is_as_gentle_as_ctrl_c(world: World, tree: dict[str, bytes]) -> None:
    command = words(world, "up", tree)
    held = Held(world, 60, *command)
    held.process.send_signal(signal.SIGTERM)
    world.gate.open()
    code, err = held.end()
    assert code == 130
    assert "run the same command again to go on" in err
    world.haul.ok(*command)
    assert world.objects("out/") == tree
