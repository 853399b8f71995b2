"""Every error that Haulyard raises, in one tree.

::

    HaulError
    ├── ConfigError                    a setting, a file of settings or an argument is wrong
    ├── TransportError                 connect, DNS, reset, timeout, cut body (S3 and HTTP APIs alike)
    ├── StoreError                     any store: .store .operation .bucket .key .code
    │   ├── NotFound · PreconditionFailed · Conflict · IntegrityError · UnsafeName
    │   ├── AccessDenied · Unsupported · SourceChanged
    │   └── S3Error                    .status .request_id .host_id .attempts
    │       ├── S3AuthError            ├── S3CredentialsError, S3PermissionError, S3ClockError
    │       ├── S3NotFound             key, bucket, version or upload; also a NotFound
    │       ├── S3PreconditionFailed   412; also a PreconditionFailed
    │       ├── S3Conflict             409; also a Conflict
    │       ├── S3RateLimit            503 SlowDown, 429, RequestLimitExceeded …
    │       ├── S3RegionError · S3ArchivedError · S3IntegrityError · S3NetworkError · S3ServerError
    │       └── S3GenericError         anything else, never swallowed
    ├── TransferError                  some objects of a transfer failed; .failures
    ├── RecordError                    a record could not be read or sent: .status .answer
    │   ├── ApiDenied                  the API does not know the caller, or refuses it (401, 403)
    │   └── ApiUnavailable             the API answers nobody: not reached, or the last 100 calls all failed
    ├── IngestError                    files cannot be loaded into a table
    │   ├── DatabaseLocked             another process has the database open; run again later
    │   └── TooManyRejects             more rows do not fit than may be left out: .rejected .first .path
    └── JobError · SpoolError

``str(error)`` is one line that says what happened to which object; ``error.hint`` is one line that says
what to do about it, or ``""`` where nobody knows. Neither ever holds a secret.
"""

from __future__ import annotations


