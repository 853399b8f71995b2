"""Writes whose fate is open: looked into, never assumed, never repeated where that could do harm."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.bodies import Source

from haulyard.errors import (
    S3Conflict,
    S3Error,
    S3NotFound,
    S3PermissionError,
    S3PreconditionFailed,
    SourceChanged,
)
from haulyard.models import CopyOptions, CopySource, DeleteItem, DeleteOptions, ListOptions, PutOptions
from haulyard.stores.fate import TOKEN
from haulyard.testing.faults import Fault, error_xml

if TYPE_CHECKING:
    from tests.faults.conftest import Stack

pytestmark = pytest.mark.anyio

CREATE = PutOptions(if_none_match="*")
#: More than the socket buffers on both sides hold, so that the server never has all of it.
HUGE = b"x" * 16_000_000


def impatient(stack: Stack, timeout: float) -> None:
    """Let writes and reads time out soon."""
    http = stack.connection._http
    http._config = replace(http._config, read_timeout=timeout, slowest_upload=1e12)


# A write that timed out


@pytest.mark.row("write timed out")
async def test_a_write_that_timed_out_is_tried_again_once_its_connection_is_dead(stack: Stack) -> None:
    """A write that timed out: tried again only once its connection is dead."""
    impatient(stack, 2.0)
    stack.server.script(Fault("PutObject", stall=True, read_request_body=65_536))
    await stack.store.put("key", HUGE, PutOptions(checksum_algorithm="none"))
    await stack.store.put("key", b"newer")
    stack.server.release()
    await stack.server.settle_async()
    assert stack.server.objects["bucket", "key"] == b"newer"


@pytest.mark.row("write timed out")
@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_conditional_write_that_timed_out_is_looked_for(stack: Stack, *, carried_out: bool) -> None:
    """A write that timed out: reconciled by HEAD."""
    impatient(stack, 0.5)
    stack.server.script(Fault("PutObject", stall=True, before=carried_out))
    await stack.store.put("key", b"ours", CREATE)
    looked = ["PutObject", "HeadObject"]
    assert stack.operations == (looked if carried_out else [*looked, "PutObject"])
    stack.server.release()
    await stack.server.settle_async()
    assert stack.server.objects["bucket", "key"] == b"ours"


@pytest.mark.row("read again")
async def test_a_source_is_read_from_its_start_for_checksum_and_each_attempt(stack: Stack) -> None:
    """Integrity: what is sent is hashed and read again rather than held."""
    body = Source(b"x" * 1_000_000)
    stack.server.script(Fault("PutObject", reset_after=0, read_request_body=65_536))
    await stack.store.put("key", body)
    assert (body.opened, body.closed) == (3, 3)
    assert stack.server.objects["bucket", "key"] == body.content


@pytest.mark.row("read again")
async def test_a_source_that_changed_meanwhile_is_not_stored(stack: Stack) -> None:
    """Integrity: the bytes that are sent are counted."""
    with pytest.raises(SourceChanged):
        await stack.store.put("key", Source(b"x" * 500_000, size=600_000))
    assert ("bucket", "key") not in stack.server.objects


# 412 after our own retried conditional write


@pytest.mark.row("own condition")
@pytest.mark.parametrize("options", [CREATE, PutOptions(if_none_match="*", metadata={TOKEN: "t"})])
async def test_a_condition_that_our_own_first_try_broke_is_no_failure(
    stack: Stack, options: PutOptions
) -> None:
    """412 after our own retried conditional write: ours if token or checksum match."""
    stack.server.script(Fault("PutObject", before=True, status=500))
    await stack.store.put("key", b"ours", options)
    assert stack.operations == ["PutObject", "PutObject", "HeadObject"]
    assert stack.server.objects["bucket", "key"] == b"ours"


@pytest.mark.row("own condition")
async def test_a_condition_that_somebody_else_broke_is_a_failure(stack: Stack) -> None:
    """412 after our own retried conditional write: else S3PreconditionFailed."""
    stack.server.script(Fault("PutObject", status=500, change_etag=True))
    stack.server.objects["bucket", "key"] = b"theirs"
    with pytest.raises(S3PreconditionFailed):
        await stack.store.put("key", b"ours!!", CREATE)
    assert stack.server.objects["bucket", "key"] != b"ours!!"


@pytest.mark.row("etag")
async def test_an_etag_that_need_not_be_an_md5_proves_nothing(stack: Stack) -> None:
    """ETag: MD5 only for plain single-part objects without KMS or SSE-C."""
    seeming = f'"{hashlib.md5(b"ours", usedforsecurity=False).hexdigest()}"'
    encrypted: dict[str, str | None] = {
        "x-amz-checksum-crc64nvme": None,
        "x-amz-server-side-encryption": "aws:kms",
        "etag": seeming,
    }
    stack.server.script(
        Fault("PutObject", before=True, status=500), Fault("HeadObject", headers=encrypted, attempts="all")
    )
    with pytest.raises(S3PreconditionFailed):
        await stack.store.put("key", b"ours", CREATE)


# 409 ConditionalRequestConflict


@pytest.mark.row("conflict")
async def test_a_conflicting_write_is_tried_again(stack: Stack) -> None:
    """409 ConditionalRequestConflict: PUT: retry."""
    stack.server.script(Fault("PutObject", status=409, body=error_xml("ConditionalRequestConflict")))
    await stack.store.put("key", b"content", CREATE)
    assert stack.operations == ["PutObject", "PutObject"]


@pytest.mark.row("conflict")
async def test_a_conflicting_completion_needs_a_new_upload(stack: Stack) -> None:
    """409 ConditionalRequestConflict: multipart: a new upload."""
    upload = await stack.store.create_multipart("key")
    part = await stack.store.put_part("key", upload, 1, b"part")
    conflict = Fault("CompleteMultipartUpload", status=409, body=error_xml("ConditionalRequestConflict"))
    stack.server.script(conflict)
    with pytest.raises(S3Conflict):
        await stack.store.complete_multipart("key", upload, [part], CREATE)
    assert stack.operations.count("CompleteMultipartUpload") == 1


# NoSuchUpload after a lost answer to Complete


@pytest.mark.row("lost completion")
@pytest.mark.parametrize(
    "lost",
    [
        Fault("CompleteMultipartUpload", before=True, close_without_answer=True),
        Fault("CompleteMultipartUpload", before=True, status=500),
        Fault("CompleteMultipartUpload", before=True, body=""),
    ],
    ids=["closed", "500", "empty 200"],
)
async def test_a_completion_whose_answer_was_lost_is_found_by_its_token(stack: Stack, lost: Fault) -> None:
    """NoSuchUpload after a lost answer to Complete: HEAD: size and our own write token must match."""
    options = PutOptions(metadata={TOKEN: "ours"})
    upload = await stack.store.create_multipart("key", options)
    part = await stack.store.put_part("key", upload, 1, b"part")
    stack.server.script(lost)
    result = await stack.store.complete_multipart("key", upload, [part], options)
    assert result.etag == (await stack.store.head("key")).etag
    assert stack.server.objects["bucket", "key"] == b"part"


@pytest.mark.row("lost completion")
async def test_an_object_that_exists_is_no_proof_of_a_completion(stack: Stack) -> None:
    """NoSuchUpload after a lost answer to Complete: existing is not proof."""
    options = PutOptions(metadata={TOKEN: "ours"})
    upload = await stack.store.create_multipart("key", options)
    part = await stack.store.put_part("key", upload, 1, b"part")
    await stack.store.abort_multipart("key", upload)
    await stack.store.put("key", b"part", PutOptions(metadata={TOKEN: "theirs"}))
    stack.server.script(Fault("CompleteMultipartUpload", reset_after=0))
    with pytest.raises(S3NotFound) as final:
        await stack.store.complete_multipart("key", upload, [part], options)
    assert final.value.code == "NoSuchUpload"


@pytest.mark.row("older stores")
async def test_an_empty_etag_of_a_completion_is_borne(stack: Stack) -> None:
    """Older S3-compatible stores may return an empty ETag on Complete."""
    upload = await stack.store.create_multipart("key")
    part = await stack.store.put_part("key", upload, 1, b"part")
    body = "<CompleteMultipartUploadResult><Key>key</Key><ETag></ETag></CompleteMultipartUploadResult>"
    stack.server.script(Fault("CompleteMultipartUpload", body=body))
    assert (await stack.store.complete_multipart("key", upload, [part])).etag == ""


# Aborting while parts are in flight


@pytest.mark.row("parts in flight")
async def test_an_upload_is_aborted_until_no_part_is_left(stack: Stack) -> None:
    """Aborting while parts are in flight: abort, then ListParts until empty."""
    upload = await stack.store.create_multipart("key")
    part = "<Part><PartNumber>1</PartNumber><ETag>x</ETag><Size>4</Size></Part>"
    listed = f"<ListPartsResult><UploadId>{upload}</UploadId>{part}</ListPartsResult>"
    stack.server.script(Fault("ListParts", body=listed), Fault("AbortMultipartUpload", status=500))
    await stack.store.abort_multipart("key", upload)
    assert stack.operations[1:] == ["AbortMultipartUpload"] * 2 + ["ListParts", "AbortMultipartUpload"]
    assert not stack.server.uploads


# Deletes


@pytest.mark.row("versions")
@pytest.mark.parametrize(
    "lost",
    [
        Fault("DeleteObject", before=True, close_without_answer=True),
        Fault("DeleteObject", before=True, status=500),
    ],
    ids=["closed", "500"],
)
async def test_a_delete_that_was_done_is_not_done_again(stack: Stack, lost: Fault) -> None:
    """Versioned buckets: never retry a delete into a second marker without need."""
    stack.server.objects["bucket", "key"] = b"content"
    stack.server.script(lost)
    await stack.store.delete("key")
    assert stack.operations == ["DeleteObject", "HeadObject"]


@pytest.mark.row("versions")
@pytest.mark.parametrize("lost", [{"close_without_answer": True}, {"status": 500}], ids=["closed", "500"])
async def test_a_batch_that_was_done_is_not_done_again(stack: Stack, lost: dict[str, int]) -> None:
    """Versioned buckets: never retry a delete into a second marker without need."""
    for key in "ab":
        stack.server.objects["bucket", key] = b"content"
    stack.server.script(Fault("DeleteObjects", before=True, **lost))  # type: ignore[arg-type]
    outcomes = await stack.store.delete_many([DeleteItem("a"), DeleteItem("b")])
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert sorted(stack.operations) == ["DeleteObjects", "HeadObject", "HeadObject"]


@pytest.mark.row("versions")
async def test_a_delete_that_was_not_done_is_done_again(stack: Stack) -> None:
    """500, 502, 504: tried again, once it is known that it is needed."""
    stack.server.objects["bucket", "key"] = b"content"
    stack.server.script(Fault("DeleteObject", status=500, attempts=(1, 2, 3)))
    await stack.store.delete("key")
    assert stack.operations == ["DeleteObject", "HeadObject"] * 3 + ["DeleteObject"]
    assert ("bucket", "key") not in stack.server.objects


@pytest.mark.row("batch delete")
async def test_each_key_of_a_batch_has_its_own_outcome(stack: Stack) -> None:
    """DeleteObjects, per-key errors: only failed keys are tried again; an absent key counts as deleted."""
    for key in "abc":
        stack.server.objects["bucket", key] = b"content"
    errors = {"a": "InternalError", "b": "AccessDenied", "d": "NoSuchKey"}
    answer = "".join(
        f"<Error><Key>{key}</Key><Code>{code}</Code><Message>m</Message></Error>"
        for key, code in errors.items()
    )
    stack.server.script(Fault("DeleteObjects", body=f"<DeleteResult>{answer}</DeleteResult>"))
    outcomes = await stack.store.delete_many([DeleteItem(key) for key in "abcd"])
    assert [outcome.key for outcome in outcomes] == list("abcd")
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        S3PermissionError,
        type(None),
        type(None),
    ]
    assert stack.operations == ["DeleteObjects", "DeleteObjects"]
    assert b"<Key>a</Key>" in stack.server.requests[1].body
    assert stack.server.requests[1].body.count(b"<Key>") == 1


@pytest.mark.row("content md5")
async def test_a_batch_carries_the_old_checksum_and_a_new_one(stack: Stack) -> None:
    """Older stores want Content-MD5 on DeleteObjects."""
    await stack.store.delete_many([DeleteItem("a")])
    headers = stack.server.requests[0].headers
    assert "content-md5" in headers
    assert "x-amz-checksum-crc32" in headers


# Conditional writes


@pytest.mark.row("conditional writes")
async def test_conditions_are_said_and_hold(stack: Stack) -> None:
    """Integrity: If-None-Match: * and If-Match on PutObject, Complete, CopyObject and deletes."""
    store, server = stack.store, stack.server
    first = await store.put("key", b"first", CREATE)
    with pytest.raises(S3PreconditionFailed):
        await store.put("key", b"second", CREATE)
    with pytest.raises(S3PreconditionFailed):
        await store.put("key", b"second", PutOptions(if_match="another"))
    with pytest.raises(S3PreconditionFailed):
        await store.copy(CopySource("bucket", "key", etag="another"), "copy")
    with pytest.raises(S3PreconditionFailed):
        await store.copy(CopySource("bucket", "key"), "key", CopyOptions(CREATE, replace_metadata=True))
    with pytest.raises(S3PreconditionFailed):
        await store.delete("key", DeleteOptions(if_match="another"))
    assert server.objects["bucket", "key"] == b"first"
    await store.put("key", b"second", PutOptions(if_match=first.etag))
    assert server.requests[-1].headers["if-match"] == f'"{first.etag}"'
    assert server.objects["bucket", "key"] == b"second"


# Listings


@pytest.mark.row("stuck listing")
async def test_a_listing_that_does_not_advance_is_an_error(stack: Stack) -> None:
    """NextContinuationToken that does not advance: error."""
    page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    stack.server.script(Fault("ListObjectsV2", body=f"{page}</ListBucketResult>", attempts="all"))
    with pytest.raises(S3Error, match="same continuation twice"):
        [page async for page in stack.store.list()]
    assert len(stack.operations) == 2


@pytest.mark.row("stuck listing")
async def test_an_empty_page_with_a_token_is_not_the_end(stack: Stack) -> None:
    """Empty page with a token: go on."""
    stack.server.objects["bucket", "key"] = b"content"
    token = "<IsTruncated>true</IsTruncated><NextContinuationToken>a2V5</NextContinuationToken>"
    empty = Fault("ListObjectsV2", body=f"<ListBucketResult>{token}</ListBucketResult>", times=1)
    rest = (
        "<Contents><Key>key</Key><Size>7</Size><LastModified>2024-01-01T00:00:00Z</LastModified></Contents>"
    )
    last = Fault("ListObjectsV2", body=f"<ListBucketResult>{rest}</ListBucketResult>")
    stack.server.script(empty, last)
    pages = [page async for page in stack.store.list()]
    assert [info.key for page in pages for info in page.objects] == ["key"]


@pytest.mark.row("xml")
@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE x [<!ENTITY e "haul">]><ListBucketResult><Name>&e;</Name></ListBucketResult>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x"><ListBucketResult/>',
        "<a>" * 100 + "</a>" * 100,
    ],
    ids=["entity", "external", "deep"],
)
async def test_documents_that_no_store_sends_are_refused(stack: Stack, body: str) -> None:
    """XML: any DOCTYPE is refused; sizes are bounded."""
    stack.server.script(Fault("ListObjectsV2", body=body, attempts="all"))
    with pytest.raises(S3Error):
        await anext(stack.store.list())


@pytest.mark.row("xml")
async def test_an_answer_that_never_ends_is_given_up(connect: Any) -> None:
    """XML: sizes are bounded."""
    stack: Stack = connect(retries=1)
    stack.server.script(Fault("ListObjectsV2", body=b" " * (33 << 20)))
    with pytest.raises(S3Error, match="longer than"):
        await anext(stack.store.list("", ListOptions()))


@pytest.mark.row("xml")
async def test_every_listing_asks_for_encoded_keys(stack: Stack) -> None:
    """XML: encoding-type=url on every listing."""
    stack.server.objects["bucket", "a\x01b"] = b"content"
    assert [info.key async for page in stack.store.list() for info in page.objects] == ["a\x01b"]
    [upload async for upload in stack.store.list_uploads()]
    assert {request.parameters.get("encoding-type") for request in stack.server.requests} == {"url"}
