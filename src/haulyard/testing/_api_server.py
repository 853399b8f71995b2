"""The scripted API itself: who listens, in which loop, and what a test may ask of it."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from haulyard.testing._api_connection import ApiConnection, ApiWorld
from haulyard.testing._api_script import Call, Log, Rule, windows

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

HOST: Final = "127.0.0.1"
_BACKLOG: Final = 4096


class ApiServer:
    """The scripted API: `with` in a thread of its own, `async with` in the caller's loop.

    Args:
        rules: What happens to calls. For each the first rule that hits it counts.
        limit: So many calls in any sliding window of so many seconds are let in; those above are answered
            429 without further ado and counted as `violations`. Short for a first rule
            `Rule(429, limit=limit)`.
        log: A file to which each call is appended before it is answered; see `read_log`.
        in_memory: Keep the calls for `calls` and `wait_for`.
        bodies: Keep their bodies, in memory and in the file.
        port: The port to listen on; 0 for any free one.
    """

    def __init__(
        self,
        *rules: Rule,
        limit: tuple[int, float] | None = None,
        log: str | os.PathLike[str] | None = None,
        in_memory: bool = True,
        bodies: bool = True,
        port: int = 0,
    ) -> None:
        self._limiting = () if limit is None else (Rule(429, limit=limit),)
        path = None if log is None else str(log)
        self._log = Log(path, in_memory=in_memory, bodies=bodies)
        self._world = ApiWorld(self._log)
        self._waiting: list[tuple[Callable[[Call], bool], list[int], Future[Call]]] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._listener: socket.socket | None = None
        self._wanted = port
        self._accepting: set[asyncio.Task[None]] = set()
        # It only holds the port: between `die` and `come_back` nobody else may get it.
        self._holder: socket.socket
        self.script(*rules)

    def __enter__(self) -> Self:
        self._holder = bound(self._wanted)
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="api-server", daemon=True)
        self._thread.start()
        started.wait()
        self.come_back()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join()

    async def __aenter__(self) -> Self:
        self._holder = bound(self._wanted)
        self._loop = asyncio.get_running_loop()
        self.come_back()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    @property
    def port(self) -> int:
        """The port it listens on, the same after `come_back`."""
        port: int = self._holder.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its origin: `http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.port}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call so far, in the order in which they were read."""
        return tuple(self._log.calls)

    @property
    def violations(self) -> int:
        """How many calls were above a limit."""
        return self._world.violations

    @property
    def held(self) -> int:
        """How many calls wait for `release`."""
        return len(self._world.held)

    def windows(self, seconds: float) -> int:
        """Return the most calls, refused ones included, that arrived in any sliding window of ``seconds``."""
        return windows((call.time for call in self.calls), seconds)

    def script(self, *rules: Rule) -> None:
        """Replace all rules, the limit aside; what they had counted is forgotten, also by the limit."""
        self._world.script((*self._limiting, *rules))

    def release(self) -> None:
        """Answer all calls that hang now; later ones hang again."""
        self._in_loop(self._world.release)

    def die(self) -> None:
        """Reset every connection and refuse new ones, as a server does whose process was killed."""
        self._in_loop(self._stop_listening)

    def come_back(self) -> None:
        """Listen again, on the same port."""
        self._in_loop(self._listen)

    def wait_for(
        self, predicate: Callable[[Call], bool] = bool, timeout: float = 10.0, *, count: int = 1
    ) -> Call:
        """Wait until ``count`` calls that satisfy ``predicate`` have been read, and return that one.

        Calls from before count. Not for the server's own loop, which has `wait_for_async`.

        Raises:
            TimeoutError: If there are not so many in time.
        """
        return self._watched(predicate, count).result(timeout)

    async def wait_for_async(
        self,
        predicate: Callable[[Call], bool] = bool,
        timeout: float = 10.0,  # noqa: ASYNC109 - the same face as wait_for
        *,
        count: int = 1,
    ) -> Call:
        """Do as `wait_for`, without blocking the caller's event loop."""
        async with asyncio.timeout(timeout):
            return await asyncio.wrap_future(self._watched(predicate, count))

    def _watched(self, predicate: Callable[[Call], bool], count: int) -> Future[Call]:
        found: Future[Call] = Future()

        def watch() -> None:
            self._waiting.append((predicate, [count], found))
            for call in self._log.calls:
                self._tell(call)
            self._log.watch = self._tell

        self._in_loop(watch)
        return found

    def _tell(self, call: Call) -> None:
        for predicate, left, found in self._waiting:
            if not found.done() and predicate(call):
                left[0] -= 1
                if left[0] == 0:
                    found.set_result(call)
        self._waiting = [entry for entry in self._waiting if not entry[2].done()]

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(started.set)
            self._loop.run_forever()

    def _in_loop(self, action: Callable[[], None]) -> None:
        """Do something in the server's loop, and return when it is done."""
        if self._thread is None or threading.current_thread() is self._thread:
            action()
            return
        done: Future[None] = Future()

        def act() -> None:
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                done.set_exception(error)
            else:
                done.set_result(None)

        self._loop.call_soon_threadsafe(act)
        done.result()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = bound(self.port)
            self._listener.listen(_BACKLOG)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                accepted, _ = listener.accept()
                accepted.setblocking(False)  # noqa: FBT003 - its only argument
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                task = self._loop.create_task(self._serve(accepted))
                self._accepting.add(task)
                task.add_done_callback(self._accepting.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        world = self._world
        await self._loop.connect_accepted_socket(lambda: ApiConnection(world, accepted), accepted)
        if self._listener is None:
            # It died between accepting the connection and serving it.
            self._stop_listening()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for connection in tuple(self._world.connections):
            connection.reset()

    async def _end(self) -> None:
        self._stop_listening()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._stop_listening()
        while self._world.connections:  # noqa: ASYNC110 - no event tells
            # A connection that was reset is let go of some turns of the loop later.
            await asyncio.sleep(0)
        self._holder.close()
        self._log.close()


def bound(port: int) -> socket.socket:
    """Return a socket that has a port of the loopback interface; it does not listen."""
    own = socket.socket()
    # Two may be bound to a port this way; only the one that listens gets connections.
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.setblocking(False)  # noqa: FBT003 - its only argument
    own.bind((HOST, port))
    return own


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop for the server: the fast one."""
    import uvloop

    return uvloop.new_event_loop
