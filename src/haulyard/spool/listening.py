"""Where events come from: standard input, and programs that connect to a Unix socket.

A connection carries one stream of events. Whenever some of it is durable, and at its end, it gets a line:
``{"events": 1200, "rejected": 3}``, both counted from its beginning. A client that waits until the two add up
to what it has sent loses nothing, whatever happens; what was not acknowledged it sends again. What comes in
on all connections meanwhile is written together: one fsync for all of it. Where a stream cannot be read any
further, ``{"error": …}`` is the last line.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import orjson

from haulyard.errors import ConfigError, SpoolError
from haulyard.spool.documents import Batch

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable

    from haulyard.spool.framing import Framer
    from haulyard.spool.rotating import RotatingSpool

#: Bytes that are framed and written at a time.
_MOST: Final = 1 << 20
_PIECE: Final = 1 << 18
#: Seconds for the last acknowledgements to be read.
_GRACE: Final = 2.0


def pump(descriptor: int, framer: Framer, spool: RotatingSpool, stop: int) -> bool:
    """Write all that can be read from ``descriptor``; True at its end, False once ``stop`` can be read from.

    What was read by then is written, an event that is cut off is rejected.

    Raises:
        ConfigError: It cannot be read.
        SpoolError: Events cannot be written, or not be found any more.
    """
    _widen(descriptor)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(stop, select.POLLIN)
    while True:
        ready = {each for each, _ in poll.poll()}
        if stop in ready:
            spool.append(framer.finish(stopped=True))
            return False
        data, is_end = _read(descriptor, poll)
        if data:
            spool.append(framer.feed(data))
        if is_end or framer.broken is not None:
            spool.append(framer.finish())
        if framer.broken is not None:
            raise framer.broken
        if is_end:
            return True


def _read(descriptor: int, poll: select.poll) -> tuple[bytes, bool]:
    """Return what is there, at least something; and whether it was the last."""
    pieces: list[bytes] = []
    size = 0
    while size < _MOST:
        try:
            piece = os.read(descriptor, _MOST - size)
        except OSError as error:
            raise ConfigError(
                f"standard input cannot be read: {error.strerror}", hint="pipe events into it"
            ) from None
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size += len(piece)
        if not any(each == descriptor for each, _ in poll.poll(0)):
            break
    return b"".join(pieces), False


def _widen(descriptor: int) -> None:
    """Let a pipe hold more than 64 KiB: fewer, larger writes."""
    with suppress(ImportError, OSError):
        from fcntl import F_SETPIPE_SZ, fcntl

        fcntl(descriptor, F_SETPIPE_SZ, _MOST)


class SocketListener:
    """Takes events from whoever connects to a Unix socket."""

    def __init__(self, path: str, framer: Callable[[], Framer], spool: RotatingSpool) -> None:
        self._path = path
        self._framer = framer
        self._spool = spool
        self._waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Listen until ``stop``; then what has arrived whole is written and acknowledged.

        Raises:
            ConfigError: The socket cannot be made, or another program listens there.
            SpoolError: Events cannot be written.
        """
        self._clear_path()
        try:
            server = await asyncio.start_unix_server(self._accept, path=self._path, limit=_PIECE)
            mine = os.stat(self._path).st_ino
        except OSError as error:
            raise ConfigError(
                f"{self._path} cannot be listened on: {error.strerror or error}",
                hint="name a short path, at most 107 bytes, in a directory that this user may write to",
            ) from error
        ready()
        stopped = asyncio.create_task(stop.wait())
        committing = asyncio.create_task(self._commit_all())
        try:
            await asyncio.wait({stopped, committing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            server.close()
            with suppress(OSError):
                if os.stat(self._path).st_ino == mine:
                    os.unlink(self._path)
            await self._end()
            committing.cancel()
            with suppress(asyncio.CancelledError):
                await committing

    def _clear_path(self) -> None:
        """Remove the socket of a program that has ended; it must not be anything else."""
        try:
            if not stat.S_ISSOCK(os.lstat(self._path).st_mode):
                raise ConfigError(f"{self._path} is there, and no socket", hint="name another path")
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self._path)
            except ConnectionRefusedError:
                os.unlink(self._path)
            except OSError as error:
                raise ConfigError(
                    f"{self._path} is there: {error.strerror}", hint="name another path"
                ) from None
            else:
                raise ConfigError(
                    f"another program listens on {self._path}", hint="stop it, or name another path"
                )

    async def _end(self) -> None:
        self._is_stopping = True
        for task in self._reading:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_GRACE)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        # A client that went away is told nothing, nor is one whose events cannot be written: it sends again.
        with suppress(OSError, asyncio.CancelledError, SpoolError):
            try:
                await self._take(reader, writer)
            finally:
                writer.close()

    async def _take(self, reader: StreamReader, writer: StreamWriter) -> None:
        framer = self._framer()
        accepted = rejected = 0
        is_open = True
        while is_open and not self._is_stopping:
            data = await self._read(reader)
            is_open = bool(data)
            batch = framer.feed(data) if data else framer.finish()
            if framer.broken is not None:
                is_open = False
                rest = framer.finish()
                batch = Batch(batch.events + rest.events, batch.rejected + rest.rejected)
            if batch.events or batch.rejected:
                await self._commit(batch)
                accepted += len(batch.events)
                rejected += batch.taken - len(batch.events)
            if batch.taken or not data:
                writer.write(_line({"events": accepted, "rejected": rejected}))
            if framer.broken is not None:
                writer.write(_line({"error": str(framer.broken)}))
            await writer.drain()

    async def _read(self, reader: StreamReader) -> bytes:
        task = asyncio.current_task()
        if task is not None:
            self._reading.add(task)
        try:
            return await reader.read(_PIECE)
        finally:
            if task is not None:
                self._reading.discard(task)

    async def _commit(self, batch: Batch) -> None:
        """Return once the batch is durable."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        self._arrived.set()
        await done

    async def _commit_all(self) -> None:
        """Write what has arrived, all of it together, over and over; raise where that fails."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            waiting, self._waiting = self._waiting, []
            whole = Batch([], [])
            for batch, _ in waiting:
                whole.events.extend(batch.events)
                whole.rejected.extend(batch.rejected)
            try:
                await anyio.to_thread.run_sync(self._spool.append, whole)
            except BaseException as error:
                for _, done in [*waiting, *self._waiting]:
                    if not done.done():
                        done.set_exception(SpoolError(str(error)))
                raise
            for _, done in waiting:
                if not done.done():
                    done.set_result(None)


def _line(fields: dict[str, object]) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
