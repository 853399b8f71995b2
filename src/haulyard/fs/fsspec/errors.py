"""The one place where Haulyard's errors become those that users of fsspec expect: OSErrors.

`OSError` makes the right kind of an error number by itself: ENOENT becomes FileNotFoundError, EACCES
PermissionError. The error that it was is ``__cause__``, with all its fields.
"""

from __future__ import annotations

import errno
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from haulyard import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

#: Error numbers by kind of error, the first that fits; EREMOTEIO and EREMCHG are not everywhere.
_NUMBERS: Final[tuple[tuple[type[errors.HaulError], int], ...]] = (
    (errors.NotFound, errno.ENOENT),
    (errors.AccessDenied, errno.EACCES),
    (errors.S3AuthError, errno.EACCES),
    (errors.S3ArchivedError, errno.EACCES),
    # What s3fs raises of a file that was replaced while it was open.
    (errors.PreconditionFailed, errno.EBUSY),
    (errors.SourceChanged, errno.EBUSY),
    (errors.Conflict, errno.EBUSY),
    (errors.IntegrityError, errno.EIO),
    (errors.UnsafeName, errno.EINVAL),
    (errors.Unsupported, errno.ENOTSUP),
    (errors.S3RateLimit, errno.EBUSY),
    (errors.S3RegionError, getattr(errno, "EREMCHG", errno.EIO)),
    (errors.S3ServerError, getattr(errno, "EREMOTEIO", errno.EIO)),
)
#: Error numbers by S3's code, where that says more than the kind.
_CODES: Final = {
    "BucketAlreadyExists": errno.EEXIST,
    "BucketAlreadyOwnedByYou": errno.EEXIST,
    "BucketNotEmpty": errno.ENOTEMPTY,
    "EntityTooLarge": errno.EFBIG,
    "KeyTooLongError": errno.ENAMETOOLONG,
    "MethodNotAllowed": errno.EPERM,
    "NotImplemented": errno.ENOSYS,
    "OperationAborted": errno.EBUSY,
}
#: Statuses of answers that say that the request was wrong.
_REFUSED: Final = range(400, 500)
_TRANSPORT: Final = {"timeout": errno.ETIMEDOUT, "connect": errno.ECONNREFUSED, "dns": errno.EHOSTUNREACH}


def os_error(error: errors.HaulError, path: str = "") -> Exception:
    """Return what a user of fsspec expects instead of ``error``; raise it ``from`` that.

    A wrong argument becomes ValueError, and what concerns no file (a closed filesystem, a fork) RuntimeError.
    """
    message = f"{error} ({error.hint})" if error.hint else str(error)
    if isinstance(error, errors.ConfigError):
        return ValueError(message)
    if isinstance(error, errors.TransferError) and len(error.failures) == 1:
        inner = getattr(error.failures[0], "error", None)
        if isinstance(inner, errors.HaulError):
            return os_error(inner, path)
    number = _number(error)
    if number is None:
        return RuntimeError(message)
    return OSError(number, message, path) if path else OSError(number, message)


def refusal_before(error: BaseException) -> PermissionError | None:
    """Return the refusal during whose handling ``error`` was raised, if there is one of ours.

    pandas answers a PermissionError by another try with ``anon=True``, and what comes of that says nothing
    of why the keys were refused.
    """
    before = error.__context__
    is_ours = isinstance(before, PermissionError) and isinstance(before.__cause__, errors.HaulError)
    return before if is_ours else None  # type: ignore[return-value]  # as `is_ours` says


def exists_error(path: str, what: str = "it exists already, and was to be created") -> FileExistsError:
    """Return the error of creating what is there, or removing what is not empty."""
    return FileExistsError(errno.EEXIST, what, path)


def missing_error(path: str) -> FileNotFoundError:
    """Return the error of reading what is not there."""
    return FileNotFoundError(errno.ENOENT, "no such object, directory or bucket", path)


def directory_error(path: str, what: str) -> IsADirectoryError:
    """Return the error of treating a directory as a file."""
    return IsADirectoryError(errno.EISDIR, what, path)


def os_errors(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let ``call`` raise OSErrors: the decorator of every method that asks the store."""

    @wraps(call)
    async def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except errors.HaulError as error:
            raise os_error(error) from error

    return translated


def _number(error: errors.HaulError) -> int | None:
    """Return the error number of what concerns an object, a bucket or the network; None for all else."""
    if isinstance(error, errors.StoreError) and error.code in _CODES:
        return _CODES[error.code]
    number = next((number for kind, number in _NUMBERS if isinstance(error, kind)), None)
    if number is not None:
        return number
    if isinstance(error, errors.TransportError):
        return _TRANSPORT.get(error.kind, errno.ECONNRESET)
    if isinstance(error, errors.S3Error) and error.status in _REFUSED:
        return errno.EINVAL
    return errno.EIO if isinstance(error, (errors.StoreError, errors.TransferError)) else None
