"""Arguments that are worked on one after the other: one that fails does not end the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from haulyard.cli import exits
from haulyard.errors import HaulError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from haulyard.cli.context import Context

T = TypeVar("T")


async def for_each(
    arguments: Sequence[T], work: Callable[[T, Context], Awaitable[None]], context: Context
) -> int:
    """Do ``work`` with each argument, say which failed, and return the exit code of them all.

    Raises:
        HaulError: A single argument failed.
    """
    codes = []
    for argument in arguments:
        try:
            await work(argument, context)
        except HaulError as error:
            if len(arguments) == 1:
                raise
            context.output.error(error)
            codes.append(exits.exit_code(error))
        else:
            codes.append(exits.OK)
    return exits.combine(codes)
