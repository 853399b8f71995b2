"""A relay between the program and a server, which counts what passes and can stop it at any piece."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable

_PIECE = 64 * 1024


class Gate:
    """Relays connections to ``port`` of the loopback interface, from a thread of its own.

    ``pieces`` counts reads of up to 64 KiB in both directions: the progress of whatever talks through it.
    """

    def __init__(self, port: int) -> None:
        self.pieces = 0
        self.cuts = 0
        """How many connections were cut by `cut_at_random`."""
        self._target = port
        self._chance: Callable[[], bool] = lambda: False
        self._at = 0
        self._action: Callable[[], None] = lambda: None
        self._started = threading.Event()
        self._stop: asyncio.Event
        self._open: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self.port = 0

    @property
    def url(self) -> str:
        """The endpoint to be given to the program."""
        return f"http://127.0.0.1:{self.port}"

    def expect(self, piece: int, action: Callable[[], None]) -> None:
        """Count from 0 again, and call ``action`` before the piece of that number passes, once."""
        self.pieces = 0
        self._at = piece
        self._action = action

    def cut_at_random(self, chance: Callable[[], bool]) -> None:
        """Ask ``chance`` before each piece whether its connection is to be cut there and then."""
        self.cuts = 0
        self._chance = chance

    def close(self) -> None:
        """Let nothing pass any more; to be called by the action, or from outside."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def open(self) -> None:
        """Let everything pass again."""
        self._loop.call_soon_threadsafe(self._open.set)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._open = asyncio.Event(), asyncio.Event()
        self._open.set()
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: StreamReader, writer: StreamWriter) -> None:
            task = asyncio.ensure_future(self._relay(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
            finally:
                writer.transport.abort()
                there_writer.transport.abort()

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(_PIECE):
            self.pieces += 1
            if self.pieces == self._at:
                self._action()
                # A closing of the gate takes effect before this very piece.
                await asyncio.sleep(0)
            await self._open.wait()
            if self._chance():
                self.cuts += 1
                # Not in good order: what was on its way is lost.
                writer.transport.abort()
                raise ConnectionAbortedError
            writer.write(data)
            await writer.drain()
        writer.close()
