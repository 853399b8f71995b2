"""Blocking calls that may never return: reads from a pipe, writes to one.

They run in daemon threads of their own, not in the event loop's executor: that one is waited for at the
end, and Ctrl-C must end a command whose pipe stands still.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def detached(call: Callable[[], T]) -> T:
    """Return what ``call`` returns, or raise what it raises; a cancelled wait leaves the thread behind."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def fail(error: BaseException) -> None:
        if not outcome.done():
            outcome.set_exception(error)

    def work() -> None:
        # Where the loop is gone by now, so is who waited.
        with suppress(RuntimeError):
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(succeed, result)

    threading.Thread(target=work, daemon=True).start()
    return await outcome
