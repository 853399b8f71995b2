"""An event loop in a thread of its own, and calls into it from any other thread.

It also works where an event loop runs in the calling thread already, as in notebooks. The thread is started
by the first call and is a daemon, so that no program hangs at its end for a client that nobody closed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from haulyard.client.session import forked
from haulyard.errors import HaulError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

P = ParamSpec("P")
T = TypeVar("T")

#: Items of an iterator that are fetched by one call: as many as a page of a listing has.
_PAGE: Final = 1000


class Portal:
    """Runs coroutines in a thread of its own; any number of threads may call at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pid = 0
        self._is_closed = False

    def call(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in the loop and return its result.

        KeyboardInterrupt cancels it and waits until it has cleaned up; a second one does not wait.

        Raises:
            HaulError: The portal is closed, was started before a fork, or is called from its own loop.
        """
        portal = self._running()
        call = _Call(partial(function, *args, **kwargs), self._tasks)
        try:
            return portal.start_task_soon(call.run).result()
        except CancelledError:
            raise HaulError(
                "the client was closed during the call", hint="close it when all threads are done"
            ) from None
        except BaseException:
            # Its own error comes after its end; an interruption of this thread may come at any moment.
            if not call.is_over.is_set() and portal.start_task_soon(call.cancel).result():
                call.is_over.wait()
            raise

    def iterate(self, items: AsyncIterator[T], page: int = _PAGE) -> Iterator[T]:
        """Yield what ``items`` does, ``page`` of them fetched by one call."""
        try:
            while taken := self.call(_take, items, page):
                yield from taken
                if len(taken) < page:
                    return
        finally:
            self._end(items)

    def close(self, farewell: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what runs, run ``farewell`` in the loop, end loop and thread; closing twice is harmless.

        Does nothing in a child process: what a fork has copied belongs to the parent.
        """
        self._is_closed = True
        if self._is_foreign():
            return
        with self._lock:
            portal, self._portal = self._portal, None
        thread = self._thread
        if portal is None or thread is None:
            return
        if thread is threading.current_thread():
            # The garbage collector runs anywhere, in the loop's own thread as well.
            self._last = asyncio.get_running_loop().create_task(self._stop(portal, farewell))
            return
        portal.start_task_soon(self._stop, portal, farewell).result()
        thread.join()

    async def _stop(self, portal: BlockingPortal, farewell: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await farewell()
        await portal.stop()

    def _running(self) -> BlockingPortal:
        if self._is_foreign():
            raise forked()
        if self._thread is threading.current_thread():
            raise HaulError(
                "the client was called from its own event loop",
                hint="on_event must not call the client; put what is to be done into a queue",
            )
        with self._lock:
            if self._is_closed:
                raise HaulError(
                    "the client is closed", hint="make a new one, or do more inside the `with` block"
                )
            if self._portal is None:
                self._portal = self._start()
            return self._portal

    def _start(self) -> BlockingPortal:
        started: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=_serve, args=(started,), name="haulyard", daemon=True)
        self._thread.start()
        self._pid = os.getpid()
        return started.result()

    def _is_foreign(self) -> bool:
        """Whether this is a copy that a fork has made."""
        return self._pid not in {0, os.getpid()}

    def _end(self, items: AsyncIterator[T]) -> None:
        """Let go of an iterator, which may not have been read to its end."""
        close = getattr(items, "aclose", None)
        if close is not None:
            with suppress(HaulError):
                self.call(close)


class _Call(Generic[T]):
    """One call, which can be cancelled: once, as asyncio does it (see `haulyard.client.cancelling`)."""

    def __init__(self, function: Callable[[], Coroutine[Any, Any, T]], tasks: set[asyncio.Task[Any]]) -> None:
        self.is_over = threading.Event()
        self._function = function
        self._tasks = tasks
        self._task: asyncio.Task[Any] | None = None

    async def run(self) -> T:
        self._task = task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            return await self._function()
        finally:
            if task is not None:
                self._tasks.discard(task)
            self.is_over.set()

    async def cancel(self) -> bool:
        """Cancel the call; False where it was interrupted before it came to run, and will not.

        Calls are begun in their order, so one that was handed over before this has begun.
        """
        if self._task is None:
            return False
        self._task.cancel()
        return True


def _serve(started: Future[BlockingPortal]) -> None:
    """Run a loop until its portal is stopped: the body of the thread."""

    async def main() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    try:
        anyio.run(main, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


async def _take(items: AsyncIterator[T], count: int) -> list[T]:
    """Return the next ``count`` items, fewer only at the end."""
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken
