"""Bodies on their way in: never short, never mixed, never unverified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.checksums import compute
from haulyard.errors import PreconditionFailed, S3IntegrityError, S3NetworkError, S3PreconditionFailed
from haulyard.models import ByteRange, GetOptions, PutOptions
from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from tests.faults.conftest import Stack

    from haulyard.stores.s3 import S3Store

pytestmark = pytest.mark.anyio

#: Larger than what the transport hands over with the head, and than the socket buffers together.
CONTENT = bytes(range(256)) * 65_536  # 16 MiB


async def read(store: S3Store, options: GetOptions | None = None) -> bytes:
    async with await store.get("key", options or GetOptions()) as reader:
        return b"".join([bytes(chunk) async for chunk in reader.chunks()])


# Body reset or cut short


@pytest.mark.row("broken body")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("GetObject", truncate=5_000_000),
        Fault("GetObject", reset_after=5_000_000),
        Fault("GetObject", truncate=1_000, attempts=(1, 2)),
    ],
    ids=["cut", "reset", "cut at once"],
)
async def test_a_body_that_breaks_off_goes_on_where_it_was(stack: Stack, fault: Fault) -> None:
    """Body reset or cut short: resume from the offset with If-Match and a checked Content-Range."""
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(fault)
    assert await read(stack.store) == CONTENT
    last = stack.server.requests[-1]
    if "range" in last.headers:
        start = int(last.headers["range"].removeprefix("bytes=").partition("-")[0])
        assert start > 0
        assert last.headers["if-match"] == stack.server.objects.stored("bucket", "key").etag


@pytest.mark.row("broken body")
async def test_a_body_that_breaks_off_again_and_again_still_arrives(stack: Stack) -> None:
    """Body reset or cut short: each byte that arrives starts the count anew."""
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(Fault("GetObject", truncate=2_000_000, attempts="all"))
    assert await read(stack.store) == CONTENT
    assert len(stack.operations) >= 8


@pytest.mark.row("broken body")
async def test_a_body_that_never_goes_on_is_an_error_and_no_short_file(connect: Any) -> None:
    """Body reset or cut short: never a short file."""
    stack: Stack = connect(retries=2)
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(
        Fault("GetObject", truncate=5_000_000, times=1), Fault("GetObject", reset_after=0, attempts="all")
    )
    with pytest.raises(S3NetworkError):
        await read(stack.store)


# A range answered with 200, or with no or a wrong Content-Range


@pytest.mark.row("wrong range")
@pytest.mark.parametrize("how", ["whole", "missing", "wrong"])
async def test_another_range_than_was_asked_for_is_rejected(stack: Stack, how: Any) -> None:
    """A range answered with 200, or with no or a wrong Content-Range: reject."""
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(Fault("GetObject", wrong_range=how, attempts="all"))
    with pytest.raises(S3IntegrityError):
        await read(stack.store, GetOptions(range=ByteRange(100, 200)))


@pytest.mark.row("wrong range")
@pytest.mark.parametrize("how", ["whole", "missing", "wrong"])
async def test_a_body_is_not_resumed_with_another_range(stack: Stack, how: Any) -> None:
    """A range answered with 200, or with no or a wrong Content-Range: reject."""
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(
        Fault("GetObject", truncate=5_000_000, times=1), Fault("GetObject", wrong_range=how, attempts="all")
    )
    with pytest.raises(S3IntegrityError):
        await read(stack.store)


# Object replaced between two ranges


@pytest.mark.row("replaced meanwhile")
async def test_an_object_replaced_while_it_is_read_is_no_mixture(stack: Stack) -> None:
    """Object replaced between two ranges: every range carries If-Match; fail, never a mixed file."""
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(
        Fault("GetObject", truncate=5_000_000, times=1), Fault("GetObject", change_etag=True, times=1)
    )
    with pytest.raises(S3PreconditionFailed):
        await read(stack.store)


@pytest.mark.row("replaced meanwhile")
async def test_a_store_that_ignores_if_match_is_found_out(stack: Stack) -> None:
    """Object replaced between two ranges: the ETag of the answer is compared, too."""
    stack.server.objects["bucket", "key"] = CONTENT
    body = CONTENT[-1000:]
    size = len(CONTENT)
    stack.server.script(
        Fault("GetObject", truncate=5_000_000, times=1),
        Fault(
            "GetObject",
            attempts="all",
            status=206,
            body=body,
            headers={"content-range": f"bytes {size - 1000}-{size - 1}/{size}", "etag": '"another"'},
        ),
    )
    with pytest.raises((S3PreconditionFailed, S3IntegrityError)):
        await read(stack.store)


@pytest.mark.row("replaced meanwhile")
async def test_parts_of_an_object_are_bound_to_its_etag(stack: Stack) -> None:
    """Object replaced between two ranges: who reads by ranges says which object is meant."""
    stack.server.objects["bucket", "key"] = CONTENT
    head = await stack.store.head("key")
    first = GetOptions(range=ByteRange(0, 100), if_match=head.etag)
    assert await read(stack.store, first) == CONTENT[:100]
    stack.server.objects["bucket", "key"] = CONTENT[::-1]
    with pytest.raises(PreconditionFailed):
        await read(stack.store, GetOptions(range=ByteRange(100, 200), if_match=head.etag))


# What is read is verified


@pytest.mark.row("checksum read")
@pytest.mark.parametrize("size", [1_000, len(CONTENT)])
async def test_what_arrives_is_held_against_the_stores_checksum(stack: Stack, size: int) -> None:
    """Integrity: the checksum of the whole object, verified behind the last byte."""
    await stack.store.put("key", CONTENT[:size])
    assert await read(stack.store) == CONTENT[:size]
    assert stack.server.requests[-1].headers["x-amz-checksum-mode"] == "ENABLED"
    stack.server.script(Fault("GetObject", headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}))
    with pytest.raises(S3IntegrityError, match="CRC64NVME"):
        await read(stack.store)


@pytest.mark.row("checksum read")
async def test_verifying_can_be_left_to_others(connect: Any) -> None:
    """Integrity: AWS_RESPONSE_CHECKSUM_VALIDATION is honoured."""
    stack: Stack = connect(AWS_RESPONSE_CHECKSUM_VALIDATION="when_required")
    await stack.store.put("key", b"content")
    stack.server.script(Fault("GetObject", headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}))
    assert await read(stack.store) == b"content"
    assert "x-amz-checksum-mode" not in stack.server.requests[-1].headers


@pytest.mark.row("checksum kinds")
async def test_a_checksum_of_checksums_says_nothing_about_the_bytes(stack: Stack) -> None:
    """COMPOSITE and FULL_OBJECT are different things: compare like with like."""
    await stack.store.put("key", b"content")
    composite: dict[str, str | None] = {
        "x-amz-checksum-crc64nvme": None,
        "x-amz-checksum-crc32": "AAAAAA==-2",
        "x-amz-checksum-type": "COMPOSITE",
    }
    stack.server.script(Fault("GetObject", headers=composite), Fault("HeadObject", headers=composite))
    assert await read(stack.store) == b"content"
    (checksum,) = (await stack.store.head("key")).checksums
    assert checksum.kind == "COMPOSITE"


@pytest.mark.row("checksum kinds")
async def test_a_multipart_sha_is_asked_for_as_composite(stack: Stack) -> None:
    """Integrity: a multipart checksum of SHA-1 or SHA-256 is COMPOSITE only."""
    for algorithm, kind in (("SHA256", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT")):
        await stack.store.create_multipart("key", PutOptions(checksum_algorithm=algorithm))
        assert stack.server.requests[-1].headers["x-amz-checksum-type"] == kind


@pytest.mark.row("etag")
@pytest.mark.parametrize("etag", ['"not-an-md5"', '"9e107d9d372bb6826bd81d3542a419d6"', "unquoted", ""])
async def test_an_etag_is_no_checksum_of_what_arrives(stack: Stack, etag: str) -> None:
    """ETag: opaque; MD5 only for plain single-part objects."""
    stack.server.objects["bucket", "key"] = CONTENT
    stack.server.script(Fault("GetObject", headers={"etag": etag or None}))
    assert await read(stack.store) == CONTENT


@pytest.mark.row("older stores")
async def test_a_store_without_checksums_is_borne(stack: Stack) -> None:
    """Older S3-compatible stores ignore x-amz-checksum-*: verify by what they do have."""
    none: dict[str, str | None] = {"x-amz-checksum-crc64nvme": None}
    stack.server.script(
        Fault("PutObject", headers=none), Fault("GetObject", headers=none), Fault("HeadObject", headers=none)
    )
    assert (await stack.store.put("key", b"content")).checksums == ()
    assert await read(stack.store) == b"content"
    assert (await stack.store.head("key")).checksums == ()


@pytest.mark.row("checksum sent")
@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"])
async def test_a_write_carries_its_checksum_as_a_plain_header(stack: Stack, algorithm: str) -> None:
    """Integrity: the checksum as a plain header, computed beforehand; no trailer."""
    await stack.store.put("key", b"content", PutOptions(checksum_algorithm=algorithm))
    headers = stack.server.requests[0].headers
    assert headers[f"x-amz-checksum-{algorithm.lower()}"] == compute(algorithm, b"content").value
    assert "x-amz-trailer" not in headers
    assert "aws-chunked" not in headers.get("content-encoding", "")


@pytest.mark.row("checksum sent")
async def test_a_checksum_goes_with_each_write_unless_the_environment_says_no(connect: Any) -> None:
    """Integrity: CRC64NVME by default; AWS_REQUEST_CHECKSUM_CALCULATION is honoured."""
    stack: Stack = connect()
    await stack.store.put("key", b"content")
    upload = await stack.store.create_multipart("key")
    await stack.store.put_part("key", upload, 1, b"content")
    put, _, part = stack.server.requests
    assert "x-amz-checksum-crc64nvme" in put.headers
    assert "x-amz-checksum-crc64nvme" in part.headers
    quiet: Stack = connect(AWS_REQUEST_CHECKSUM_CALCULATION="when_required")
    await quiet.store.put("key", b"content")
    assert not [name for name in stack.server.requests[-1].headers if name.startswith("x-amz-checksum")]


@pytest.mark.row("checksum sent")
async def test_a_body_that_was_damaged_on_its_way_is_not_stored(stack: Stack) -> None:
    """Integrity: the store compares, and BadDigest is final."""
    wrong = PutOptions(checksum=compute("CRC64NVME", b"other"))
    with pytest.raises(S3IntegrityError):
        await stack.store.put("key", b"content", wrong)
    assert stack.operations == ["PutObject"]
    assert ("bucket", "key") not in stack.server.objects
