"""When it is worth looking into a directory again: something may have come.

Three sources: the kernel's file events (the package ``watchfiles``, extra ``spool``), which network
filesystems do not have and whose queue can overflow; the directory's own time of change, which one ``stat``
tells and which every new name changes; and a look every ``rescan`` seconds, whatever these say.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from haulyard.events import Warned, ignore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from watchfiles import Change

    from haulyard.events import Emit

RESCAN: Final = 60.0
"""Seconds between two looks that nothing gave reason for."""

#: Seconds between two looks at the directory's time: beside file events, and without them.
_SELDOM: Final = 5.0
_OFTEN: Final = 0.5
#: Milliseconds: how often the watcher's thread looks whether events came, and for how long it gathers them,
#: which counts at 50 files a second: another one is always on its way. From rename to waking that takes 37 ms
#: in the median and 75 in 99 of 100 cases (two cores, 50 files a second), idle 0.15 % of a core; with steps
#: of 50 ms it is 50 and 101 ms, and 0.09 %.
_STEP: Final = 25
_GATHER: Final = 50
#: A time of change younger than this may hide another change: clocks of filesystems tick every 1 to 10 ms.
_TICK_NS: Final = 20_000_000
_JUST_NOW: Final = -1
_UNFINISHED: Final = (".active", ".part", ".tmp")
_DELETED: Final = 3
_NOWHERE: Final = (0, 0)


class Arrivals:
    """Yields None whenever something may have come; however much came meanwhile, it is once.

    The first is due at once. It never ends by itself: cancel who waits for it.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event.set()

    def wake(self) -> None:
        """Let the next look happen now, from within the event loop."""
        self._event.set()

    def __aiter__(self) -> Arrivals:
        return self

    async def __anext__(self) -> None:
        await self._event.wait()
        # Before the look, not after it: what comes during the look is worth another one.
        self._event.clear()


@asynccontextmanager
async def watching(
    directory: str,
    *,
    rescan: float = RESCAN,
    emit: Emit = ignore,
) -> AsyncIterator[Arrivals]:
    """Watch a directory, not those below it, while the block lasts.

    Args:
        directory: May be missing for a while, or be replaced by another one of the same name.
        rescan: Seconds between two looks that nothing gave reason for.
        emit: Told where there are no file events, so that new files are seen half a second later.
    """
    arrivals = Arrivals()
    watch = _Watch(directory, arrivals, emit)
    tasks = [
        asyncio.create_task(watch.follow_events()),
        asyncio.create_task(watch.follow_time()),
        asyncio.create_task(_every(rescan, arrivals.wake)),
    ]
    try:
        yield arrivals
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Watch:
    """One directory that is watched."""

    def __init__(self, directory: str, arrivals: Arrivals, emit: Emit) -> None:
        self._directory = directory
        self._arrivals = arrivals
        self._emit = emit
        self._has_events = False
        self._moved = asyncio.Event()
        self._identity, self._changed = _look(directory)

    async def follow_events(self) -> None:
        """Wake on file events, of whatever directory has the name at the moment."""
        try:
            from watchfiles import awatch
        except ImportError:
            self._warn("watchfiles is not installed", "pip install 'haulyard[spool]'")
            return
        while True:
            self._moved.clear()
            try:
                self._has_events = True
                async for _ in awatch(
                    self._directory,
                    watch_filter=_is_arrival,
                    debounce=_GATHER,
                    step=_STEP,
                    recursive=False,
                    stop_event=self._moved,
                ):
                    self._arrivals.wake()
            except FileNotFoundError:
                self._has_events = False
                await self._moved.wait()
            except (OSError, RuntimeError) as error:
                # The kernel has no watch left, or the watcher's thread failed.
                self._has_events = False
                self._warn(f"no file events ({error})", "")
                return

    async def follow_time(self) -> None:
        """Wake when the directory's time of change is another one, or the name means another directory.

        The first look comes soon: what came while the watch was being set up made no event.
        """
        pause = _OFTEN
        while True:
            await asyncio.sleep(pause)
            pause = _SELDOM if self._has_events else _OFTEN
            identity, changed = _look(self._directory)
            if identity != self._identity:
                self._moved.set()
                pause = _OFTEN
            if (identity, changed) != (self._identity, self._changed) or changed == _JUST_NOW:
                self._arrivals.wake()
            self._identity, self._changed = identity, changed

    def _warn(self, what: str, hint: str) -> None:
        self._emit(Warned(f"{what}: new files are looked for every {_OFTEN:g} s", hint))


def _is_arrival(change: Change, path: str) -> bool:
    name = os.path.basename(path)
    # 3 is `Change.deleted`; what is being written is none yet, and its writer makes events all the time.
    return change != _DELETED and not name.startswith(".") and not name.endswith(_UNFINISHED)


def _look(directory: str) -> tuple[tuple[int, int], int]:
    """Return which directory it is, and when its names last changed, or `_JUST_NOW`."""
    try:
        status = os.stat(directory)
    except OSError:
        return _NOWHERE, 0
    fresh = abs(time.time_ns() - status.st_mtime_ns) < _TICK_NS
    return (status.st_dev, status.st_ino), _JUST_NOW if fresh else status.st_mtime_ns


async def _every(seconds: float, wake: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        wake()
