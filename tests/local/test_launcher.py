"""Servers outlive their starter, or end with it, as was asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from haulyard.local import launcher
from haulyard.local.launcher import Launched, is_alive, launch, terminate, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The number of seconds is also the argument by which the process is known.
MARKER = "61.5"
SLEEPER = ["sleep", MARKER]
DEAF_SLEEPER = ["/bin/sh", "-c", f"trap '' TERM; exec sleep {MARKER}"]

# Starts a sleeper attached to itself, says its process id and stays.
STARTER = """
import os, pathlib, sys, time
from haulyard.local.launcher import launch
here = pathlib.Path(sys.argv[1])
command = ["sleep", sys.argv[2]]
server = launch(command, log_file=here / "log", directory=here, environment=os.environ, attached=True)
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    started = []

    def start(command: list[str], *, attached: bool = False) -> Launched:
        launched = launch(
            command, log_file=tmp_path / "log", directory=tmp_path, environment=os.environ, attached=attached
        )
        started.append(launched)
        deadline = time.monotonic() + 10
        while launcher.command_line(launched.pid) != f"sleep {MARKER}":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return launched

    yield start
    for launched in started:
        if is_alive(launched.pid, MARKER):
            os.kill(launched.pid, signal.SIGKILL)
        launched.release()


def test_a_detached_server_has_no_guard_and_no_tie_to_us(start: Callable[..., Launched]) -> None:
    launched = start(SLEEPER)
    assert launched.guard is None
    assert os.getsid(launched.pid) != os.getsid(0)


def test_an_attached_server_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), MARKER], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    assert wait_until_gone(pid, MARKER, timeout=10)


def test_the_guard_ends_with_the_server_and_says_how(start: Callable[..., Launched]) -> None:
    launched = start(SLEEPER, attached=True)
    assert launched.guard is not None
    os.kill(launched.pid, signal.SIGKILL)
    assert launched.guard.wait(timeout=10) == 128 + signal.SIGKILL


def test_what_the_server_prints_goes_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    talker = ["/bin/sh", "-c", "echo out; echo err >&2"]
    launched = launch(talker, log_file=log, directory=tmp_path, environment=os.environ, attached=True)
    assert launched.guard is not None
    assert launched.guard.wait(timeout=10) == 0
    launched.release()
    assert log.read_text() == "before\nout\nerr\n"


def test_a_process_with_other_arguments_is_not_ours(start: Callable[..., Launched]) -> None:
    pid = start(SLEEPER).pid
    assert is_alive(pid, MARKER)
    assert not is_alive(pid, "62.5")
    assert not is_alive(os.getpid(), MARKER)


def test_a_process_that_ended_but_was_not_reaped_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "", MARKER])
    assert wait_until_gone(child.pid, MARKER, timeout=10)
    assert child.wait() == 0


def test_terminating_returns_when_the_process_is_gone(start: Callable[..., Launched]) -> None:
    pid = start(SLEEPER).pid
    assert terminate(pid, MARKER, grace=10)
    assert not is_alive(pid, MARKER)


def test_a_process_that_ignores_the_request_is_killed(start: Callable[..., Launched]) -> None:
    pid = start(DEAF_SLEEPER).pid
    assert terminate(pid, MARKER, grace=0.1)
    assert not is_alive(pid, MARKER)


def test_a_process_that_is_not_ours_is_never_signalled() -> None:
    assert terminate(os.getpid(), MARKER, grace=0)


def test_a_process_that_ends_before_the_signal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    monkeypatch.setattr(launcher, "is_alive", lambda _pid, _marker: True)
    assert terminate(child.pid, MARKER, grace=10)


def test_a_process_that_cannot_be_ended_is_reported(
    start: Callable[..., Launched], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = start(SLEEPER).pid
    monkeypatch.setattr(launcher, "wait_until_gone", lambda _pid, _marker, *, timeout: timeout < 0)
    monkeypatch.setattr(launcher, "is_alive", lambda _pid, _marker: True)
    monkeypatch.setattr(os, "kill", lambda _pid, _number: None)
    assert not terminate(pid, MARKER, grace=0)
    monkeypatch.undo()


def test_waiting_for_a_process_that_stays_gives_up(start: Callable[..., Launched]) -> None:
    assert not wait_until_gone(start(SLEEPER).pid, MARKER, timeout=0)


def test_without_proc_the_process_list_is_asked(
    start: Callable[..., Launched], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = start(SLEEPER).pid
    monkeypatch.setattr(launcher, "_PROC", tmp_path)
    assert is_alive(pid, MARKER)
    assert not is_alive(pid, "62.5")
    assert terminate(pid, MARKER, grace=10)
    assert not is_alive(pid, MARKER)
