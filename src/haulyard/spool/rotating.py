"""`RotatingSpool`: events into files that are there whole, or not at all.

A file is ``NAME.active`` while it is written, and gets its name when it is finished: ended, on the disk,
renamed, and the directory on the disk, too. What was written when `RotatingSpool.write` returned survives any
kill and a power failure. The directory ``.haul-spool`` holds the lock and which names were given.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import anyio.to_thread

from haulyard.errors import ConfigError, SpoolError
from haulyard.events import Warned, ignore
from haulyard.journal import durable
from haulyard.journal.lock import Lock
from haulyard.spool.active import ActiveFile, check_root, footer_of
from haulyard.spool.documents import Batch, judge
from haulyard.spool.naming import ACTIVE, ENDINGS, Given, parse, variants
from haulyard.spool.packing import packer
from haulyard.spool.recovery import recover
from haulyard.spool.rejects import Rejections
from haulyard.spool.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from haulyard.events import Emit
    from haulyard.spool.documents import Form, Rejected

OWN: Final = ".haul-spool"
MAX_BYTES: Final = 64 * 1024**2
MAX_AGE: Final = 300.0
#: Bytes that are compressed before the size of the file is looked at.
_PIECE: Final = 1 << 20


class Written(NamedTuple):
    """How many events of a batch are in files now, and those that are in ``rejected/``."""

    accepted: int
    rejected: list[Rejected]


class Rotated(NamedTuple):
    """A file that is finished: its ``size`` in bytes, and why: ``size age events asked closed recovered``."""

    path: str
    events: int
    size: int
    why: str


class RotatingSpool:
    """One directory that events are written to; one process has it at a time, its threads share it.

    Args:
        directory: Made where it does not exist.
        form: ``json``, one event a line, or ``xml``, one document with the events in a root element.
        root: The name of that element.
        max_bytes: Of a file; a longer event has a file of its own. Of a compressed one about.
        max_age: Seconds from the first event of a file to its end; 0 for any time.
        max_events: Of a file; 0 for any number.
        compress: ``gzip``, ``zstd`` or nothing.
        min_free: Bytes of the disk that are left alone: writing waits until there are more. 256 MiB unless
            stated, or 5 % of a filesystem that is smaller than 5 GiB.
        on_rotated: Is told of each file, by the thread that finished it.
        emit: Is told when writing waits, likewise.
        clock: Epoch seconds, for names.

    Raises:
        ConfigError: An argument makes no sense, or the directory cannot be used.
        JobError: Another process has the directory.
        SpoolError: What another process left there cannot be repaired.

    Example:
        >>> with RotatingSpool("spool", form="xml") as spool:
        ...     spool.write(["<event id='1'/>", "<event id='2'/>"]).accepted
        2
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        form: Form = "json",
        root: str = "events",
        max_bytes: int = MAX_BYTES,
        max_age: float = MAX_AGE,
        max_events: int = 0,
        compress: str = "",
        min_free: int | None = None,
        on_rotated: Callable[[Rotated], None] | None = None,
        emit: Emit = ignore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if form not in {"json", "xml"}:
            raise ConfigError(f"{form} is no form of events", hint="json or xml")
        packer(compress)
        self.directory = os.path.abspath(directory)
        self.accepted = self.rejected = self.files = 0
        self._form: Form = form
        self._root = check_root(root)
        self._footer = len(footer_of(form, root))
        self._max_bytes, self._max_age = max(1, max_bytes), max_age
        self._max_events, self._compress = max_events, compress
        self._on_rotated = on_rotated
        self._emit = emit
        self._clock = clock
        self._active: ActiveFile | None = None
        self._timer: threading.Timer | None = None
        self._failed: BaseException | None = None
        self._is_closed = False
        self._access = threading.RLock()
        self._open(min_free)

    def write(self, events: Iterable[bytes | str]) -> Written:
        """Write a batch; when this returns it is durable: in files, or in ``rejected/`` with the reason.

        It waits while the disk is nearly full.

        Raises:
            SpoolError: It cannot be written; any of it may have been.
        """
        raw = [
            each.encode(errors="surrogatepass") if isinstance(each, str) else bytes(each) for each in events
        ]
        batch = judge(self._form, raw)
        self.append(batch)
        return Written(len(batch.events), batch.rejected)

    async def awrite(self, events: Iterable[bytes | str]) -> Written:
        """Do as `write`, in a thread; it is not left behind where the caller is cancelled."""
        return await anyio.to_thread.run_sync(self.write, list(events))

    def append(self, batch: Batch) -> None:
        """Write what was judged already; as `write`."""
        size = sum(map(len, batch.events)) + sum(len(each.event) for each in batch.rejected)
        with self._access:
            self._check()
            self._room.wait(size)
            with self._guarded():
                self._append(batch)
            self.accepted += len(batch.events)
            self.rejected += batch.taken - len(batch.events)

    def rotate(self) -> str | None:
        """Finish the active file now; return its path, None where there is none.

        Raises:
            SpoolError: It cannot be finished.
        """
        with self._access:
            self._check()
            return self._finish("asked")

    def hurry(self) -> None:
        """Let nobody wait for room any more: what is left alone of the disk is used, or writing fails."""
        self._room.hurry()

    def close(self) -> None:
        """Finish the active file, and let others have the directory; closing twice is harmless.

        Who waits for room to write waits no longer.

        Raises:
            SpoolError: The active file cannot be finished; the next one to open the directory does that.
        """
        self.hurry()
        with self._access:
            if self._is_closed:
                return
            self._is_closed = True
            try:
                if self._failed is None:
                    self._finish("closed")
            finally:
                self._abandon()
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, min_free: int | None) -> None:
        own = os.path.join(self.directory, OWN)
        try:
            os.makedirs(own, exist_ok=True)
            self._room = Room(self.directory, min_free, self._emit)
        except OSError as error:
            raise ConfigError(
                f"{self.directory} cannot be a spool directory: {error.strerror}",
                hint="name a directory that this user may write to",
            ) from error
        self._names = os.path.join(own, "names.json")
        self._rejections = Rejections(self.directory, self._room, self._clock)
        self._lock = Lock.acquire(
            os.path.join(own, "lock"), command="spool", what=f"the spool directory {self.directory}"
        )
        try:
            found = sorted(each for each in os.listdir(self.directory) if parse(each))
            self._given = self._read_given().with_names(found)
            self._rejections.mend()
            for name in found:
                if name.endswith(ACTIVE):
                    self._recover(name)
        except OSError as error:
            self._lock.release()
            raise SpoolError(
                f"what was left in {self.directory} cannot be repaired: {error.strerror}",
                hint="look at the disk and at permissions; nothing was removed",
            ) from error
        except BaseException:
            self._lock.release()
            raise

    def _recover(self, name: str) -> None:
        repaired = recover(self.directory, name, self._rejections, self._room)
        if repaired is not None:
            self._publish(repaired, "recovered")

    def _append(self, batch: Batch) -> None:
        events = batch.events
        self._rejections.add(batch.rejected)
        at = 0
        while at < len(events):
            active = self._active or self._begin()
            count = self._fitting(active, events, at)
            active.add(events[at : at + count] if at or count < len(events) else events)
            at += count
            if self._max_events and active.events >= self._max_events:
                self._finish("events")
            elif not count or active.size + self._footer >= self._max_bytes:
                self._finish("size")
        if self._active is not None:
            self._active.sync()

    def _fitting(self, active: ActiveFile, events: list[bytes], at: int) -> int:
        """Return how many events from ``at`` on go into the file; 0 where it is full."""
        most = len(events) - at
        if self._max_events:
            most = min(most, self._max_events - active.events)
        size = _PIECE if self._compress else self._max_bytes - self._footer - active.size
        following = events[at : at + most] if at or most < len(events) else events
        if sum(map(len, following)) + most <= size:
            return most
        count = 0
        for total in accumulate(len(each) + 1 for each in following):
            if total > size:
                break
            count += 1
        # One that is longer than a file may be has a file of its own.
        return count or int(self._compress != "" or not active.events)

    def _begin(self) -> ActiveFile:
        name = self._next_name()
        path = os.path.join(self.directory, name + ACTIVE)
        active = self._active = ActiveFile(
            path, self._form, self._room, root=self._root, compress=self._compress
        )
        if self._max_age:
            self._timer = threading.Timer(self._max_age, self._on_age, (active,))
            self._timer.daemon = True
            self._timer.start()
        return active

    def _next_name(self) -> str:
        """Give a name: that it is given is on the disk when this returns."""
        while True:
            stem, self._given = self._given.next(self._clock())
            if not any(os.path.lexists(os.path.join(self.directory, each)) for each in variants(stem)):
                break
        content = json.dumps(self._given._asdict()).encode() + b"\n"
        self._room.patiently(lambda: durable.replace(self._names, content))
        return f"{stem}.{self._form}{ENDINGS[self._compress]}"

    def _read_given(self) -> Given:
        # Without it, or with one that was tampered with, the names in the directory have to do.
        with suppress(OSError, ValueError, LookupError, TypeError):
            with open(self._names, "rb") as file:
                fields = json.loads(file.read())
            return Given(int(fields["latest"]), int(fields["within"]), int(fields["most"]))
        return Given()

    def _on_age(self, active: ActiveFile) -> None:
        with self._access:
            if self._active is not active or self._failed is not None:
                return
            try:
                self._finish("age")
            except SpoolError as error:
                self._emit(Warned(str(error), hint=error.hint))

    def _finish(self, why: str) -> str | None:
        active = self._active
        if active is None:
            return None
        if self._timer is not None:
            self._timer.cancel()
        with self._guarded():
            active.finish()
            self._active = None
            return self._publish(active, why)

    def _publish(self, active: ActiveFile, why: str) -> str:
        """Give a finished file its name."""
        path = active.path.removesuffix(ACTIVE)
        if os.path.lexists(path):
            # Somebody else has taken it meanwhile.
            _, ending = os.path.basename(path).split(".", 1)
            stem = self._next_name().split(".", 1)[0]
            path = os.path.join(self.directory, f"{stem}.{ending}")
        os.rename(active.path, path)
        durable.fsync_directory(self.directory)
        self.files += 1
        if self._on_rotated is not None:
            self._on_rotated(Rotated(path, active.events, active.size, why))
        return path

    def _check(self) -> None:
        if self._is_closed:
            raise SpoolError("the spool is closed", hint="open it again")
        if self._failed is not None:
            raise SpoolError(
                f"the spool has failed before: {self._failed}",
                hint="open it again: what was written is repaired then",
            )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let the spool have failed where this does: what is in the active file is not certain any more."""
        try:
            yield
        except BaseException as error:
            self._failed = self._failed or error
            self._abandon()
            if isinstance(error, OSError):
                raise SpoolError(
                    f"events cannot be written to {self.directory}: {error.strerror}",
                    hint="look at the disk and at permissions; send again what was not acknowledged",
                ) from error
            raise

    def _abandon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._active is not None:
            self._active.abandon()
            self._active = None
