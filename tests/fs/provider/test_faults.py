"""What goes wrong below a provider: it goes on where it can, and names the cause where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import (
    HaulError,
    NotFound,
    S3ArchivedError,
    S3ClockError,
    S3Conflict,
    S3CredentialsError,
    S3Error,
    S3IntegrityError,
    S3PermissionError,
    S3ServerError,
)
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider
    from haulyard.testing.faults import RecordedRequest

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
KEY = "tenants/7/a"


async def large() -> AsyncIterator[bytes]:
    for _ in range(17):
        yield bytes(MIB)


def has_body(request: RecordedRequest) -> bool:
    """Whether the answer to a request could name a reason: that to HEAD has no body."""
    return request.method != "HEAD"


#: What passes, by the rows of the table of what goes wrong: every call comes through all the same.
PASSING = {
    "500": Fault(status=500),
    "502": Fault(status=502, body="<html>Bad Gateway</html>"),
    "504": Fault(status=504, body=""),
    "reset": Fault(reset_after=0),
    "closed": Fault(close_without_answer=True),
    "answer lost": Fault(close_without_answer=True, before=True),
    "stale connection": Fault(stale=True),
    "RequestTimeout": Fault(status=400, body=error_xml("RequestTimeout"), where=has_body),
    "clock": Fault(skew=7200.0, attempts="all"),
}
#: Likewise, but what comes next is slowed down.
THROTTLING = {
    "SlowDown": Fault(status=503),
    "429": Fault(status=429, body=""),
    "RequestLimitExceeded": Fault(status=400, body=error_xml("RequestLimitExceeded")),
}


@pytest.mark.parametrize("row", THROTTLING)
async def test_throttling_is_waited_out(scripted: S3Provider, faults: FaultServer, row: str) -> None:
    for number in range(20):
        await scripted.write_file(f"b/{number}", b"x")
    faults.script(THROTTLING[row])
    await scripted.write_file("a", b"content")
    assert await scripted.read_file("a") == b"content"
    assert scripted.metrics.throttled == 2
    assert len(await scripted.list_directory("b")) == 20


@pytest.mark.parametrize("row", PASSING)
async def test_what_passes_is_waited_out_by_every_call(
    scripted: S3Provider, faults: FaultServer, row: str
) -> None:
    await scripted._volume.proved()
    fault = PASSING[row]

    def again() -> None:
        scripted.refresh()
        faults.script(fault)

    faults.objects["bucket", "tenants/7/old/1"] = b"old"
    again()
    await scripted.write_file("a", b"content")
    again()
    assert await scripted.read_file("a") == b"content"
    again()
    assert (await scripted.stream_write("large", large())).size == 17 * MIB
    again()
    assert len(b"".join([piece async for piece in scripted.stream_read("large")])) == 17 * MIB
    again()
    await scripted.write_file("a", b"newer", if_match=(await scripted.get_node_info("a")).etag)
    again()
    assert (await scripted.get_node_info("a")).size == 5
    again()
    assert [node.path for node in await scripted.list_directory()] == ["a", "large", "old"]
    again()
    await scripted.move_node("a", "b")
    again()
    assert (await scripted.set_metadata("b", {"k": "v"})).metadata == {"k": "v"}
    again()
    assert all(outcome.ok for outcome in await scripted.batch_delete(["b", "large"]))
    again()
    await scripted.delete_node("old", recursive=True)
    assert list(faults.objects) == []
    # An upload whose id got lost with the answer is named to the user, for nothing proves whose it is.
    assert len(faults.uploads) == (row == "answer lost")


#: What does not pass, and how it is named.
LASTING = {
    "broken": (Fault(status=500, body="", attempts="all"), S3ServerError),
    "denied": (Fault(status=403, body=error_xml("AccessDenied"), attempts="all"), S3PermissionError),
    "mute": (Fault(status=400, body="", attempts="all"), S3Error),
    "unknown key": (
        Fault(status=403, body=error_xml("InvalidAccessKeyId"), attempts="all"),
        S3CredentialsError,
    ),
    "expired": (Fault(status=400, body=error_xml("ExpiredToken"), attempts="all"), S3CredentialsError),
    "clock": (Fault(status=403, body=error_xml("RequestTimeTooSkewed"), attempts="all"), S3ClockError),
}
CALLS: dict[str, Callable[[S3Provider], Any]] = {
    "read_file": lambda provider: provider.read_file("a"),
    "write_file": lambda provider: provider.write_file("a", b"y"),
    "list_directory": lambda provider: provider.list_directory(),
    "get_object_tags": lambda provider: provider.get_object_tags("a"),
    "update": lambda provider: provider.update("a", lambda old: old + b"z"),
    "get_storage_stats": lambda provider: provider.get_storage_stats(),
    "initialize": lambda provider: provider.initialize(),
}
#: These begin by a HEAD, whose answer names no reason.
BY_HEAD: dict[str, Callable[[S3Provider], Any]] = {
    "get_node_info": lambda provider: provider.get_node_info("a"),
    "exists": lambda provider: provider.exists("a"),
    "delete_node": lambda provider: provider.delete_node("a"),
    "copy_node": lambda provider: provider.copy_node("a", "b"),
    "move_node": lambda provider: provider.move_node("a", "b"),
    "set_metadata": lambda provider: provider.set_metadata("a", {}),
}


@pytest.mark.parametrize("row", LASTING)
async def test_what_lasts_is_raised_with_its_cause_by_every_call(
    on_faults: Config, opened: Open, faults: FaultServer, row: str
) -> None:
    provider = opened(on_faults(settings={"retries": 2, "retry_base_delay": "1ms"}))
    await provider.write_file("a", b"x")
    await provider._volume.proved()
    fault, error = LASTING[row]
    faults.script(fault)
    names_itself = row in {"broken", "denied", "mute"}
    for name, call in (CALLS | BY_HEAD).items():
        with pytest.raises(error if name in CALLS or names_itself else S3Error) as caught:
            await call(provider)
        assert isinstance(caught.value, S3Error), name
        assert caught.value.operation
        assert caught.value.bucket == "bucket"
    for outcomes in (await provider.batch_read(["a"]), await provider.batch_delete(["a", "b"])):
        assert all(isinstance(outcome.error, error) for outcome in outcomes)
    faults.script()
    assert await provider.read_file("a") == b"x"


async def test_a_success_that_holds_an_error_is_none(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted.write_file("a", b"x")
    for operation in ("CopyObject", "ListObjectsV2", "CompleteMultipartUpload"):
        faults.script(Fault(operation, body=error_xml("InternalError")))
        await scripted.copy_node("a", "b")
        await scripted.stream_write("large", large())
        scripted.refresh()
        assert len(await scripted.list_directory()) >= 2
    faults.script(Fault("CopyObject", body=error_xml("InternalError"), attempts="all"))
    with pytest.raises(S3ServerError):
        await scripted.copy_node("a", "c")
    assert not await scripted.exists("c")


@pytest.mark.parametrize("wrong", ["whole", "missing", "wrong"])
async def test_a_wrong_range_is_refused(scripted: S3Provider, faults: FaultServer, wrong: Any) -> None:
    faults.objects["bucket", KEY] = bytes(17 * MIB)
    faults.script(
        Fault("GetObject", where=lambda each: "range" in each.headers, wrong_range=wrong, attempts="all")
    )
    with pytest.raises(S3IntegrityError):
        await scripted.read_file("a")
    with pytest.raises(S3IntegrityError):
        await scripted.read_file("a", range=(5, 10))


async def test_a_listing_that_does_not_advance_is_no_listing(
    scripted: S3Provider, faults: FaultServer
) -> None:
    page = (
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"
        "</ListBucketResult>"
    )
    faults.script(Fault("ListObjectsV2", body=page, attempts="all"))
    for call in (
        scripted.list_directory(),
        scripted.get_storage_stats(),
        scripted.delete_node("a/", recursive=True),
    ):
        with pytest.raises(S3Error):
            await call


async def test_xml_with_a_doctype_is_refused(scripted: S3Provider, faults: FaultServer) -> None:
    faults.script(Fault("ListObjectsV2", body="<!DOCTYPE x><ListBucketResult/>", attempts="all"))
    with pytest.raises(S3Error):
        await scripted.list_directory()


async def test_an_archived_file_names_what_to_do(scripted: S3Provider, faults: FaultServer) -> None:
    faults.objects["bucket", KEY] = b"x"
    faults.script(Fault("GetObject", status=403, body=error_xml("InvalidObjectState"), attempts="all"))
    with pytest.raises(S3ArchivedError) as caught:
        await scripted.read_file("a")
    assert "restore" in caught.value.hint
    assert len(faults.requests) == 1


async def test_a_denied_key_is_named(scripted: S3Provider, faults: FaultServer) -> None:
    body = (
        "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/u is not authorized to perform: "
        "kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:1:key/k</Message></Error>"
    )
    faults.script(Fault("PutObject", status=403, body=body, attempts="all"))
    with pytest.raises(S3PermissionError) as caught:
        await scripted.write_file("a", b"x")
    assert "kms:GenerateDataKey" in f"{caught.value} {caught.value.hint}"


async def test_a_completion_whose_answer_was_lost_is_found_out(
    scripted: S3Provider, faults: FaultServer
) -> None:
    faults.script(Fault("CompleteMultipartUpload", close_without_answer=True, before=True))
    node = await scripted.stream_write("a", large(), if_absent=True)
    assert (await scripted.get_node_info("a")).etag == node.etag
    faults.script(Fault("UploadPart", status=400, body=error_xml("NoSuchUpload"), attempts="all"))
    with pytest.raises(HaulError):
        await scripted.stream_write("b", large())
    assert not await scripted.exists("b")


async def test_a_conflict_at_completion_is_a_new_upload(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted._volume.proved()
    conflict = Fault(
        "CompleteMultipartUpload", status=409, body=error_xml("ConditionalRequestConflict"), times=1
    )
    faults.script(conflict)
    assert (await scripted.write_file("a", bytes(9 * MIB), if_absent=True)).size == 9 * MIB
    assert [each.operation for each in faults.requests].count("CreateMultipartUpload") == 2
    faults.script(conflict)
    # A stream cannot be read again.
    with pytest.raises(S3Conflict):
        await scripted.stream_write("b", large(), if_absent=True)
    assert faults.uploads == ()


async def test_a_region_that_is_wrong_is_learned(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    faults.objects["bucket", KEY] = b"x"
    body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    faults.script(
        Fault(
            status=400,
            body=body,
            attempts="all",
            where=lambda each: "us-east-1" in each.headers.get("authorization", ""),
        )
    )
    provider = opened(on_faults())
    assert await provider.read_file("a") == b"x"
    assert await provider.read_file("a") == b"x"
    assert len(faults.requests) == 3


async def test_no_secret_is_told(on_faults: Config, opened: Open, faults: FaultServer) -> None:
    events: list[Any] = []
    key = Secret(b"customer-key-customer-key-custom")
    provider = opened(
        on_faults(secret_key="s3cr3t-k3y", encryption=Encryption("SSE-C", customer_key=key)),
        on_event=events.append,
    )
    faults.script(Fault(status=403, body=error_xml("AccessDenied"), attempts="all"))
    texts = []
    for call in (provider.read_file("a"), provider.write_file("a", b"x"), provider.list_directory()):
        with pytest.raises(HaulError) as caught:
            await call
        texts.append(f"{caught.value!r} {caught.value.hint} {vars(caught.value)}")
    texts += [repr(events), repr(provider.metrics), repr(provider.config)]
    for secret in ("s3cr3t-k3y", "customer-key-custom", "Y3VzdG9tZXIta2V5", "Signature="):
        assert not any(secret in text for text in texts)


async def test_a_missing_file_that_may_not_be_looked_for_says_so(
    scripted: S3Provider, faults: FaultServer
) -> None:
    faults.script(Fault("GetObject", status=403, body=error_xml("AccessDenied"), attempts="all"))
    with pytest.raises(S3PermissionError) as caught:
        await scripted.read_file("a")
    assert "ListBucket" in caught.value.hint
    assert not isinstance(caught.value, NotFound)
