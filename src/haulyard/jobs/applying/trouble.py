"""When single failures are so many that the run should stop: rights withdrawn, a store that went away."""

from __future__ import annotations

from typing import Final

from haulyard.errors import (
    AccessDenied,
    HaulError,
    S3RateLimit,
    S3ServerError,
    TransferError,
    TransportError,
)
from haulyard.transfer.scope import concerns_all

#: Refusals in a row, without a success among them, that mean a right was withdrawn: one object alone may be
#: denied where others are not.
_DENIED_IN_A_ROW: Final = 16
#: The same for what is temporary: each has had all its retries by then.
_TEMPORARY_IN_A_ROW: Final = 64
_TEMPORARY: Final = (S3RateLimit, S3ServerError, TransportError)


class Trouble:
    """Counts failures, and raises what ends the run.

    ``max_errors`` is the number of objects that may fail before it does; None for any number.
    """

    def __init__(self, max_errors: int | None = None) -> None:
        self._max_errors = max_errors
        self._failed = self._denied = self._temporary = 0

    def taken_up_again(self) -> None:
        """Take note that an object that failed is tried once more; it counts once."""
        self._failed -= 1

    def succeeded(self) -> None:
        """Take note of an object that was done."""
        self._denied = self._temporary = 0

    def failed(self, error: HaulError) -> None:
        """Take note of one that failed.

        Raises:
            HaulError: ``error`` itself, where all others would fail for the same reason.
            TransferError: More have failed than may.
        """
        if concerns_all(error):
            raise error
        self._failed += 1
        if isinstance(error, AccessDenied):
            self._denied += 1
            if self._denied >= _DENIED_IN_A_ROW:
                raise error
        elif isinstance(error, _TEMPORARY):
            self._temporary += 1
            if self._temporary >= _TEMPORARY_IN_A_ROW:
                raise error
        if self._max_errors is not None and self._failed > self._max_errors:
            raise too_many(self._failed, self._max_errors)


def too_many(failed: int, most: int) -> TransferError:
    """Return the error for more failures than ``--max-errors`` allows."""
    return TransferError(
        f"stopped: {failed} objects failed, and --max-errors allows {most}",
        failed=failed,
        hint="see why with haul status; apply the job again when it is mended",
    )
