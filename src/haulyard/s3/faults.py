"""What an answer means: whether to try again and how, and which error it is in the end.

One table gives both for each of S3's codes, another for statuses without a code that we know. No message
ever repeats what a store echoes of the request: of an error document only code, message and ids are read
(that of SignatureDoesNotMatch holds the string to sign, with the session token), and what remains is
redacted, cut to one line and bounded.

Signatures::

    code_of(request, status, body) -> str
    verdict(request, status, code, headers) -> Verdict
    error_from(request, status, headers, body, attempts) -> S3Error
    key_error(request, key, code, message) -> S3Error         one key of a batch
    verdict_of_code(code) -> Verdict                          likewise
    transport_error(request, error, attempts) -> S3NetworkError
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from haulyard import errors
from haulyard.s3.hints import hint_for, network_hint, source_of
from haulyard.s3.xml import BadXml, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.s3.request import Request


class Verdict(Enum):
    """What to do about an answer.

    ``OK`` it is the success that it says; ``RETRY`` a passing failure; ``THROTTLE`` slow down, then again;
    ``REFRESH`` new credentials; ``SKEW`` learn the server's clock; ``REGION`` learn the bucket's region;
    ``CONFLICT`` somebody else was writing, again; ``FAIL`` final.
    """

    OK = auto()
    RETRY = auto()
    THROTTLE = auto()
    REFRESH = auto()
    SKEW = auto()
    REGION = auto()
    CONFLICT = auto()
    FAIL = auto()


class _Case(NamedTuple):
    verdict: Verdict
    error: type[errors.S3Error]


class _Said(NamedTuple):
    """What is read of an error document; ``is_document`` False where the body is something else."""

    code: str = ""
    message: str = ""
    request_id: str = ""
    host_id: str = ""
    is_document: bool = False


_SUCCESS = range(200, 300)
#: An error document is a few hundred bytes, a SignatureDoesNotMatch a few thousand.
_MAX_ERROR_BYTES = 1024 * 1024
_MAX_MESSAGE = 300

_TRANSIENT = _Case(Verdict.RETRY, errors.S3ServerError)
_THROTTLED = _Case(Verdict.THROTTLE, errors.S3RateLimit)
_EXPIRED = _Case(Verdict.REFRESH, errors.S3CredentialsError)
_SKEWED = _Case(Verdict.SKEW, errors.S3ClockError)
_ELSEWHERE = _Case(Verdict.REGION, errors.S3RegionError)
_UNKNOWN_CALLER = _Case(Verdict.FAIL, errors.S3CredentialsError)
_DENIED = _Case(Verdict.FAIL, errors.S3PermissionError)
_ABSENT = _Case(Verdict.FAIL, errors.S3NotFound)
_UNMET = _Case(Verdict.FAIL, errors.S3PreconditionFailed)
_CONFLICTING = _Case(Verdict.CONFLICT, errors.S3Conflict)
_IN_THE_WAY = _Case(Verdict.FAIL, errors.S3Conflict)
_DAMAGED = _Case(Verdict.FAIL, errors.S3IntegrityError)
_OTHER = _Case(Verdict.FAIL, errors.S3GenericError)

_CASES: dict[_Case, str] = {
    _TRANSIENT: "InternalError InternalServerError RequestTimeout RequestTimeoutException BadGateway"
    " GatewayTimeout",
    _THROTTLED: "SlowDown SlowDownRead SlowDownWrite ServiceUnavailable RequestLimitExceeded"
    " BandwidthLimitExceeded LimitExceededException TooManyRequests TooManyRequestsException"
    " RequestThrottled RequestThrottledException ProvisionedThroughputExceededException"
    " PriorRequestNotComplete Throttling ThrottlingException ThrottledException"
    " KMS.ThrottlingException",
    _EXPIRED: "ExpiredToken ExpiredTokenException TokenRefreshRequired",
    _SKEWED: "RequestTimeTooSkewed RequestExpired RequestInTheFuture",
    _ELSEWHERE: "PermanentRedirect TemporaryRedirect Redirect AuthorizationHeaderMalformed",
    _UNKNOWN_CALLER: "InvalidAccessKeyId SignatureDoesNotMatch InvalidToken InvalidSecurity"
    " CredentialsNotSupported MissingSecurityHeader MissingAuthenticationToken"
    " UnrecognizedClientException Unauthorized",
    _DENIED: "AccessDenied AccessForbidden Forbidden AllAccessDisabled AccountProblem NotSignedUp"
    " InvalidPayer UnauthorizedAccess UnauthorizedAccessError KMS.AccessDeniedException"
    " KMS.DisabledException KMS.NotFoundException KMS.InvalidStateException"
    " KMS.KMSInvalidStateException",
    _ABSENT: "NoSuchKey NoSuchBucket NoSuchVersion NoSuchUpload NoSuchAccessPoint NotFound",
    _UNMET: "PreconditionFailed NotModified",
    _CONFLICTING: "ConditionalRequestConflict OperationAborted",
    _IN_THE_WAY: "BucketNotEmpty BucketAlreadyExists BucketAlreadyOwnedByYou RestoreAlreadyInProgress"
    " InvalidBucketState Conflict",
    _DAMAGED: "BadDigest InvalidDigest IncompleteBody XAmzContentSHA256Mismatch XAmzContentChecksumMismatch"
    " KMS.InvalidCiphertextException KMS.IncorrectKeyException",
    _Case(Verdict.FAIL, errors.S3ArchivedError): "InvalidObjectState ObjectNotInActiveTierError",
    _Case(Verdict.FAIL, errors.S3ServerError): "XMinioStorageFull InsufficientStorage",
    _OTHER: "NotS3",
}
_BY_CODE = {code: case for case, codes in _CASES.items() for code in codes.split()}

_STATUS_CODES = {
    301: "PermanentRedirect",
    302: "Redirect",
    304: "NotModified",
    307: "TemporaryRedirect",
    308: "PermanentRedirect",
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
    507: "InsufficientStorage",
    509: "BandwidthLimitExceeded",
}
# What the status alone says, as that of every HEAD.
_WITHOUT_BODY = {
    "NoSuchKey": "there is no such object",
    "NoSuchBucket": "there is no such bucket",
    "NotModified": "it has not changed",
    "PreconditionFailed": "a condition does not hold",
    "Forbidden": "access is denied",
}
_HTTP_NOT_FOUND = 404
_HTTP_NOT_ALLOWED = 405
_SERVER_ERRORS = range(500, 600)
# What a HEAD of an object or bucket gets where the region is wrong, as well as where it is denied.
_HEAD_MAYBE_ELSEWHERE = frozenset({"BadRequest", "Forbidden"})
_FINAL_SERVER_ERRORS = frozenset({501, 505, 507})

# Texts, not compiled: `re` does so at the first error, and most commands end without one.
_CODE = "[A-Za-z0-9._-]{1,100}"
_SIGNED_PARAMETER = (
    r"(?i)\b(x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|signature|policy)"
    r"=[^&\s<\"']+"
)
# As a canonical request has it, should a store repeat one.
_SIGNED_LINE = r"(?i)\b(x-amz-security-token|x-amz-\S*customer-key): *[^\s<\"']+"
_SECRET_HEADERS = ("customer-key", "customer-key-md5", "authorization", "security-token")


def _read(body: bytes) -> _Said:
    if not body or len(body) > _MAX_ERROR_BYTES:
        return _Said()
    try:
        root = parse(body, "Error", "ErrorResponse")
    except BadXml:
        return _Said()
    error = root.find("Error") or root  # the shape of STS and IAM, which some gateways use
    return _Said(
        error.value("Code"),
        error.value("Message"),
        error.value("RequestId") or root.value("RequestId"),
        error.value("HostId"),
        is_document=True,
    )


def code_of(request: Request, status: int, body: bytes) -> str:
    """Return S3's code of an answer, ``""`` for a success.

    Where the body says none, as that of HEAD, it derives from the status; of a 2xx that is no success it
    is then ``InternalError``.
    """
    return _code(request, status, body, _read(body))


def _code(request: Request, status: int, body: bytes, said: _Said) -> str:
    if status in _SUCCESS and (request.classify is None or request.classify(status, {}, body)):
        return ""
    if re.fullmatch(_CODE, said.code):
        return said.code
    if status in _SUCCESS:
        return "InternalError"
    if status == _HTTP_NOT_FOUND:
        if body and not said.is_document:
            # Not S3's: a web server or a proxy speaks, and whether the object exists it does not know.
            return "NotS3"
        return "NoSuchKey" if request.key else "NoSuchBucket"
    return _STATUS_CODES.get(status, f"HTTP{status}")


def verdict_of_code(code: str) -> Verdict:
    """Return what to do about a code alone, such as that of one key of a batch."""
    return _case(code, 0).verdict


def verdict(request: Request, status: int, code: str, headers: Mapping[str, str]) -> Verdict:
    """Return what to do about an answer; ``code`` is that of `code_of`.

    ``REGION`` only says that the region may be wrong: it is final where none can be learned.
    """
    if status in _SUCCESS:
        if not code:
            return Verdict.OK
        # A 200 that holds an error is treated as a 500, unless its code says better.
        return _BY_CODE.get(code, _TRANSIENT).verdict
    if request.method == "HEAD" and code in _HEAD_MAYBE_ELSEWHERE:
        return Verdict.REGION
    if code == "ConditionalRequestConflict" and request.operation == "CompleteMultipartUpload":
        # "CompleteMultipartUpload": the upload is spent, only a new one can succeed.
        return Verdict.FAIL
    if status == _HTTP_NOT_ALLOWED and headers.get("x-amz-delete-marker") == "true":
        return Verdict.FAIL
    return _case(code, status).verdict


def _case(code: str, status: int) -> _Case:
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    if "Throttl" in code or "SlowDown" in code:
        return _THROTTLED
    if code.startswith("NoSuch"):
        return _ABSENT
    # An unknown code: its status says what kind of thing it is.
    by_status = _BY_CODE.get(_STATUS_CODES.get(status, ""))
    if by_status is not None:
        return by_status
    if status in _SERVER_ERRORS:
        return _OTHER if status in _FINAL_SERVER_ERRORS else _TRANSIENT
    return _OTHER


def error_from(
    request: Request, status: int, headers: Mapping[str, str], body: bytes, attempts: int
) -> errors.S3Error:
    """Return the error that an answer is, with everything known about it and what to do."""
    said = _read(body)
    code = _code(request, status, body, said)
    kind = _kind(request, status, code, headers, said)
    what = _one_line(request, said.message) or _unsaid(status, code, body, said)
    return kind(
        f"{_subject(request)}: {what} ({code}, status {status})",
        operation=request.operation,
        bucket=request.bucket,
        key=request.key,
        code=code,
        status=status,
        request_id=headers.get("x-amz-request-id", "")
        or headers.get("x-amzn-requestid", "")
        or said.request_id,
        host_id=headers.get("x-amz-id-2", "") or said.host_id,
        attempts=attempts,
        hint=hint_for(kind, request, code, headers, said.message),
    )


def _kind(
    request: Request, status: int, code: str, headers: Mapping[str, str], said: _Said
) -> type[errors.S3Error]:
    if status in _SUCCESS:
        return _BY_CODE.get(code, _TRANSIENT).error
    if status == _HTTP_NOT_ALLOWED and headers.get("x-amz-delete-marker") == "true":
        return errors.S3NotFound
    if code == "InvalidObjectState" and request.operation == "RestoreObject":
        return errors.S3GenericError
    if code == "AuthorizationHeaderMalformed" and "region" not in said.message:
        return errors.S3CredentialsError
    return _case(code, status).error


def key_error(request: Request, key: str, code: str, message: str) -> errors.S3Error:
    """Return the error of one key of a batch whose answer as such was a success."""
    case = _case(code, 0)
    one = type(request)(request.operation, request.method, request.bucket, key, headers=request.headers)
    what = _one_line(request, message) or "it was not deleted"
    return case.error(
        f"{_subject(one)}: {what} ({code})",
        operation=request.operation,
        bucket=request.bucket,
        key=key,
        code=code,
        status=200,
        attempts=request.attempt,
        hint=hint_for(case.error, one, code, {}, message),
    )


def transport_error(request: Request, error: errors.TransportError, attempts: int) -> errors.S3NetworkError:
    """Return the error of a request that got no answer; ``kind`` and ``sent`` are the transport's."""
    raised = errors.S3NetworkError(
        f"{_subject(request)}: {_one_line(request, error.message) or 'no answer'}",
        operation=request.operation,
        bucket=request.bucket,
        key=request.key,
        attempts=attempts,
        hint=error.hint or network_hint(error.kind),
    )
    raised.kind = error.kind
    raised.sent = error.sent
    return raised


def _subject(request: Request) -> str:
    if not request.bucket:
        return request.operation
    name = f"{request.bucket}/{request.key}" if request.key else request.bucket
    origin = f" from {source_of(request)}" if "x-amz-copy-source" in request.headers else ""
    return _printable(f"{request.operation} s3://{name}{origin}")


def _unsaid(status: int, code: str, body: bytes, said: _Said) -> str:
    if status in _SUCCESS:
        return "the answer says success and holds none"
    if body and not said.is_document:
        return "the answer is not S3's; a proxy or another server speaks"
    return _WITHOUT_BODY.get(code, "the store gave no reason")


def _printable(text: str) -> str:
    return "".join([character if character.isprintable() else "�" for character in text])


def _one_line(request: Request, text: str) -> str:
    """Return a foreign text without secrets, control characters and line ends, at most 300 characters."""
    for name, value in request.headers.items():
        if value and name.endswith(_SECRET_HEADERS):
            text = text.replace(value, "…")
    text = re.sub(_SIGNED_PARAMETER, r"\1=…", " ".join(text[: 10 * _MAX_MESSAGE].split()))
    text = re.sub(_SIGNED_LINE, r"\1:…", text)
    text = _printable(text)
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"
