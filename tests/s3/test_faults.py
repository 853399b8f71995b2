"""What each answer means: the rows of the behaviour tables that concern classification."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard import errors
from haulyard.models import CopySource, DeleteItem, GetOptions, PartInfo, PutOptions
from haulyard.s3.batch import delete_objects
from haulyard.s3.buckets import create_bucket, head_bucket
from haulyard.s3.faults import (
    Verdict,
    code_of,
    error_from,
    transport_error,
    verdict,
    verdict_of_code,
)
from haulyard.s3.hints import network_hint
from haulyard.s3.listing import list_buckets, list_objects_v2
from haulyard.s3.multipart import complete_multipart_upload
from haulyard.s3.objects import copy_object, get_object, head_object, put_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.s3.request import Request

GET = get_object("bkt", "a/k")
HEAD = head_object("bkt", "a/k")
PUT = put_object("bkt", "a/k", b"x")
LIST = list_objects_v2("bkt")
COPY = copy_object("bkt", "a/k", CopySource("src", "k"))
BATCH = delete_objects("bkt", [DeleteItem("k")])
COMPLETE = complete_multipart_upload("bkt", "a/k", "u", [PartInfo(1, "e")])
NO_HEADERS: Mapping[str, str] = {}


def xml(code: str, message: str = "Said so.", more: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}'
        "<RequestId>4442587FB7D0A2F9</RequestId><HostId>host/id=</HostId></Error>"
    ).encode()


def judge(
    request: Request, status: int, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS
) -> tuple[Verdict, errors.S3Error]:
    code = code_of(request, status, body)
    return verdict(request, status, code, headers), error_from(request, status, headers, body, 3)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (503, "ServiceUnavailable"),
        (503, "XMinioServerNotInitialized"),
        (503, ""),
        (429, "TooManyRequests"),
        (429, ""),
        (400, "RequestLimitExceeded"),
        (400, "Throttling"),
        (400, "ThrottlingException"),
        (400, "ThrottledException"),
        (400, "KMS.ThrottlingException"),
        (509, "BandwidthLimitExceeded"),
        (200, "SlowDown"),
    ],
)
def test_throttling_slows_down(status: int, code: str) -> None:
    """Row "503 SlowDown, 429, RequestLimitExceeded, Throttling*"."""
    found, error = judge(COPY if status == 200 else GET, status, xml(code) if code else b"")
    assert found is Verdict.THROTTLE
    assert isinstance(error, errors.S3RateLimit)
    assert "--concurrency" in error.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, xml("InternalError")),
        (500, b""),
        (502, b"<html><body>Bad Gateway</body></html>"),
        (504, b""),
        (520, b"<!DOCTYPE html><html></html>"),
        (500, xml("SomethingNew")),
    ],
)
def test_server_errors_pass(status: int, body: bytes) -> None:
    """Row "500, 502, 504, connect, DNS, reset, timeout"."""
    found, error = judge(GET, status, body)
    assert found is Verdict.RETRY
    assert isinstance(error, errors.S3ServerError)


@pytest.mark.parametrize(
    ("status", "code"), [(501, "NotImplemented"), (505, ""), (507, "XMinioStorageFull"), (507, "")]
)
def test_some_server_errors_stay(status: int, code: str) -> None:
    assert judge(GET, status, xml(code) if code else b"")[0] is Verdict.FAIL


@pytest.mark.parametrize("request_", [COPY, COMPLETE, LIST, BATCH])
@pytest.mark.parametrize(
    "body",
    [xml("InternalError"), xml("SomethingNew"), b"", b"<CopyObjectResult>", b"<html></html>", b"  \n "],
)
def test_a_success_that_holds_an_error_is_treated_as_a_500(request_: Request, body: bytes) -> None:
    """Row "200 with an `<Error>` or unparsable body"."""
    found, error = judge(request_, 200, body)
    assert found is Verdict.RETRY
    assert isinstance(error, errors.S3ServerError)
    assert error.code


def test_a_success_that_holds_a_final_error_is_final() -> None:
    found, error = judge(COPY, 200, xml("AccessDenied"))
    assert found is Verdict.FAIL
    assert isinstance(error, errors.S3PermissionError)


def test_a_success_is_one() -> None:
    assert code_of(GET, 200, b"anything") == ""
    assert verdict(GET, 200, "", NO_HEADERS) is Verdict.OK
    body = b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"
    assert verdict(COPY, 200, code_of(COPY, 200, body), NO_HEADERS) is Verdict.OK


def test_a_stale_connection_is_tried_again() -> None:
    """Row "stale keep-alive connection, 400 RequestTimeout"."""
    assert judge(PUT, 400, xml("RequestTimeout"))[0] is Verdict.RETRY


@pytest.mark.parametrize(("status", "code"), [(403, "RequestTimeTooSkewed"), (403, "RequestExpired")])
def test_a_wrong_clock_is_learned(status: int, code: str) -> None:
    """Row "RequestTimeTooSkewed"."""
    found, error = judge(GET, status, xml(code))
    assert found is Verdict.SKEW
    assert isinstance(error, errors.S3ClockError)
    assert "NTP" in error.hint


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])
def test_expired_credentials_are_refreshed(code: str) -> None:
    """Row "ExpiredToken, ExpiredTokenException in mid-run"."""
    found, error = judge(GET, 400, xml(code))
    assert found is Verdict.REFRESH
    assert isinstance(error, errors.S3CredentialsError)
    assert "run the same command" in error.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (301, xml("PermanentRedirect")),
        (301, b""),
        (307, xml("TemporaryRedirect")),
        (
            400,
            xml(
                "AuthorizationHeaderMalformed",
                "the region &apos;a&apos; is wrong; expecting &apos;eu-west-1&apos;",
            ),
        ),
    ],
)
def test_a_wrong_region_is_learned(status: int, body: bytes) -> None:
    """Row "301, 307, 400 AuthorizationHeaderMalformed"."""
    found, error = judge(GET, status, body)
    assert found is Verdict.REGION
    assert isinstance(error, errors.S3RegionError)
    assert "--region" in error.hint


def test_a_malformed_header_that_is_not_about_the_region_is_about_credentials() -> None:
    error = error_from(
        GET, 400, NO_HEADERS, xml("AuthorizationHeaderMalformed", "the Credential is mal-formed"), 1
    )
    assert isinstance(error, errors.S3CredentialsError)


@pytest.mark.parametrize(("status", "kind"), [(400, errors.S3GenericError), (403, errors.S3PermissionError)])
@pytest.mark.parametrize("request_", [HEAD, head_bucket("bkt")])
def test_a_head_without_a_body_may_be_about_the_region(
    status: int, kind: type[errors.S3Error], request_: Request
) -> None:
    """Row "HEAD answered 400/403 without a body"."""
    found, error = judge(request_, status)
    assert found is Verdict.REGION
    assert type(error) is kind
    assert error.hint


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (HEAD, 404, "NoSuchKey"),
        (head_bucket("bkt"), 404, "NoSuchBucket"),
        (HEAD, 412, "PreconditionFailed"),
        (HEAD, 304, "NotModified"),
        (HEAD, 405, "MethodNotAllowed"),
        (HEAD, 416, "InvalidRange"),
        (HEAD, 500, "InternalError"),
        (HEAD, 418, "HTTP418"),
    ],
)
def test_a_head_has_the_code_of_its_status(request_: Request, status: int, code: str) -> None:
    assert code_of(request_, status, b"") == code


def test_the_code_of_the_store_comes_first() -> None:
    assert code_of(GET, 404, xml("NoSuchBucket")) == "NoSuchBucket"
    wrapped = (
        b"<ErrorResponse><Error><Code>AccessDenied</Code></Error><RequestId>r</RequestId></ErrorResponse>"
    )
    assert code_of(GET, 403, wrapped) == "AccessDenied"
    assert code_of(GET, 403, xml("Access Denied;\n<![CDATA[x]]>")) == "Forbidden"


def test_an_upload_in_conflict_needs_a_new_upload_and_a_put_only_another_try() -> None:
    """Row "409 ConditionalRequestConflict"."""
    body = xml("ConditionalRequestConflict")
    assert judge(PUT, 409, body)[0] is Verdict.CONFLICT
    found, error = judge(COMPLETE, 409, body)
    assert found is Verdict.FAIL
    assert isinstance(error, errors.S3Conflict)
    assert judge(create_bucket("bkt"), 409, xml("OperationAborted"))[0] is Verdict.CONFLICT


@pytest.mark.parametrize(
    "code", ["BucketNotEmpty", "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "Other"]
)
def test_other_conflicts_are_final(code: str) -> None:
    found, error = judge(create_bucket("bkt"), 409, xml(code))
    assert found is Verdict.FAIL
    assert isinstance(error, errors.S3Conflict)


def test_a_precondition_that_failed_is_final() -> None:
    """Row "412 after our own retried conditional write"."""
    create_only = put_object("bkt", "a/k", b"", PutOptions(if_none_match="*"))
    found, error = judge(create_only, 412, xml("PreconditionFailed"))
    assert found is Verdict.FAIL
    assert isinstance(error, errors.S3PreconditionFailed)
    assert isinstance(error, errors.PreconditionFailed)
    assert "exists already" in error.hint
    unchanged = get_object("bkt", "k", GetOptions(if_none_match="e"))
    assert "not changed" in judge(unchanged, 304)[1].hint
    assert isinstance(judge(unchanged, 304)[1], errors.S3PreconditionFailed)
    replaced = get_object("bkt", "k", GetOptions(if_match="e"))
    assert "changed it meanwhile" in judge(replaced, 412)[1].hint


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InvalidAccessKeyId", errors.S3CredentialsError),
        ("SignatureDoesNotMatch", errors.S3CredentialsError),
        ("InvalidToken", errors.S3CredentialsError),
        ("NoSuchKey", errors.S3NotFound),
        ("NoSuchBucket", errors.S3NotFound),
        ("NoSuchUpload", errors.S3NotFound),
        ("NoSuchLifecycleConfiguration", errors.S3NotFound),
        ("BadDigest", errors.S3IntegrityError),
        ("XAmzContentSHA256Mismatch", errors.S3IntegrityError),
        ("EntityTooLarge", errors.S3GenericError),
        ("InvalidArgument", errors.S3GenericError),
        ("SomethingNew", errors.S3GenericError),
    ],
)
def test_final_codes_have_their_class(code: str, kind: type[errors.S3Error]) -> None:
    found, error = judge(GET, 400, xml(code))
    assert found is Verdict.FAIL
    assert type(error) is kind
    assert error.code == code


def test_unauthorized_is_about_credentials() -> None:
    assert isinstance(judge(GET, 401)[1], errors.S3CredentialsError)


def test_a_page_that_is_not_of_s3_does_not_prove_that_a_key_is_missing() -> None:
    error = judge(GET, 404, b"<!doctype html><title>404 Not Found</title>")[1]
    assert isinstance(error, errors.S3GenericError)
    assert "endpoint" in error.hint
    assert "not S3's" in error.message


def test_a_delete_marker_is_no_object() -> None:
    """Row "versioned buckets": HEAD of a marker by version is 405, without 404, and `x-amz-delete-marker`."""
    marker = {"x-amz-delete-marker": "true"}
    of_version = head_object("bkt", "k", GetOptions(version_id="v"))
    for request, status in ((of_version, 405), (HEAD, 404)):
        found, error = judge(request, status, b"", marker)
        assert found is Verdict.FAIL
        assert isinstance(error, errors.S3NotFound)
        assert "delete marker" in error.hint
    assert isinstance(judge(of_version, 405)[1], errors.S3GenericError)


def test_an_error_says_everything_that_is_known() -> None:
    headers = {"x-amz-request-id": "from-header", "x-amz-id-2": "host"}
    error = error_from(GET, 404, headers, xml("NoSuchKey", "The specified key does not exist."), 7)
    assert str(error) == "GetObject s3://bkt/a/k: The specified key does not exist. (NoSuchKey, status 404)"
    assert (error.operation, error.bucket, error.key, error.store) == ("GetObject", "bkt", "a/k", "s3")
    assert (error.code, error.status, error.attempts) == ("NoSuchKey", 404, 7)
    assert (error.request_id, error.host_id) == ("from-header", "host")
    by_body = error_from(GET, 404, NO_HEADERS, xml("NoSuchKey"), 1)
    assert (by_body.request_id, by_body.host_id) == ("4442587FB7D0A2F9", "host/id=")
    revived = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert vars(revived) == vars(error)


def test_calls_without_bucket_or_key_are_named() -> None:
    assert str(judge(list_buckets(), 403)[1]).startswith("ListBuckets: ")
    assert str(judge(LIST, 403)[1]).startswith("ListObjectsV2 s3://bkt: ")


def test_a_copy_is_named_with_its_source() -> None:
    error = judge(copy_object("bkt", "k", CopySource("src", "a b+é", "v")), 404, xml("NoSuchKey", "None."))[1]
    assert str(error) == "CopyObject s3://bkt/k from s3://src/a b+é: None. (NoSuchKey, status 404)"


def test_what_a_status_says_alone_is_said() -> None:
    assert (
        str(judge(HEAD, 404)[1]) == "HeadObject s3://bkt/a/k: there is no such object (NoSuchKey, status 404)"
    )
    assert "no reason" in str(judge(HEAD, 418)[1])


def test_a_body_that_is_too_large_is_not_read() -> None:
    assert code_of(GET, 500, xml("SlowDown") + b" " * 2_000_000) == "InternalError"


@pytest.mark.parametrize("kind", ["dns", "tls", "connect", "timeout", "reset", "body", "request"])
def test_no_answer_is_a_network_error(kind: str) -> None:
    """Row "500, 502, 504, connect, DNS, reset, timeout"."""
    lost = errors.TransportError("connection to h failed", kind=kind, sent=kind == "reset")
    error = transport_error(PUT, lost, 4)
    assert isinstance(error, errors.S3NetworkError)
    assert isinstance(error, errors.TransportError)
    assert (error.kind, error.sent, error.attempts, error.status) == (kind, kind == "reset", 4, 0)
    assert str(error) == "PutObject s3://bkt/a/k: connection to h failed"
    assert error.hint == network_hint(kind)
    hinted = transport_error(PUT, errors.TransportError("x", hint="do this"), 1)
    assert hinted.hint == "do this"


@given(st.integers(300, 599), st.binary(max_size=60))
def test_every_answer_is_some_error(status: int, body: bytes) -> None:
    found, error = judge(GET, status, body)
    assert found is not Verdict.OK
    assert error.code
    assert error.hint
    assert error.status == status


def test_the_code_of_one_key_has_a_verdict() -> None:
    """Row "DeleteObjects, per-key errors": only failed keys are retried or reported."""
    assert verdict_of_code("SlowDown") is Verdict.THROTTLE
    assert verdict_of_code("InternalError") is Verdict.RETRY
    assert verdict_of_code("AccessDenied") is Verdict.FAIL
    assert verdict_of_code("SomethingNew") is Verdict.FAIL
