"""Runs `haul spool` and `haul ship` through the driver, and speaks to the socket as programs do."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.crash.jobs import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.crash.jobs.program import Done, Running

#: Seconds after which something that should come at once is considered not to come.
PATIENCE = 60
NO_STEP = "none:0:before"


class Driver(program.Driver):
    """The process that forks for each command; used as a context manager."""

    def __enter__(self) -> Self:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "HAUL_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.spool.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        return self


@dataclass
class Haul:
    """The two programs in a directory and an environment of their own."""

    driver: Driver
    cwd: Path
    environ: dict[str, str]
    _count: int = 0

    def start(self, *words: str, step: str = NO_STEP, **environ: str) -> Running:
        """Start a command that is killed at ``step``: ``step:number:moment``."""
        self._count += 1
        place = self.cwd / "runs" / str(self._count)
        place.mkdir(parents=True)
        order = {
            "words": words,
            "cwd": str(self.cwd),
            "environ": {**self.environ, **environ},
            "out": str(place / "out"),
            "err": str(place / "err"),
            "trace": str(place / "trace"),
            "point": step,
        }
        return program.Running(self.driver, self.driver.ask(order), place)

    def __call__(self, *words: str, step: str = NO_STEP) -> Done:
        return self.start(*words, step=step).end()

    @contextmanager
    def listening(self, *words: str, step: str = NO_STEP) -> Iterator[Listening]:
        """Start `haul spool` on a socket; it is killed, should it still run, at the end."""
        path = self.cwd / "runs" / f"{self._count}.notify"
        path.parent.mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            # The name of a socket must not be long; that of a test's directory is.
            running = self.start(*words, "--socket", "s", step=step, NOTIFY_SOCKET=str(path))
            handle = os.pidfd_open(running.pid)
            try:
                yield Listening(running, str(self.cwd / "s"), notify, handle)
            finally:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)
                path.unlink()


@dataclass
class Listening:
    """A `haul spool` that listens, or has been killed before it did."""

    running: Running
    path: str
    notify: socket.socket
    handle: int

    def send(self, batches: Sequence[bytes]) -> int:
        """Send batches, each once that before it is acknowledged; return how many events were."""
        ready, _, _ = select.select([self.notify.fileno(), self.handle], [], [], PATIENCE)
        assert ready, "it neither listens nor ends"
        if self.notify.fileno() not in ready:
            return 0
        acknowledged = 0
        with socket.socket(socket.AF_UNIX) as connection, suppress(ConnectionError, FileNotFoundError):
            connection.settimeout(PATIENCE)
            connection.connect(self.path)
            answers = connection.makefile("rb")
            for batch in batches:
                connection.sendall(batch)
                told = _told(answers.readline())
                if told is None:
                    break
                acknowledged = told
        return acknowledged

    def stop(self) -> None:
        """Ask it to end."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGTERM)


def _told(line: bytes) -> int | None:
    if not line.endswith(b"\n"):
        return None
    fields: dict[str, Any] = json.loads(line)
    assert "error" not in fields, fields
    return int(fields["events"]) + int(fields["rejected"])
