"""Starting a server process, telling whether it still lives, and ending it.

A server is never a direct child: a few lines of shell start it and say its process id. Detached, the
shell is gone at once and the server outlives whoever started it. Attached, the shell stays as a guard that
holds the reading end of a pipe: however the starter dies, SIGKILL included, the pipe closes and the guard
ends the server. Unlike ``PR_SET_PDEATHSIG`` this works on every POSIX system, and it depends on the
process that started the server, not on the thread that did.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DETACHED = """
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 &
echo "$!"
"""

# The guard reaps the server, so the process id it signals cannot have passed to another process.
_ATTACHED = """
log=$1; shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server"
exec >/dev/null 2>&1
{ read -r _ <&3; kill -TERM "$server"; sleep 5; kill -KILL "$server"; } &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher"
exit "$status"
"""

_PROC = Path("/proc")
_POLL_SECONDS = 0.02
_KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Launched:
    """A server that was started: its process id, and its guard if it is attached to this process."""

    pid: int
    guard: subprocess.Popen[str] | None = None

    def release(self) -> None:
        """Let the guard go once the server has ended; without a guard there is nothing to do."""
        if self.guard is not None:
            if self.guard.stdin is not None:
                self.guard.stdin.close()
            self.guard.wait()


def launch(
    command: Sequence[str], *, log_file: Path, directory: Path, environment: Mapping[str, str], attached: bool
) -> Launched:
    """Start ``command`` in a session of its own and return at once.

    Its output is appended to ``log_file``, ``directory`` is its working directory and ``environment`` all
    the environment it sees. ``attached`` ends it when this process ends. Raises OSError.
    """
    shell = subprocess.Popen(
        ["/bin/sh", "-c", _ATTACHED if attached else _DETACHED, "sh", str(log_file), *command],
        stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=dict(environment),
        # Ctrl-C in a terminal reaches the starter alone, which then stops the server in order.
        start_new_session=True,
    )
    with cast("IO[str]", shell.stdout) as answer:
        pid = int(answer.readline())
    if attached:
        return Launched(pid, shell)
    shell.wait()
    return Launched(pid)


def is_alive(pid: int, marker: str) -> bool:
    """Whether process ``pid`` runs and has the argument ``marker``: a reused process id has not.

    A process that has ended but was not reaped yet does not count.
    """
    if not (_PROC / "self" / "stat").exists():
        return marker in command_line(pid)
    process = _PROC / str(pid)
    try:
        arguments = (process / "cmdline").read_bytes()
        if arguments:
            return marker.encode() in arguments.split(b"\0")
        # It is this moment turning from the shell into the server; or it has ended, which is not over, with
        # ports and files still open, before the last of its threads is.
        state = (process / "stat").read_bytes().rpartition(b") ")[2][:1]
        return state not in b"ZX" or len(list((process / "task").iterdir())) > 1
    except OSError:
        return False


def command_line(pid: int) -> str:
    """The command line of a process as ``ps`` prints it, ``""`` where there is no such process."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607 - its place differs between systems
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.strip()


def terminate(pid: int, marker: str, *, grace: float) -> bool:
    """End process ``pid`` if it is the one with ``marker``: SIGTERM, and SIGKILL after ``grace`` seconds.

    Returns when the process is gone; False if even SIGKILL did not end it within 10 seconds, which only a
    broken disk or network filesystem can cause. Raises PermissionError if it belongs to another user.
    """
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_SECONDS)):
        if not is_alive(pid, marker):
            return True
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        if wait_until_gone(pid, marker, timeout=patience):
            return True
    return False


def wait_until_gone(pid: int, marker: str, *, timeout: float) -> bool:
    """Wait until process ``pid`` has ended; False if it still runs after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while is_alive(pid, marker):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
