"""Bytes a second, for `--bwlimit`."""

from __future__ import annotations

from typing import Final

CATCH_UP: Final = 0.050
"""Seconds that may be made up for: timers wake late, and each would cost its lateness. Idle time
beyond that is not saved up, so a pause is not followed by a burst."""


class Bandwidth:
    """A limit on bytes a second, shared by whatever reserves from it.

    A reservation waits for the bytes that went before it, not for its own: the mean over any longer
    time is exact, and the traffic is as smooth as the pieces are small.

    Args:
        bytes_per_second: The limit.

    Raises:
        ValueError: If it is not positive.
    """

    __slots__ = ("_free", "_seconds_per_byte")

    def __init__(self, bytes_per_second: float) -> None:
        if bytes_per_second <= 0:
            raise ValueError(f"a bandwidth must be positive, not {bytes_per_second} bytes a second")
        self._seconds_per_byte = 1.0 / bytes_per_second
        self._free = float("-inf")

    def reserve(self, nbytes: int, now: float) -> float:
        """Take the next `nbytes` and return the seconds to wait before they may be moved.

        Raises:
            ValueError: If `nbytes` is negative.
        """
        if nbytes < 0:
            raise ValueError(f"cannot reserve {nbytes} bytes")
        start = max(self._free, now - CATCH_UP)
        self._free = start + nbytes * self._seconds_per_byte
        return max(0.0, start - now)
