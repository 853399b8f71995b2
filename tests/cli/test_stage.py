"""A command of `haul demo` that is to be killed: whether it was is known only once it has ended."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.cli.stage import Stage
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

QUICK = ("--version",)


@pytest.fixture
def stage() -> Stage:
    inline: Any = None
    return Stage(inline, "s3://bucket/demo/", "a bucket", dict(os.environ), "jobs")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    """The processes that are started."""
    started: list[asyncio.subprocess.Process] = []
    genuine: Callable[..., Any] = asyncio.create_subprocess_exec

    async def start(*words: str, **options: Any) -> asyncio.subprocess.Process:
        process: asyncio.subprocess.Process = await genuine(*words, **options)
        started.append(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    return started


def endless(directory: Path) -> tuple[str, ...]:
    """A command that waits until it is ended."""
    return ("spool", str(directory / "spool"), "--socket", str(directory / "socket"))


async def test_what_was_killed_had_reached_what_is_returned(
    stage: Stage, processes: list[asyncio.subprocess.Process], tmp_path: Path
) -> None:
    numbers = iter((0, 1, 3))

    async def reached() -> int:
        return next(numbers)

    assert await stage.kill_when(endless(tmp_path), reached, 2) == 3
    assert [process.returncode for process in processes] == [-signal.SIGKILL]


async def test_what_ended_before_it_reached_as_much_was_not_killed(stage: Stage) -> None:
    async def reached() -> int:
        return 0

    assert await stage.kill_when(QUICK, reached, 2) == 0


async def test_what_ended_while_it_was_looked_at_was_not_killed(
    stage: Stage, processes: list[asyncio.subprocess.Process]
) -> None:
    async def reached() -> int:
        # It has ended, and the loop does not know yet.
        os.waitid(os.P_PID, processes[0].pid, os.WEXITED | os.WNOWAIT)
        return 2

    assert await stage.kill_when(QUICK, reached, 2) == 0


async def test_what_fails_was_not_killed_either(stage: Stage) -> None:
    async def reached() -> int:
        return 0

    with pytest.raises(TransferError, match=r"haul nonsense ended with code \d"):
        await stage.kill_when(("nonsense",), reached, 2)


async def test_what_does_not_get_as_far_is_ended_in_the_end(
    stage: Stage,
    processes: list[asyncio.subprocess.Process],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def reached() -> int:
        return 1

    monkeypatch.setattr("haulyard.cli.stage._KILL_PATIENCE", 0.1)
    with pytest.raises(TransferError, match="did not come half-way"):
        await stage.kill_when(endless(tmp_path), reached, 2)
    assert [process.returncode for process in processes] == [-signal.SIGKILL]
