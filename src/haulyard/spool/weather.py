"""Which errors are a file's own, which meet all files, and how long to wait for better weather. Pure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from haulyard.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    HaulError,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    S3AuthError,
    S3Error,
    S3GenericError,
    S3NetworkError,
    S3NotFound,
    S3RateLimit,
    S3RegionError,
    S3ServerError,
    StoreError,
    TransportError,
    UnsafeName,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds: the longest pause between two looks whether the store is back.
LONGEST: Final = 60.0

_ELSEWHERE: Final = (S3RateLimit, S3NetworkError, S3ServerError, TransportError)
_OWN: Final = (IntegrityError, Conflict, S3GenericError, NotFound)


def is_final(error: HaulError) -> bool:
    """Whether trying the file again would only fail again: its name, or what its key holds."""
    return isinstance(error, (UnsafeName, PreconditionFailed))


def is_hopeless(error: HaulError) -> bool:
    """Whether waiting does not help: what was asked for makes no sense here."""
    return isinstance(error, (ConfigError, Unsupported))


def is_denied(error: HaulError) -> bool:
    """Whether every file would be refused until somebody does something."""
    if isinstance(error, S3NotFound):
        return error.code == "NoSuchBucket"
    return isinstance(error, (S3AuthError, S3RegionError))


def is_outage(error: HaulError) -> bool:
    """Whether the store does not answer, or not now."""
    return isinstance(error, _ELSEWHERE)


def is_own(error: HaulError, *, others_pass: bool) -> bool:
    """Whether the file is to blame; ``others_pass``: some got through while this one was tried."""
    if is_denied(error) or is_hopeless(error):
        return False
    if isinstance(error, S3ServerError):
        return others_pass
    if is_outage(error):
        return False
    is_local = isinstance(error, StoreError) and not isinstance(error, S3Error) and error.store == "local"
    return is_final(error) or is_local or isinstance(error, (*_OWN, AccessDenied))


class Weather:
    """Whether anything can be shipped at the moment.

    The first error that meets all files stops them for ``base`` seconds, each further one for twice as long,
    up to a minute; then one file goes ahead, and the others follow once it has got through.
    """

    def __init__(
        self,
        base: float,
        *,
        longest: float = LONGEST,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._base = base
        self._longest = longest
        self._chance = chance
        self._until = 0.0
        self.failures = 0
        """Pauses since something got through."""

    @property
    def is_bad(self) -> bool:
        """Whether one file has to go ahead of the others."""
        return self.failures > 0

    def left(self, now: float) -> float:
        """Return in how many seconds that one may go."""
        return max(0.0, self._until - now)

    def is_pausing(self, now: float) -> bool:
        """Whether not even that one may go yet."""
        return now < self._until

    def worsen(self, now: float) -> float | None:
        """Begin a pause and return its seconds; None where one is on: many fail of one cause at a time."""
        if self.is_pausing(now):
            return None
        self.failures += 1
        pause = pause_after(self.failures, self._base, self._longest, self._chance)
        self._until = now + pause
        return pause

    def clear(self) -> None:
        """Something got through."""
        self.failures = 0
        self._until = 0.0


def pause_after(
    failures: int, base: float, longest: float = LONGEST, chance: Callable[[], float] = random.random
) -> float:
    """Return seconds: ``base`` doubled with each failure, less up to a half by chance, so that many part."""
    return float(min(longest, base * 2.0 ** min(failures - 1, 30)) * (0.5 + chance() / 2))
