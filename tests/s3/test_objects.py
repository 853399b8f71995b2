"""Calls on one object, as botocore makes them; heads and ranges, read with distrust."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError, S3IntegrityError
from haulyard.models import (
    ByteRange,
    Checksum,
    CopyOptions,
    CopySource,
    DeleteOptions,
    DeleteOutcome,
    Encryption,
    GetOptions,
    PutOptions,
    PutResult,
    RestoreOptions,
    Secret,
)
from haulyard.s3.objects import (
    check_range,
    copy_object,
    copy_source,
    delete_object,
    get_object,
    head_object,
    parse_copy,
    parse_delete,
    parse_head,
    parse_put,
    parse_restore,
    put_object,
    restore_object,
)
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

SSE_C = Encryption("SSE-C", customer_key=Secret(b"k" * 32))
SSE_C_ARGUMENTS = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
DAY = datetime(2024, 5, 1, 12, tzinfo=UTC)

PUT = PutOptions(
    content_type="text/plain",
    cache_control="no-cache",
    metadata={"a": "b"},
    tags={"t": "u v"},
    storage_class="STANDARD_IA",
    acl="private",
    encryption=Encryption("aws:kms", kms_key_id="k", bucket_key=True),
    if_none_match="*",
)
PUT_ARGUMENTS: dict[str, Any] = {
    "ContentType": "text/plain",
    "CacheControl": "no-cache",
    "Metadata": {"a": "b"},
    "Tagging": "t=u%20v",
    "StorageClass": "STANDARD_IA",
    "ACL": "private",
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "k",
    "BucketKeyEnabled": True,
    "IfNoneMatch": "*",
}


def test_reads_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = GetOptions(
        range=ByteRange(5, 10),
        if_match="e",
        if_none_match="f",
        if_modified_since=DAY,
        if_unmodified_since=DAY,
        version_id="v",
        part_number=2,
        encryption=SSE_C,
    )
    arguments: dict[str, Any] = {
        "Bucket": "b",
        "Key": "k",
        "Range": "bytes=5-9",
        "IfMatch": '"e"',
        "IfNoneMatch": '"f"',
        "IfModifiedSince": DAY,
        "IfUnmodifiedSince": DAY,
        "VersionId": "v",
        "PartNumber": 2,
        "ChecksumMode": "ENABLED",
    }
    assert sent(get_object("b", "k", options)) == aws.sends("get_object", **arguments, **SSE_C_ARGUMENTS)
    assert sent(head_object("b", "k", options)) == aws.sends("head_object", **arguments, **SSE_C_ARGUMENTS)


def test_a_get_is_streamed_and_a_head_is_not() -> None:
    assert get_object("b", "k").streamed
    assert not head_object("b", "k").streamed
    assert get_object("b", "k").repeatable
    assert "x-amz-checksum-mode" not in get_object("b", "k", GetOptions(want_checksum=False)).headers


def test_puts_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    request = put_object("b", "k", b"abc", PUT)
    assert request.headers["content-type"] == "text/plain"
    assert sent(request) == aws.sends("put_object", Bucket="b", Key="k", Body=b"abc", **PUT_ARGUMENTS)


def test_a_put_carries_the_checksum_as_a_plain_header() -> None:
    checksum = Checksum("CRC64NVME", "BeXKuz/B+us=")
    assert put_object("b", "k", b"abc", PutOptions(checksum=checksum)).headers == {
        "x-amz-checksum-crc64nvme": "BeXKuz/B+us="
    }


def test_a_conditional_write_is_not_repeated_blindly() -> None:
    """Row "412 after our own retried conditional write"."""
    assert put_object("b", "k", b"").repeatable
    assert not put_object("b", "k", b"", PutOptions(if_match="e")).repeatable
    assert not put_object("b", "k", b"", PutOptions(if_none_match="*")).repeatable
    source = CopySource("b", "k")
    assert copy_object("b", "k", source).repeatable
    assert not copy_object("b", "k", source, CopyOptions(PutOptions(if_none_match="*"))).repeatable


def test_a_copy_that_keeps_everything_is_that_of_botocore(
    aws: Botocore, sent: Callable[[Request], Sent]
) -> None:
    source = CopySource("src", "a b+c/é%.txt", "v/1", "e", SSE_C)
    request = copy_object("b", "k", source, CopyOptions(PUT))
    theirs = aws.sends(
        "copy_object",
        Bucket="b",
        Key="k",
        CopySource={"Bucket": "src", "Key": "a b+c/é%.txt"},
        CopySourceIfMatch='"e"',
        CopySourceSSECustomerAlgorithm="AES256",
        CopySourceSSECustomerKey="k" * 32,
        StorageClass="STANDARD_IA",
        ACL="private",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="k",
        BucketKeyEnabled=True,
        IfNoneMatch="*",
    )
    theirs.headers["x-amz-copy-source"] += "?versionId=v%2F1"
    assert sent(request) == theirs


def test_a_copy_that_replaces_is_that_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = CopyOptions(PUT, replace_metadata=True, replace_tags=True)
    assert sent(copy_object("b", "k", CopySource("src", "k"), options)) == aws.sends(
        "copy_object",
        Bucket="b",
        Key="k",
        CopySource={"Bucket": "src", "Key": "k"},
        MetadataDirective="REPLACE",
        TaggingDirective="REPLACE",
        **PUT_ARGUMENTS,
    )


def test_tags_are_kept_where_only_metadata_is_replaced() -> None:
    headers = copy_object("b", "k", CopySource("s", "k"), CopyOptions(PUT, replace_metadata=True)).headers
    assert "x-amz-tagging" not in headers
    assert "x-amz-tagging-directive" not in headers
    assert headers["x-amz-meta-a"] == "b"


def test_a_copy_asks_for_a_checksum_where_it_is_told_to() -> None:
    source = CopySource("s", "k")
    asked = copy_object("b", "k", source, CopyOptions(PutOptions(checksum_algorithm="CRC32"))).headers
    assert asked["x-amz-checksum-algorithm"] == "CRC32"
    for algorithm in ("", "none"):
        headers = copy_object("b", "k", source, CopyOptions(PutOptions(checksum_algorithm=algorithm))).headers
        assert headers == {"x-amz-copy-source": "s/k"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (CopySource("b", "a/b c+é"), "b/a/b%20c%2B%C3%A9"),
        (CopySource("b", "/../a//b"), "b//../a//b"),
        (CopySource("b", "k", "3/L4kqt"), "b/k?versionId=3%2FL4kqt"),
        (
            CopySource("arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", "a b"),
            "arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/ap/object/a%20b",
        ),
    ],
)
def test_the_source_of_a_copy_is_encoded(source: CopySource, expected: str) -> None:
    assert copy_source(source) == expected


def test_a_200_of_a_copy_that_holds_an_error_is_no_success() -> None:
    """Row "200 with an `<Error>` or unparsable body"."""
    classify = copy_object("b", "k", CopySource("s", "k")).classify
    assert classify is not None
    assert classify(200, {}, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")
    assert not classify(200, {}, b"<Error><Code>InternalError</Code></Error>")
    assert not classify(200, {}, b"<CopyObjectResult>")


def test_deletes_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = DeleteOptions(version_id="v", if_match="e", bypass_governance=True)
    assert sent(delete_object("b", "k", options)) == aws.sends(
        "delete_object", Bucket="b", Key="k", VersionId="v", IfMatch='"e"', BypassGovernanceRetention=True
    )


def test_a_delete_without_version_is_not_repeated_into_a_second_marker() -> None:
    """Row "versioned buckets"."""
    assert not delete_object("b", "k").repeatable
    assert delete_object("b", "k", DeleteOptions(version_id="v")).repeatable
    assert not delete_object("b", "k", DeleteOptions(version_id="v", if_match="e")).repeatable


def test_the_answer_to_a_delete_names_the_marker() -> None:
    marker = {"x-amz-delete-marker": "true", "x-amz-version-id": "m"}
    assert parse_delete("k", marker) == DeleteOutcome("k", "", is_marker=True, marker_version_id="m")
    assert parse_delete("k", marker, DeleteOptions(version_id="m")).version_id == "m"
    assert parse_delete("k", {"x-amz-version-id": "v"}, DeleteOptions(version_id="v")) == DeleteOutcome(
        "k", "v"
    )
    assert parse_delete("k", {}) == DeleteOutcome("k")


def test_restores_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    assert sent(restore_object("b", "k", RestoreOptions(3, "Bulk", "v"))) == aws.sends(
        "restore_object",
        Bucket="b",
        Key="k",
        VersionId="v",
        RestoreRequest={"Days": 3, "GlacierJobParameters": {"Tier": "Bulk"}},
    )
    assert sent(restore_object("b", "k", RestoreOptions(None))) == aws.sends(
        "restore_object", Bucket="b", Key="k", RestoreRequest={"GlacierJobParameters": {"Tier": "Standard"}}
    )
    assert parse_restore(200)
    assert not parse_restore(202)


@pytest.mark.parametrize("options", [RestoreOptions(0), RestoreOptions(1, "Instant")])
def test_a_restore_that_s3_does_not_have_is_refused(options: RestoreOptions) -> None:
    with pytest.raises(ConfigError):
        restore_object("b", "k", options)


HEAD = {
    "content-length": "5242883",
    "content-type": "text/plain",
    "content-encoding": "gzip",
    "content-disposition": "inline",
    "content-language": "de",
    "cache-control": "no-cache",
    "expires": "Wed, 01 May 2024 00:00:00 GMT",
    "etag": '"208f74cdec7e7d89e6612b985878dbb1-2"',
    "last-modified": "Sun, 22 Nov 2026 07:13:14 GMT",
    "x-amz-meta-foo": "bar",
    "x-amz-storage-class": "GLACIER",
    "x-amz-version-id": "v",
    "x-amz-checksum-crc64nvme": "dbrAG0UBWtU=",
    "x-amz-checksum-type": "FULL_OBJECT",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "arn:k",
    "x-amz-restore": 'ongoing-request="true"',
    "x-amz-archive-status": "ARCHIVE_ACCESS",
    "x-amz-tagging-count": "2",
    "x-amz-mp-parts-count": "2",
}


def test_a_head_is_read_as_botocore_reads_it(aws: Botocore) -> None:
    theirs = aws.reads("head_object", b"", HEAD, Bucket="b", Key="k")
    head = parse_head("k", 200, HEAD)
    assert head.key == "k"
    assert head.size == theirs["ContentLength"]
    assert head.last_modified == theirs["LastModified"]
    assert head.etag == theirs["ETag"].strip('"')
    assert head.content_type == theirs["ContentType"]
    assert head.content_encoding == theirs["ContentEncoding"]
    assert head.content_disposition == theirs["ContentDisposition"]
    assert head.content_language == theirs["ContentLanguage"]
    assert head.cache_control == theirs["CacheControl"]
    assert head.expires == theirs["ExpiresString"]
    assert head.metadata == theirs["Metadata"]
    assert head.storage_class == theirs["StorageClass"]
    assert head.version_id == theirs["VersionId"]
    assert head.checksums == (Checksum("CRC64NVME", theirs["ChecksumCRC64NVME"], theirs["ChecksumType"]),)
    assert head.encryption == theirs["ServerSideEncryption"]
    assert head.kms_key_id == theirs["SSEKMSKeyId"]
    assert head.restore == theirs["Restore"]
    assert head.archive_status == theirs["ArchiveStatus"]
    assert head.tag_count == 2
    assert head.parts_count == theirs["PartsCount"]
    assert head.headers == HEAD


def test_a_bare_head_has_defaults() -> None:
    head = parse_head("k", 200, {"content-length": "0"})
    assert head.storage_class == "STANDARD"
    assert (head.etag, head.metadata, head.checksums, head.encryption) == ("", {}, (), "")
    assert head.last_modified is None
    customer = {"content-length": "0", "x-amz-server-side-encryption-customer-algorithm": "AES256"}
    assert parse_head("k", 200, customer).encryption == "SSE-C"


def test_the_size_is_that_of_the_object_also_for_a_range() -> None:
    assert parse_head("k", 206, {"content-length": "5", "content-range": "bytes 0-4/100"}).size == 100


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {}),
        (200, {"content-length": "x"}),
        (206, {"content-length": "5"}),
        (206, {"content-range": "bytes 0-4/*"}),
    ],
)
def test_a_head_without_a_size_is_refused(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(S3IntegrityError) as caught:
        parse_head("k", status, headers)
    assert caught.value.key == "k"
    assert caught.value.hint


def test_counts_that_are_none_do_not_break_a_head() -> None:
    assert parse_head("k", 200, {"content-length": "0", "x-amz-tagging-count": "²"}).tag_count == 0


def test_the_answer_to_a_put_is_read() -> None:
    headers = {"etag": '"e"', "x-amz-version-id": "v", "x-amz-checksum-crc32": "NSRBwg=="}
    assert parse_put(headers) == PutResult("e", "v", (Checksum("CRC32", "NSRBwg=="),))
    assert parse_put({}) == PutResult("")


def test_the_answer_to_a_copy_is_read() -> None:
    body = (
        b'<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>"e"</ETag>'
        b"<LastModified>2026-11-22T07:13:15.000Z</LastModified><ChecksumCRC32>NSRBwg==</ChecksumCRC32>"
        b"</CopyObjectResult>"
    )
    assert parse_copy(body, {"x-amz-version-id": "v"}) == PutResult(
        "e", "v", (Checksum("CRC32", "NSRBwg=="),), datetime(2026, 11, 22, 7, 13, 15, tzinfo=UTC)
    )
    with pytest.raises(BadXml):
        parse_copy(b"<Error/>", {})
    with pytest.raises(BadXml):
        parse_copy(b"<CopyObjectResult><LastModified>x</LastModified></CopyObjectResult>", {})


ranges = st.builds(
    lambda start, length: ByteRange(start, None if length is None else start + length),
    st.integers(0, 50),
    st.none() | st.integers(1, 50),
) | st.integers(-50, -1).map(ByteRange)  # st.builds would make up an end as well


@given(ranges, st.integers(1, 100), st.binary(min_size=100, max_size=100))
def test_the_range_that_was_asked_for_is_accepted(asked: ByteRange, total: int, content: bytes) -> None:
    part = content[:total][asked.start : asked.end]
    if not part:
        return  # S3 answers 416
    start = max(0, total + asked.start) if asked.start < 0 else asked.start
    headers = {
        "content-range": f"bytes {start}-{start + len(part) - 1}/{total}",
        "content-length": str(len(part)),
    }
    assert check_range(asked, 206, headers) == (start, start + len(part), total)


@pytest.mark.parametrize(
    ("asked", "status", "headers"),
    [
        (ByteRange(0, 5), 200, {"content-length": "100"}),
        (ByteRange(0, 5), 206, {"content-length": "5"}),
        (ByteRange(0, 5), 206, {"content-range": "bytes 0-4"}),
        (ByteRange(0, 5), 206, {"content-range": "bytes 0-4/*"}),
        (ByteRange(0, 5), 206, {"content-range": "bytes 0-5/100"}),
        (ByteRange(0, 5), 206, {"content-range": "bytes 1-5/100"}),
        (ByteRange(0, 5), 206, {"content-range": "bytes 0-3/100"}),
        (ByteRange(0, 5), 206, {"content-range": "bytes 0-4/100", "content-length": "6"}),
        (ByteRange(5), 206, {"content-range": "bytes 5-98/100"}),
        (ByteRange(-5), 206, {"content-range": "bytes 94-99/100"}),
        (ByteRange(0, 5), 206, {"content-range": "items 0-4/100"}),
    ],
)
def test_any_other_range_is_rejected(asked: ByteRange, status: int, headers: dict[str, str]) -> None:
    """Row "a range answered with 200, or with no or a wrong Content-Range"."""
    with pytest.raises(S3IntegrityError) as caught:
        check_range(asked, status, headers)
    assert caught.value.hint
