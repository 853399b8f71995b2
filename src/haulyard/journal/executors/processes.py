"""Several processes that share the shards of one job on this machine.

Each is started afresh (spawn: the transport survives no fork), claims shards by their locks, and tells what
it did over a pipe. When the pipe ends, because the first process was killed, a worker stops as if it had been
asked to, so that nobody goes on unseen.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    #: What a worker does: gets its order and its line, returns when there is nothing left for it.
    Work = Callable[[Any, "Line"], Coroutine[Any, Any, None]]

#: Seconds for which a worker gathers what it has to tell.
_GATHERED: Final = 0.1
#: Seconds that a worker that is told to go gets before it is killed.
_PATIENCE: Final = 30.0


class Line:
    """The worker's end: what it tells goes out in bundles; ``stopped`` says whether it is to take no more."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bundle: list[Any] = []
        self._timer: asyncio.TimerHandle | None = None
        self._stop = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def stopped(self) -> bool:
        """Return whether the first process asked to stop, or is gone."""
        return self._stop.is_set()

    def tell(self, message: object) -> None:
        """Send a message soon; to be called in the event loop."""
        self._bundle.append(message)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHERED, self.flush)

    def flush(self) -> None:
        """Send what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        bundle, self._bundle = self._bundle, []
        if bundle:
            self._send(("told", bundle))

    def end(self, error: BaseException | None) -> None:
        """Send the last message."""
        self._send(("over", error))

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            self._stop.set()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            self._connection.recv()
        self._stop.set()


class Crew:
    """The first process's end: starts workers, hears them, and ends them all when one of them cannot go on.

    ``work`` is named as ``module:function``, for it is imported by the worker.
    """

    def __init__(self, work: str, orders: list[Any], hear: Callable[[Any], None]) -> None:
        self._hear = hear
        self._error: BaseException | None = None
        self._over = asyncio.Event()
        self._members: dict[int, tuple[BaseProcess, Connection]] = {}
        context = multiprocessing.get_context("spawn")
        for number, order in enumerate(orders):
            ours, theirs = context.Pipe()
            process = context.Process(target=_main, args=(work, order, theirs), daemon=True)
            process.start()
            theirs.close()
            self._members[number] = (process, ours)

    async def run(self, stopped: asyncio.Event | None = None) -> None:
        """Return when all workers have ended.

        Raises:
            JobError: One of them died.
            BaseException: What one of them could not go on for.
        """
        loop = asyncio.get_running_loop()
        for number, (_, connection) in self._members.items():
            loop.add_reader(connection.fileno(), self._read, number)
        watcher = asyncio.create_task(self._watch(stopped)) if stopped is not None else None
        try:
            await self._over.wait()
        finally:
            if watcher is not None:
                watcher.cancel()
            await self._disband()
        if self._error is not None:
            raise self._error

    def give_up(self, error: BaseException) -> None:
        """Ask all workers to take no more work, and raise ``error`` once they have ended."""
        self._error = self._error or error
        self.stop()

    def stop(self) -> None:
        """Ask all workers to take no more work."""
        for _, connection in self._members.values():
            try:
                connection.send("stop")
            except OSError:
                continue

    async def _watch(self, stopped: asyncio.Event) -> None:
        await stopped.wait()
        self.stop()

    def _read(self, number: int) -> None:
        process, connection = self._members[number]
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            self._leave(number, JobError(f"worker process {process.pid} died", hint="apply the job again"))
            return
        except Exception as error:  # noqa: BLE001 -- unpickling runs whatever code the message names
            problem = f"worker process {process.pid} said what nobody understands: {error}"
            self._leave(number, JobError(problem, hint="apply the job again"))
            return
        if kind == "told":
            for message in content:
                self._hear(message)
        else:
            self._leave(number, content)

    def _leave(self, number: int, error: BaseException | None) -> None:
        _, connection = self._members[number]
        asyncio.get_running_loop().remove_reader(connection.fileno())
        connection.close()
        del self._members[number]
        if error is not None:
            self.give_up(error)
        if not self._members:
            self._over.set()

    async def _disband(self) -> None:
        """End who is still there; a cancelled run waits for what is in flight."""
        left = list(self._members.values())
        self.stop()
        for process, connection in left:
            asyncio.get_running_loop().remove_reader(connection.fileno())
            connection.close()
            await asyncio.to_thread(process.join, _PATIENCE)
            if process.is_alive():
                process.kill()
        self._members.clear()


def _main(work: str, order: object, connection: Connection) -> None:
    """Be a worker."""
    import uvloop

    # Ctrl-C goes to the whole group; the first process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Line(connection)
    error: BaseException | None = None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_supervised(work, order, line))
        except Exception as raised:  # noqa: BLE001 -- it is the first process that reports it
            error = raised
    line.end(error)


async def _supervised(work: str, order: object, line: Line) -> None:
    module, _, name = work.partition(":")
    function: Work = getattr(import_module(module), name)
    try:
        await function(order, line)
    finally:
        line.flush()
