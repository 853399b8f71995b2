"""The exit codes: the one table, and which error ends in which.

====  =======================================================================================================
0     all done
1     some items failed; they are listed, and the same command can be run again
2     usage or configuration (wrong region, a store that cannot do it); a job that is locked, stale or damaged
3     credentials or permission
4     not found: bucket, key, local path, a wildcard that matches nothing
5     temporary (network, throttling, 5xx, a database in use): run again later
130   interrupted, resumable
141   the reader of standard output went away (128 + SIGPIPE, as for any Unix program)
====  =======================================================================================================

3, 4 and 5 are used only when nothing could go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import (
    AccessDenied,
    ApiDenied,
    ApiUnavailable,
    ConfigError,
    DatabaseLocked,
    JobError,
    NotFound,
    S3AuthError,
    S3NetworkError,
    S3RateLimit,
    S3RegionError,
    S3ServerError,
    TransportError,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

OK = 0
FAILED = 1
USAGE = 2
DENIED = 3
NOT_FOUND = 4
TEMPORARY = 5
INTERRUPTED = 130
BROKEN_PIPE = 141

_TABLE: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
    ((KeyboardInterrupt,), INTERRUPTED),
    ((BrokenPipeError,), BROKEN_PIPE),
    ((ConfigError, JobError, S3RegionError, Unsupported), USAGE),
    ((S3AuthError, AccessDenied, ApiDenied, PermissionError), DENIED),
    ((NotFound, FileNotFoundError), NOT_FOUND),
    ((S3RateLimit, S3NetworkError, S3ServerError, TransportError, ApiUnavailable, DatabaseLocked), TEMPORARY),
)


def exit_code(error: BaseException) -> int:
    """Return the code that the process ends with when ``error`` stopped it."""
    for types, code in _TABLE:
        if isinstance(error, types):
            return code
    return FAILED


def combine(codes: Iterable[int]) -> int:
    """Return the code of a whole whose parts ended with ``codes``.

    Interrupted where a part was; the common code where all ended alike (nothing could go on); else 1.
    """
    different = set(codes)
    if INTERRUPTED in different:
        return INTERRUPTED
    if len(different) > 1:
        return FAILED
    return different.pop() if different else OK
