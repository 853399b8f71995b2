"""Many calls at a time, a bounded number of them: cheaper than a task for each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


async def each_of(
    items: Sequence[T],
    call: Callable[[T], Awaitable[R]],
    workers: int,
    *,
    stop: bool = False,
    done: Callable[[], object] | None = None,
) -> list[R | Exception]:
    """Call ``call`` with every item, ``workers`` at a time, and return results or errors in their order.

    With ``stop`` the first error is raised, once all that was under way has been cancelled. ``done`` is
    called after each item.
    """
    results: list[R | Exception] = [RuntimeError("not reached")] * len(items)
    queue = iter(enumerate(items))
    failed: list[Exception] = []

    async def work() -> None:
        for number, item in queue:
            try:
                results[number] = await call(item)
            except Exception as error:
                if stop:
                    failed.append(error)
                    raise
                results[number] = error
            if done is not None:
                done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, len(items))):
                group.create_task(work())
    except ExceptionGroup:
        raise failed[0] from failed[0].__cause__
    return results
