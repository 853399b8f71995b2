"""One cancellation for one call.

Structured concurrency as anyio knows it cancels a scope again and again until all in it have ended. What has
to happen after a cancellation (aborting an upload, bringing a write to its end) could then never run. So
each call that writes runs in a task of its own, is cancelled once, and is waited for.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


def cancelled_once(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let ``call`` finish what it has to after it was cancelled; it is over when the caller goes on."""

    @wraps(call)
    async def settled(*args: P.args, **kwargs: P.kwargs) -> T:
        return await settle(asyncio.create_task(call(*args, **kwargs)))

    return settled


async def settle(task: asyncio.Task[T]) -> T:
    """Return the result of ``task``; where the caller is cancelled, the task is, once, and waited for."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
            await wait_shielded(task)
        if not task.cancelled():
            # Looked at, so that asyncio does not complain that nobody did.
            task.exception()
        raise


async def wait_shielded(task: asyncio.Task[Any]) -> None:
    """Wait for the end of ``task``, whatever scopes around the caller were cancelled."""
    from anyio import CancelScope  # only calls that were cancelled need it

    with CancelScope(shield=True):
        await asyncio.wait((task,))
