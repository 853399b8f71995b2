"""Who works on a job or a shard: an exclusive flock on a file beside it.

The lock ends with the process that holds it, however that ends. The file's content, one JSON line, only says
who it is; in a free file it is nobody. The file stays, so that everybody locks the same one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Self

from haulyard.errors import JobError

if TYPE_CHECKING:
    from types import TracebackType

#: How often a lock is asked for while others only look at it; each of them does so for microseconds.
_TRIES = 200
_BREATH = 0.001


class Holder(NamedTuple):
    """Who holds a lock: a process, its machine, what it was started as, and when it took the lock.

    ``since`` is in epoch seconds. ``pid`` 0 stands for somebody who has not yet said.
    """

    pid: int
    host: str
    command: str
    since: float

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        since = datetime.fromtimestamp(self.since).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.pid} on {self.host} ({self.command}, since {since})"


_SOMEBODY = Holder(0, "", "", 0.0)


class Lock:
    """A lock that is held until `release`, or the end of the ``with`` block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: str, *, command: str, what: str) -> Self:
        """Lock ``path``, at once or not at all.

        ``what`` names what is locked (``job move-photos-3f9a01c2``), ``command`` who locks it.

        Raises:
            JobError: Somebody else holds it, this process included; or the file cannot be made.
        """
        try:
            while (descriptor := _locked(path)) is None:
                # It was removed, with its job, between our opening and our locking it.
                pass
        except BlockingIOError:
            raise JobError(
                f"{what} is locked by {_read(path)}",
                hint="wait until it has ended, or stop it; then run the command again",
            ) from None
        except OSError as error:
            raise JobError(
                f"{what} cannot be locked: {path}: {error.strerror}",
                hint="the directory of jobs must be writable; HAUL_JOB_DIR names another one",
            ) from error
        holder = Holder(os.getpid(), os.uname().nodename, " ".join(command.split()), round(time.time(), 3))
        os.ftruncate(descriptor, 0)
        # Only a courtesy to others: a full disk is no reason not to hold the lock.
        with suppress(OSError):
            os.write(descriptor, json.dumps(holder._asdict()).encode() + b"\n")
        return cls(descriptor)

    def release(self) -> None:
        """Let others have it; releasing twice is harmless."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder_of(path: str) -> Holder | None:
    """Return who holds the lock at ``path``, None if nobody does. It stays as it is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, for `_locked` tells a look from a lock by it.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path)
    finally:
        os.close(descriptor)
    return None


def _read(path: str) -> Holder:
    try:
        with open(path, "rb") as file:
            fields = json.loads(file.read(4096))
        holder = Holder(
            int(fields["pid"]), str(fields["host"]), str(fields["command"]), float(fields["since"])
        )
        str(holder)  # not every number is a time
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return _SOMEBODY
    return holder


def _locked(path: str) -> int | None:
    """Open and lock the file; None where it lost its name meanwhile, BlockingIOError where it is locked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _flock(descriptor)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _flock(descriptor: int) -> None:
    """Lock exclusively; those who only look must not lock anybody out."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        # Where sharing is refused, too, somebody holds it exclusively.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_BREATH)
    raise BlockingIOError
