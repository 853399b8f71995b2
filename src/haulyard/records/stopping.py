"""Work that is given up once somebody asks to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def unless_stopped(work: Coroutine[None, None, None], stopping: asyncio.Event | None) -> None:
    """Do something that may be given up half-way, until it is done or ``stopping`` is set."""
    if stopping is None:
        await work
        return
    tasks = [asyncio.create_task(work), asyncio.create_task(_set(stopping))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        with anyio.CancelScope(shield=True):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    if not tasks[0].cancelled():
        tasks[0].result()


async def _set(event: asyncio.Event) -> None:
    await event.wait()
