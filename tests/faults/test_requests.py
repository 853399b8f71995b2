"""Answers that are no success: which are waited out, learned from, or final."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.bodies import Source

from haulyard.errors import (
    S3ArchivedError,
    S3ClockError,
    S3CredentialsError,
    S3Error,
    S3NetworkError,
    S3NotFound,
    S3PermissionError,
    S3RegionError,
    S3ServerError,
)
from haulyard.events import RequestDone, RequestRetried, Throttled
from haulyard.models import ByteRange, CopySource, DeleteItem, PutOptions
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from tests.faults.conftest import Stack

pytestmark = pytest.mark.anyio


# 503 SlowDown, 429, RequestLimitExceeded, Throttling*


@pytest.mark.row("throttling")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, attempts=range(1, 6)),
        Fault(status=429, body="", attempts=range(1, 6)),
        Fault(status=400, body=error_xml("RequestLimitExceeded"), attempts=range(1, 6)),
        Fault(status=400, body=error_xml("ThrottlingException"), attempts=range(1, 6)),
    ],
    ids=["SlowDown", "429", "RequestLimitExceeded", "Throttling"],
)
async def test_throttling_slows_down_and_is_waited_out(connect: Any, fault: Fault) -> None:
    """503 SlowDown, 429, RequestLimitExceeded, Throttling*: back off, cut the rate, no attempt is lost."""
    stack: Stack = connect(retries=2)
    for number in range(30):
        await stack.store.put(f"a/{number}", b"")
    stack.server.script(fault)
    await stack.store.put("a/key", b"content")
    assert len(stack.operations) == 30 + 6
    (throttled,) = (event for event in stack.events if isinstance(event, Throttled))
    assert (throttled.bucket, throttled.kind) == ("bucket", "write")
    # To 0.9 of what was accepted just before (`haulyard.pacing.aimd`).
    assert throttled.rate == pytest.approx(0.9 * 30)
    assert stack.server.objects["bucket", "a/key"] == b"content"


@pytest.mark.row("throttling")
async def test_a_store_that_names_a_pause_gets_it(stack: Stack) -> None:
    """503 SlowDown, 429, RequestLimitExceeded, Throttling*: Retry-After is honoured."""
    later = formatdate(time.time() + 1, usegmt=True)
    stack.server.script(
        Fault("HeadObject", status=503, headers={"retry-after": "0.3"}),
        Fault("HeadObject", attempts=(2,), status=503, headers={"retry-after": later}),
    )
    stack.server.objects["bucket", "key"] = b"content"
    await stack.store.head("key")
    pauses = [event.delay for event in stack.events if isinstance(event, RequestRetried)]
    assert pauses[0] == pytest.approx(0.3)
    assert 0 <= pauses[1] <= 1


@pytest.mark.row("throttling")
async def test_a_rate_that_was_cut_holds_for_the_retries_too(stack: Stack) -> None:
    """503 SlowDown, 429, RequestLimitExceeded, Throttling*: a retry comes back through the rate."""
    stack.server.script(Fault("PutObject", status=503, times=2))
    started = time.monotonic()
    for number in (1, 2, 3):
        await stack.store.put(f"a/{number}", b"")
    # One a second is the floor, and nothing had been accepted before.
    assert time.monotonic() - started > 2 * 0.9


# 500, 502, 504, connect, DNS, reset, timeout


@pytest.mark.row("transient")
@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("size", [10, 1_000_000], ids=["small", "stream"])
async def test_a_passing_failure_is_tried_again_with_the_whole_body(
    stack: Stack, status: int, size: int
) -> None:
    """500, 502, 504, connect, DNS, reset, timeout: retried with full jitter; a body is rewound."""
    body = Source(b"x" * size)
    stack.server.script(Fault("PutObject", status=status, attempts=(1, 2)))
    await stack.store.put("key", body, PutOptions(checksum_algorithm="none"))
    assert stack.server.objects["bucket", "key"] == body.content
    assert (len(stack.operations), body.opened, body.closed) == (3, 3, 3)
    assert [event.attempt for event in stack.events if isinstance(event, RequestRetried)] == [1, 2]
    assert isinstance(stack.events[-1], RequestDone)
    assert stack.events[-1].attempts == 3


@pytest.mark.row("transient")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0, attempts=(1, 2)),
        Fault(close_without_answer=True, attempts=(1, 2)),
        Fault("GetObject", truncate=2, attempts=(1, 2)),
        Fault("GetObject", reset_after=2, attempts=(1, 2)),
    ],
    ids=["reset", "closed", "cut", "reset in the body"],
)
async def test_a_lost_answer_to_what_does_no_harm_twice_is_asked_for_again(
    stack: Stack, fault: Fault
) -> None:
    """500, 502, 504, connect, DNS, reset, timeout: retried within a budget."""
    stack.server.objects["bucket", "key"] = b"content"
    stack.server.script(fault)
    async with await stack.store.get("key") as reader:
        assert await reader.read() == b"content"
    assert len(stack.operations) == 3


@pytest.mark.row("transient")
async def test_a_store_that_stays_broken_is_an_error_that_says_so(connect: Any) -> None:
    """500, 502, 504, connect, DNS, reset, timeout: the end of the attempts, with all that is known."""
    stack: Stack = connect(retries=4)
    stack.server.script(Fault("HeadObject", status=500, body="", attempts="all"))
    with pytest.raises(S3ServerError) as final:
        await stack.store.head("key")
    error = final.value
    assert (error.operation, error.bucket, error.key) == ("HeadObject", "bucket", "key")
    assert (error.status, error.attempts, bool(error.request_id)) == (500, 4, True)
    assert error.hint


@pytest.mark.row("transient")
async def test_an_address_where_nobody_listens_is_given_up_soon(connect: Any) -> None:
    """500, 502, 504, connect, DNS, reset, timeout: an endpoint that never answered is probably wrong."""
    stack: Stack = connect(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(S3NetworkError) as final:
        await stack.store.put("key", b"content")
    assert (final.value.kind, final.value.sent, final.value.attempts) == ("connect", False, 3)


@pytest.mark.row("transient")
async def test_a_silent_server_is_asked_again(stack: Stack) -> None:
    """500, 502, 504, connect, DNS, reset, timeout."""
    http = stack.connection._http
    http._config = replace(http._config, read_timeout=0.5)
    stack.server.objects["bucket", "key"] = b"content"
    stack.server.script(Fault("HeadObject", stall=True))
    assert (await stack.store.head("key")).size == 7
    assert stack.operations == ["HeadObject", "HeadObject"]


# 200 with an <Error> or unparsable body


@pytest.mark.row("false success")
@pytest.mark.parametrize(
    "body",
    [error_xml("InternalError"), error_xml("SlowDown"), "", "<html>502 Bad Gateway</html>", "<ListBucketRes"],
    ids=["InternalError", "SlowDown", "nothing", "html", "cut"],
)
@pytest.mark.parametrize(
    "operation", ["CopyObject", "UploadPartCopy", "CompleteMultipartUpload", "ListObjectsV2", "DeleteObjects"]
)
async def test_a_success_that_holds_none_is_treated_as_a_failure(
    stack: Stack, operation: str, body: str
) -> None:
    """200 with an <Error> or unparsable body: treated as 500."""
    server, store = stack.server, stack.store
    server.objects["bucket", "source"] = b"content"
    upload = await store.create_multipart("upload")
    part = await store.put_part("upload", upload, 1, b"part")
    server.script(Fault(operation, body=body))
    source = CopySource("bucket", "source")
    calls: dict[str, Any] = {
        "CopyObject": lambda: store.copy(source, "copy"),
        "UploadPartCopy": lambda: store.copy_part("upload", upload, 2, source, ByteRange(0, 7)),
        "CompleteMultipartUpload": lambda: store.complete_multipart("upload", upload, [part]),
        "ListObjectsV2": lambda: anext(store.list()),
        "DeleteObjects": lambda: store.delete_many([DeleteItem("source")]),
    }
    await calls[operation]()
    assert stack.operations.count(operation) == 2


# Stale keep-alive connection, 400 RequestTimeout


@pytest.mark.row("stale connection")
@pytest.mark.parametrize("size", [10, 1_000_000], ids=["small", "stream"])
@pytest.mark.parametrize(
    "fault",
    [Fault("PutObject", stale=True), Fault("PutObject", status=400, body=error_xml("RequestTimeout"))],
    ids=["stale", "RequestTimeout"],
)
async def test_a_connection_that_died_of_waiting_is_replaced(stack: Stack, fault: Fault, size: int) -> None:
    """Stale keep-alive connection, 400 RequestTimeout: rewind, a new connection."""
    await stack.store.put("first", b"x" * size)
    stack.server.script(fault)
    await stack.store.put("key", Source(b"x" * size))
    assert stack.server.objects["bucket", "key"] == b"x" * size
    if fault.stale:
        assert stack.server.requests[-1].connection != stack.server.requests[0].connection


# RequestTimeTooSkewed


@pytest.mark.row("clock")
@pytest.mark.parametrize("first", ["get", "head"])
@pytest.mark.parametrize("skew", [7200.0, -7200.0])
async def test_the_servers_clock_is_learned_once_for_all(stack: Stack, skew: float, first: str) -> None:
    """RequestTimeTooSkewed: learn the offset from the Date header, sign again once."""
    asking = getattr(stack.store, first)
    stack.server.objects["bucket", "key"] = b"content"
    stack.server.script(Fault(skew=skew, attempts="all"))
    for ask in (asking, stack.store.head, stack.store.head):
        await ask("key")
    assert len(stack.operations) == 4


@pytest.mark.row("clock")
async def test_a_clock_that_cannot_be_put_right_is_named(stack: Stack) -> None:
    """RequestTimeTooSkewed: else S3ClockError."""
    stack.server.script(Fault(status=403, body=error_xml("RequestTimeTooSkewed"), attempts="all"))
    with pytest.raises(S3ClockError, match="RequestTimeTooSkewed") as final:
        await anext(stack.store.list())
    assert "clock" in final.value.hint


# ExpiredToken, ExpiredTokenException in mid-run


@pytest.mark.row("expired credentials")
@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
async def test_expired_credentials_are_renewed_and_the_work_goes_on(stack: Stack, code: str) -> None:
    """ExpiredToken, ExpiredTokenException in mid-run: refresh credentials, sign again, go on."""
    await stack.store.put("before", b"")
    environment: Any = stack.connection.settings.environment
    environment["AWS_ACCESS_KEY_ID"] = "AKIDNEWER"
    stack.server.script(Fault("PutObject", status=400, body=error_xml(code)))
    await stack.store.put("after", b"content")
    old, new = (request.headers["authorization"] for request in stack.server.requests[1:])
    assert ("AKIDEXAMPLE" in old, "AKIDNEWER" in new) == (True, True)
    assert stack.server.objects["bucket", "after"] == b"content"


@pytest.mark.row("expired credentials")
async def test_where_there_are_no_newer_credentials_the_error_names_request_and_remedy(stack: Stack) -> None:
    """ExpiredToken, ExpiredTokenException in mid-run: where refreshing fails, stop."""
    stack.server.script(Fault(status=400, body=error_xml("ExpiredToken"), attempts="all"))
    with pytest.raises(S3CredentialsError, match="expired") as final:
        await stack.store.put("key", b"content")
    assert (final.value.operation, final.value.bucket, final.value.key) == ("PutObject", "bucket", "key")
    assert final.value.hint
    assert len(stack.operations) == 1


# 301, 307, 400 AuthorizationHeaderMalformed

MALFORMED = (
    "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting "
    "'eu-west-1'</Message><Region>eu-west-1</Region></Error>"
)


@pytest.mark.row("wrong region")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(redirect=(301, None, {"x-amz-bucket-region": "eu-west-1"}), times=1),
        Fault(redirect=(307, "https://bucket.s3.eu-west-1.amazonaws.com/key", {}), times=1),
        Fault(status=400, body=MALFORMED, times=1),
    ],
    ids=["301", "307", "AuthorizationHeaderMalformed"],
)
async def test_the_region_of_a_bucket_is_learned_once(stack: Stack, fault: Fault) -> None:
    """301, 307, 400 AuthorizationHeaderMalformed: the region from the header, else the body; cached."""
    stack.server.script(fault)
    await stack.store.put("key", b"content")
    await stack.store.put("other", b"content")
    regions = [request.headers["authorization"].split("/")[2] for request in stack.server.requests]
    assert regions == ["us-east-1", "eu-west-1", "eu-west-1"]
    hosts = {request.headers["host"] for request in stack.server.requests}
    assert hosts == {f"127.0.0.1:{stack.server.port}"}


@pytest.mark.row("hosts")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_leads_to_another_host(stack: Stack, status: int) -> None:
    """301, 307: never to a foreign host with our headers."""
    with FaultServer() as foreign:
        stack.server.script(Fault(redirect=(status, f"{foreign.url}/bucket/key", {}), attempts="all"))
        with pytest.raises(S3RegionError):
            await stack.store.put("key", b"content")
        assert not foreign.requests


# HEAD answered 400/403 without a body


@pytest.mark.row("mute head")
@pytest.mark.parametrize("status", [400, 403])
async def test_a_head_without_a_reason_is_followed_by_asking_for_the_region(
    stack: Stack, status: int
) -> None:
    """HEAD answered 400/403 without a body: find the region first."""
    stack.server.objects["bucket", "key"] = b"content"
    stack.server.script(
        Fault("HeadObject", status=status, body=""),
        Fault("HeadBucket", status=403, body="", headers={"x-amz-bucket-region": "eu-west-1"}),
    )
    assert (await stack.store.head("key")).size == 7
    assert stack.operations == ["HeadObject", "HeadBucket", "HeadObject"]


@pytest.mark.row("mute head")
async def test_a_head_that_stays_mute_is_given_its_likely_cause(stack: Stack) -> None:
    """HEAD answered 400/403 without a body: then name the likely cause."""
    stack.server.script(Fault("HeadObject", status=403, body="", attempts="all"))
    for _ in range(3):
        with pytest.raises(S3PermissionError) as final:
            await stack.store.head("key")
        assert "s3:GetObject" in final.value.hint
    assert stack.operations.count("HeadBucket") == 1


@pytest.mark.row("mute head")
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SignatureDoesNotMatch", S3CredentialsError),
        ("InvalidAccessKeyId", S3CredentialsError),
        ("AccessDenied", S3PermissionError),
    ],
)
async def test_a_head_that_is_refused_is_told_with_the_reason_that_a_get_has(
    code: str, kind: type[S3Error], stack: Stack
) -> None:
    """HEAD answered 403 without a body: a GET of the first byte has one."""
    stack.server.script(
        Fault("HeadObject", status=403, body="", attempts="all"),
        Fault("GetObject", status=403, body=error_xml(code), attempts="all"),
    )
    with pytest.raises(kind) as final:
        await stack.store.head("key")
    assert final.value.code == code


# What is final


@pytest.mark.row("archived")
async def test_an_archived_object_has_to_be_restored_first(stack: Stack) -> None:
    """InvalidObjectState (Glacier): S3ArchivedError that names `haul restore`, no retry."""
    stack.server.script(Fault("GetObject", status=403, body=error_xml("InvalidObjectState")))
    with pytest.raises(S3ArchivedError) as final:
        await stack.store.get("key")
    assert "haul restore s3://bucket/key" in final.value.hint
    assert stack.operations == ["GetObject"]


@pytest.mark.row("kms")
async def test_a_denied_key_is_named_with_the_action_that_is_missing(stack: Stack) -> None:
    """KMS AccessDenied: permanent; name the key and the missing action."""
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    message = f"User: x is not authorized to perform: kms:GenerateDataKey on resource: {key}"
    stack.server.script(Fault("PutObject", status=403, body=error_xml("AccessDenied", message)))
    with pytest.raises(S3PermissionError) as final:
        await stack.store.put("key", b"content")
    assert "kms:GenerateDataKey" in final.value.hint
    assert key in final.value.hint
    assert stack.operations == ["PutObject"]


@pytest.mark.row("missing or denied")
async def test_a_key_that_may_only_be_missing_is_said_to_be_either(stack: Stack) -> None:
    """Missing key without ListBucket permission: 403: the hint says so."""
    stack.server.script(Fault("GetObject", status=403, body=error_xml("AccessDenied")))
    with pytest.raises(S3PermissionError) as final:
        await stack.store.get("key")
    assert "s3:ListBucket" in final.value.hint


@pytest.mark.row("versions")
async def test_a_marker_is_not_found_and_not_asked_for_again(stack: Stack) -> None:
    """Versioned buckets: HEAD of a marker by version is 405, without 404 and x-amz-delete-marker."""
    marker: dict[str, str | None] = {"x-amz-delete-marker": "true"}
    stack.server.script(
        Fault("HeadObject", status=405, body="", headers=marker),
        Fault("HeadObject", status=404, body="", headers=marker, attempts=(2,)),
    )
    for status in (405, 404):
        with pytest.raises(S3NotFound) as final:
            await stack.store.head("key")
        assert final.value.status == status
        assert "delete marker" in final.value.hint
    assert len(stack.operations) == 2
