"""The files that wait for their turn, those that have it, and those that come back later."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.spool.finished import Candidate, Identity, Sight


class Waiting:
    """Who is next; times are those of a clock that never steps, in seconds."""

    def __init__(self) -> None:
        self._queue: deque[Candidate] = deque()
        self._later: dict[str, float] = {}
        self._left: set[str] = set()
        self.busy: set[str] = set()
        """The names of all that wait or have their turn."""
        self.quiet = asyncio.Event()
        """Set while that is nobody."""

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def left(self) -> int:
        """How many were left for another run."""
        return len(self._left)

    def offer(self, sight: Sight, kept: Mapping[str, Identity], now: float) -> bool:
        """Take what was found, the oldest first; whether there is anything new."""
        # One whose time has come is among what was found, or gone.
        self._later = {name: at for name, at in self._later.items() if at > now}
        passed_over = (self.busy, self._left, self._later)
        new = [
            one
            for one in sight.ready
            if not any(one.name in names for names in passed_over) and kept.get(one.name) != one.identity
        ]
        self.busy.update(one.name for one in new)
        if new:
            self._queue = deque(sorted((*self._queue, *new)) if self._queue else new)
            self.quiet.clear()
        elif not self.busy:
            self.quiet.set()
        return bool(new)

    def pick(self, is_excluded: Callable[[Candidate], bool] | None = None) -> Candidate | None:
        """Return the next, or the next that is not excluded."""
        if is_excluded is None:
            return self._queue.popleft() if self._queue else None
        for at, candidate in enumerate(self._queue):
            if not is_excluded(candidate):
                del self._queue[at]
                return candidate
        return None

    def put_last(self, candidate: Candidate) -> None:
        """Take one back, behind all others."""
        self._queue.append(candidate)

    def sort(self) -> None:
        """Put the oldest first again."""
        self._queue = deque(sorted(self._queue))

    def put_off(self, name: str, at: float) -> None:
        """Let one come back at a time, if it is still there."""
        self._later[name] = at
        self.release(name)

    def leave(self, name: str) -> None:
        """Leave one for another run."""
        self._left.add(name)
        self.release(name)

    def release(self, name: str) -> None:
        """One is done with."""
        self.busy.discard(name)
        if not self.busy:
            self.quiet.set()

    def due(self, sight: Sight, now: float) -> list[float]:
        """Return in how many seconds another look is worth its while, for whatever reasons there are."""
        waits = [max(0.0, at - now) for at in self._later.values()]
        if sight.is_cut and not self._queue:
            waits.append(0.0)
        return waits
