"""Threads of the transport that are about to be done with Python, waited for.

What ends a request is told to the event loop by a native thread, which holds the interpreter's lock for that.
The loop may be awake, and the program at its end, before that thread has got the lock back to let go of it.
While the interpreter ends, such a thread is ended by force, in the midst of native code: the process dies by
SIGABRT although all of its work is done.
"""

from __future__ import annotations

import asyncio
from _thread import _count
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two looks; the threads need microseconds, once they run.
_PAUSE: Final = 0.001
#: Seconds of waiting, at most: a thread may be in the interpreter for good, by another library.
_PATIENCE: Final = 0.25


class _Resident:
    """How many native threads stayed in the interpreter when they were last waited for in vain."""

    count = 0


async def native_threads_left() -> None:
    """Return once no native thread is in the interpreter, but for those that are there for good."""
    rounds = round(_PATIENCE / _PAUSE)
    for _ in range(rounds):
        if _native_threads() <= _Resident.count:
            return
        await asyncio.sleep(_PAUSE)
    _Resident.count = _native_threads()


def _native_threads() -> int:
    """Return how many threads the interpreter knows that Python did not start."""
    current, first, following = _interpreter()
    count = 0
    state = first(current())
    while state:
        count += 1
        state = following(state)
    # Besides the main thread, all that were started by Python, by `threading` or not.
    return count - 1 - _count()


@cache
def _interpreter() -> tuple[Callable[..., Any], ...]:
    """Return what tells of the interpreter's threads; one that is listed has the lock, or waits for it."""
    from ctypes import PyDLL, c_void_p  # 3 ms, which nobody waits for before the end

    python = PyDLL(None)
    names = {"PyInterpreterState_Get": [], "PyInterpreterState_ThreadHead": [c_void_p]}
    found = []
    for name, arguments in (names | {"PyThreadState_Next": [c_void_p]}).items():
        function = python[name]
        function.argtypes, function.restype = arguments, c_void_p
        found.append(function)
    return tuple(found)
