"""What workers do in the tests of their crew; each is told to by a file that it can open or lock."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

from haulyard.errors import S3PermissionError

if TYPE_CHECKING:
    from haulyard.journal.executors.processes import Line


async def say(order: Any, line: Line) -> None:
    """Tell two things."""
    line.tell((order, os.getpid()))
    line.tell("two")


async def wait(order: Any, line: Line) -> None:
    """Work until asked to stop."""
    line.tell(os.getpid())
    line.flush()
    await asyncio.to_thread(line._stop.wait)
    if order:
        # Somebody reads it who may have lost the first process.
        with open(order, "w", encoding="ascii") as pipe:
            pipe.write("stopped" if line.stopped() else "?")


async def fail(order: Any, line: Line) -> None:
    """Fail in the way that is ordered, or wait."""
    if order == "permission":
        raise S3PermissionError("withdrawn", status=403, code="AccessDenied")
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "riddle":
        raise Riddle("who", "knows")
    if order == "secret":
        raise Unspeakable
    await wait("", line)


class Riddle(Exception):
    """An error that the other side cannot make again."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


class Unspeakable(Exception):
    """An error that cannot be sent."""

    def __reduce__(self) -> Any:
        raise TypeError("not to be told")


async def claim(order: Any, line: Line) -> None:
    """Ignore Ctrl-C, as it goes to the whole group."""
    os.kill(os.getpid(), signal.SIGINT)
    line.tell("alive")
