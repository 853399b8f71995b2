"""The wish to stop, as a command sees it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulyard.cli import exits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from haulyard.cli.output import Output

_GRACE = 2.0


class Stop:
    """The wish to stop.

    A command that can finish or park what is in flight says so by working inside `attended`: the first
    signal then only sets ``requested``, the second cancels the command. Anything else is cancelled by the
    first. A third ends the process.
    """

    def __init__(self) -> None:
        self.requested = False
        """Whether to take no more work."""
        self.grace = _GRACE
        """Seconds that what is in flight gets to finish, after the first signal."""
        self._event: asyncio.Event | None = None
        self._attended = 0
        self._arrived = 0

    def is_requested(self) -> bool:
        """Return ``requested``, for who wants a function."""
        return self.requested

    async def wait(self) -> None:
        """Wait until stopping is requested."""
        import asyncio

        if not self.requested:
            self._event = self._event or asyncio.Event()
            await self._event.wait()

    def request(self) -> None:
        """Ask to stop."""
        self.requested = True
        if self._event is not None:
            self._event.set()

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Promise to look at ``requested`` (or `wait`) and to end soon once it is set."""
        self._attended += 1
        try:
            yield
        finally:
            self._attended -= 1

    def on_arrival(self, _number: int, _frame: object) -> None:
        """Count a signal, and end the process at the third.

        It is called also while the event loop hears nothing: a regular expression may take for ever.
        """
        self._arrived += 1
        if self._arrived > 2:  # noqa: PLR2004 -- once: gently, twice: now, three times: at any price
            os._exit(exits.INTERRUPTED)

    def on_signal(self, task: asyncio.Task[int], output: Output) -> None:
        """Do what the first signal, and the second, ask for."""
        patient = self._attended > 0 and not self.requested
        self.request()
        if patient:
            output.note("stopping: what is in flight is finished or parked; Ctrl-C again stops now")
            # What takes longer is parked: a large object in parts would otherwise go on to its end.
            task.get_loop().call_later(self.grace, task.cancel)
        else:
            task.cancel()
