"""Runs a spool: its directory, its end by signal, SIGHUP, and what is said of it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import anyio.to_thread

from haulyard.cli import exits
from haulyard.config import SHIPPING
from haulyard.errors import ConfigError, SpoolError
from haulyard.events import Warned
from haulyard.spool.framing import framer_of
from haulyard.spool.listening import SocketListener, pump
from haulyard.spool.rotating import RotatingSpool
from haulyard.spool.sd_notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.cli.context import Context
    from haulyard.cli.spool_options import Options
    from haulyard.events import Event
    from haulyard.spool.rotating import Rotated

_STDIN = 0
#: Seconds to write what was read; a slow disk may need them.
_GRACE = 30.0


@dataclass(frozen=True, slots=True)
class File:
    """A file that is finished."""

    kind: ClassVar[str] = "file"
    rotated: Rotated

    def text(self) -> str:
        """Return it for people."""
        path, events, size, why = self.rotated
        return f"{path}  {events:,} events, {size:,} bytes ({why})"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return self.rotated._asdict()


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a run."""

    kind: ClassVar[str] = "spooled"
    directory: str
    events: int
    rejected: int
    files: int

    def text(self) -> str:
        """Return it for people."""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        rejected = f", {self.rejected:,} rejected (see {self.directory}/rejected/)" if self.rejected else ""
        return f"{self.events:,} events in {files}{rejected}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return asdict(self)


async def spool(options: Options, context: Context) -> int:
    """Write what comes in, until its end or a signal."""
    directory = _directory(options, context)
    loop = asyncio.get_running_loop()

    def emit(event: Event) -> None:
        loop.call_soon_threadsafe(context.emit, event)

    def tell(rotated: Rotated) -> None:
        loop.call_soon_threadsafe(_say, context, File(rotated))

    open_spool = partial(
        RotatingSpool,
        directory,
        form=options.form,
        root=options.root,
        max_bytes=options.max_bytes,
        max_age=options.max_age,
        max_events=options.max_events,
        compress=options.compress,
        min_free=options.min_free,
        on_rotated=tell,
        emit=emit,
    )
    notifier = Notifier.from_environ(os.environ, pid=os.getpid())
    context.stop.grace = _GRACE
    with context.stop.attended():
        spool = await anyio.to_thread.run_sync(open_spool)
        try:
            with _rotated_on_hangup(spool, context):
                is_at_end = await _take(options, spool, notifier, context)
        finally:
            notifier.stopping()
            await anyio.to_thread.run_sync(spool.close)
            # What was told from threads is said before the sum.
            await asyncio.sleep(0)
        context.output.result(Summary(directory, spool.accepted, spool.rejected, spool.files))
    if not is_at_end:
        return exits.INTERRUPTED
    return exits.FAILED if spool.rejected and not options.socket else exits.OK


def _say(context: Context, file: File) -> None:
    # Where the reader of standard output has gone away, events are taken all the same; the end tells.
    with suppress(OSError):
        context.output.result(file)


async def _take(options: Options, spool: RotatingSpool, notifier: Notifier, context: Context) -> bool:
    """Return whether all was taken that there was; a socket has no end that could be missed."""
    framer = partial(framer_of, options.form, options.framing, max_event=options.max_event)
    if not options.socket:
        notifier.ready()
        return await _from_stdin(partial(pump, _STDIN, framer(), spool), spool, context)
    stop = asyncio.Event()
    watcher = asyncio.create_task(_watch(stop, spool, context))
    listener = SocketListener(options.socket, framer, spool)

    def ready() -> None:
        notifier.ready()
        context.output.note(f"listening on {options.socket}")

    try:
        await listener.serve(stop, ready)
    finally:
        watcher.cancel()
    return True


async def _watch(stop: asyncio.Event, spool: RotatingSpool, context: Context) -> None:
    await context.stop.wait()
    spool.hurry()
    stop.set()


async def _from_stdin(pump: partial[bool], spool: RotatingSpool, context: Context) -> bool:
    heard, speak = os.pipe()

    def work() -> bool:
        try:
            return pump(heard)
        finally:
            os.close(heard)

    async def watch() -> None:
        await context.stop.wait()
        spool.hurry()
        os.write(speak, b"!")

    watcher = asyncio.create_task(watch())
    try:
        return await anyio.to_thread.run_sync(work)
    finally:
        watcher.cancel()
        # Also a way to say it, to a thread that was left behind.
        os.close(speak)


@contextmanager
def _rotated_on_hangup(spool: RotatingSpool, context: Context) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    rotating: set[asyncio.Task[None]] = set()

    async def rotate() -> None:
        try:
            await anyio.to_thread.run_sync(spool.rotate)
        except SpoolError as error:
            context.emit(Warned(str(error), hint=error.hint))

    def on_hangup() -> None:
        task = loop.create_task(rotate())
        rotating.add(task)
        task.add_done_callback(rotating.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _directory(options: Options, context: Context) -> str:
    table = {"spool_dir": SHIPPING["spool_dir"]}
    values, _ = context.resolve_owned(table, {"spool_dir": options.directory or None})
    directory = str(values.get("spool_dir", ""))
    if not directory:
        raise ConfigError(
            "no directory is named", hint="write haul spool DIR, or set HAUL_SPOOL_DIR in the environment"
        )
    return directory