class HaulError(Exception):
    """The root of the tree.

    ``message`` says what happened, ``hint`` what to do about it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments defeat the default pickling of exceptions; errors cross process borders.
        return (_revive, (type(self), self.__dict__.copy()))


def _revive(cls: type[HaulError], state: dict[str, object]) -> HaulError:
    error = cls.__new__(cls)
    Exception.__init__(error, state.get("message", ""))
    error.__dict__.update(state)
    return error


class ConfigError(HaulError):
    """A setting, a file of settings or an argument is wrong; nothing was started."""


class TransportError(HaulError):
    """The network failed: connect, DNS, TLS, reset, timeout or a body cut short.

    ``sent`` is False only where it is certain that the server never saw the request (DNS and TLS
    failures, a refused connection). ``kind`` is one of ``connect``, ``dns``, ``tls``, ``timeout``,
    ``reset``, ``body``, ``request``.
    """

    def __init__(self, message: str, *, kind: str = "reset", sent: bool = True, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.sent = sent


class StoreError(HaulError):
    """Something went wrong in a store, with the operation and the object that it concerns.

    ``code`` is S3's name of the case where S3 has one (``InvalidRange``), from whatever store it comes.
    """

    def __init__(
        self,
        message: str,
        *,
        store: str = "",
        operation: str = "",
        bucket: str = "",
        key: str = "",
        code: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.store = store
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.code = code


class NotFound(StoreError):
    """The object, bucket, version or upload does not exist."""


class PreconditionFailed(StoreError):
    """A condition (If-Match, If-None-Match …) did not hold; nothing was changed.

    Where both were found out, ``wanted`` is the ETag that was asked for (``*``: that there is no object) and
    ``found`` that of the object, ``""`` if there is none.
    """

    wanted = ""
    found = ""


class Conflict(StoreError):
    """Somebody else changes the same object at this moment."""


class IntegrityError(StoreError):
    """What arrived is not what was stored: a checksum, a length or a range disagrees."""


class UnsafeName(StoreError):
    """A key that cannot be a file below the target, or not be sent faithfully; nothing was touched."""


class AccessDenied(StoreError):
    """The store refused the caller (a local file's permissions, an S3 policy)."""


class Unsupported(StoreError):
    """The store has no such operation; `Store.capabilities` says so beforehand."""


class SourceChanged(StoreError):
    """The source changed while it was read; nothing was written under the destination's name."""


class S3Error(StoreError):
    """S3, or a store that speaks its protocol, answered with an error.

    ``code`` is S3's (``NoSuchKey``), ``status`` the HTTP status (0 where there was no answer),
    ``request_id`` and ``host_id`` are what AWS's support asks for, ``attempts`` counts the requests made.
    """

    def __init__(
        self,
        message: str,
        *,
        store: str = "s3",
        operation: str = "",
        bucket: str = "",
        key: str = "",
        code: str = "",
        status: int = 0,
        request_id: str = "",
        host_id: str = "",
        attempts: int = 1,
        hint: str = "",
    ) -> None:
        super().__init__(
            message, store=store, operation=operation, bucket=bucket, key=key, code=code, hint=hint
        )
        self.status = status
        self.request_id = request_id
        self.host_id = host_id
        self.attempts = attempts


class S3AuthError(S3Error):
    """The caller is unknown, not allowed, or its clock is wrong."""


class S3CredentialsError(S3AuthError):
    """Credentials are missing, wrong or expired."""


class S3PermissionError(S3AuthError, AccessDenied):
    """Known caller, denied call; the hint names the IAM action that is missing."""


class S3ClockError(S3AuthError):
    """This machine's clock and the server's differ by more than S3 allows (15 minutes)."""


class S3NotFound(S3Error, NotFound):
    """No such key, bucket, version or upload."""


class S3PreconditionFailed(S3Error, PreconditionFailed):
    """412: If-Match or If-None-Match did not hold."""


class S3Conflict(S3Error, Conflict):
    """409: another write to the same key or bucket is under way, or the bucket is not empty."""


class S3RateLimit(S3Error):
    """Throttled for longer than the retry budget allows."""


class S3RegionError(S3Error):
    """The bucket lives in another region or behind another endpoint, and it could not be found out which."""


class S3ArchivedError(S3Error):
    """The object lies in an archive class and must be restored first."""


class S3IntegrityError(S3Error, IntegrityError):
    """A checksum, a length or a range of an S3 answer is wrong."""


class S3NetworkError(S3Error, TransportError):
    """No answer from S3: DNS, connect, TLS, reset or timeout, after all attempts."""

    kind = "reset"
    sent = True


class S3ServerError(S3Error):
    """S3 answered 5xx (or a 200 that holds an error) to all attempts."""


class S3GenericError(S3Error):
    """Any other answer; its code and message are S3's own."""


class TransferError(HaulError):
    """Some objects of a transfer failed; the others were done.

    ``failures`` holds the outcomes that failed (at most the first 1,000), ``failed`` their number.
    """

    def __init__(
        self, message: str, *, failed: int = 0, failures: tuple[object, ...] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.failed = failed
        self.failures = failures


class JobError(HaulError):
    """A job folder is locked, damaged, stale or in conflict with what was asked."""


class RecordError(HaulError):
    """A record could not be read or sent.

    A function that stands in for an API raises it to refuse a record for good. ``status`` is the HTTP status,
    0 where there was no answer, and ``answer`` its beginning.
    """

    def __init__(self, message: str, *, status: int = 0, answer: bytes = b"", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.answer = answer


class ApiDenied(RecordError):
    """The API does not know the caller, or refuses it: no record could be sent, whichever it is."""


class ApiUnavailable(RecordError):
    """The API is not reached, or fails for all records at once; run again later."""


class IngestError(HaulError):
    """A file could not be loaded into a table."""


class DatabaseLocked(IngestError):
    """Another process has the database open; nothing was loaded."""


class TooManyRejects(IngestError):
    """More rows do not fit than may be left out, and nothing was loaded.

    ``rejected`` counts those that were met, ``first`` holds the first of them (`haulyard.Reject`). All are in
    the file ``path``, which is ``""`` where files were only read.
    """

    def __init__(
        self,
        message: str,
        *,
        rejected: int = 0,
        first: tuple[object, ...] = (),
        path: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.rejected = rejected
        self.first = first
        self.path = path


class SpoolError(HaulError):
    """An event could not be spooled or a file not shipped."""
