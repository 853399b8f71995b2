"""Several processes at one job: what they tell, and how all of them end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from haulyard.errors import JobError, S3PermissionError, TransferError
from haulyard.journal.executors.processes import Crew

pytestmark = pytest.mark.anyio

DEEDS = "tests.journal.executors.deeds"
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _tests_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker finds modules where its first process does."""
    monkeypatch.syspath_prepend(ROOT)


async def test_what_workers_tell_is_heard_in_order() -> None:
    heard: list[Any] = []
    await Crew(f"{DEEDS}:say", ["a", "b"], heard.append).run()
    told = [each for each in heard if each != "two"]
    assert sorted(order for order, _ in told) == ["a", "b"]
    assert len({pid for _, pid in told} | {os.getpid()}) == 3
    assert heard.count("two") == 2


async def test_ctrl_c_is_for_the_first_process_to_understand() -> None:
    heard: list[Any] = []
    await Crew(f"{DEEDS}:claim", ["a"], heard.append).run()
    assert heard == ["alive"]


async def test_workers_are_asked_to_stop() -> None:
    stopped, heard = asyncio.Event(), []

    def hear(message: Any) -> None:
        heard.append(message)
        if len(heard) == 2:
            stopped.set()

    await Crew(f"{DEEDS}:wait", ["", ""], hear).run(stopped)
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("permission", S3PermissionError, "withdrawn"),
        ("die", JobError, "died"),
        ("riddle", JobError, "understands"),
        ("secret", JobError, "died"),
    ],
)
async def test_what_one_cannot_go_on_for_ends_all(how: str, error: type[Exception], message: str) -> None:
    crew = Crew(f"{DEEDS}:fail", ["wait", how, "wait"], lambda _message: None)
    processes = [process for process, _ in crew._members.values()]
    with pytest.raises(error, match=message):
        await crew.run()
    for process in processes:
        process.join()
    assert not any(process.is_alive() for process in processes)


async def test_who_hears_enough_gives_up() -> None:
    def hear(_message: Any) -> None:
        crew.give_up(TransferError("too many"))

    crew = Crew(f"{DEEDS}:wait", ["", ""], hear)
    with pytest.raises(TransferError, match="too many"):
        await crew.run()


async def test_a_cancelled_run_leaves_nobody_behind() -> None:
    started = asyncio.Event()
    crew = Crew(f"{DEEDS}:wait", [""], lambda _message: started.set())
    processes = [process for process, _ in crew._members.values()]
    running = asyncio.create_task(crew.run())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [process.exitcode for process in processes] == [0]


def test_workers_end_when_the_first_process_is_killed(tmp_path: Path) -> None:
    pipes = [str(tmp_path / name) for name in ("one", "two")]
    for pipe in pipes:
        os.mkfifo(pipe)
    command = [sys.executable, "-m", "tests.journal.executors.parent", *pipes]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        for _ in pipes:
            assert int(parent.stdout.readline()) != parent.pid
        parent.send_signal(signal.SIGKILL)
    for pipe in pipes:
        with open(pipe, encoding="ascii") as told:
            assert told.read() == "stopped"
