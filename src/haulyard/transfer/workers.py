"""A few tasks over one queue of work, none of which outlives the call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


async def run_workers(work: Callable[[], Coroutine[object, object, None]], count: int) -> None:
    """Run ``work`` in ``count`` tasks until all have returned.

    The first error cancels the others and is raised as it is, without a group around it.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


def first_error(error: BaseException) -> BaseException:
    """Return the first error of a group, of whatever depth."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
