"""The multipart family, as botocore speaks it; what stores answer, AWS and others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError
from haulyard.models import (
    ByteRange,
    Checksum,
    CopySource,
    Encryption,
    PartInfo,
    PartOptions,
    PutOptions,
    Secret,
)
from haulyard.s3.listing import advance
from haulyard.s3.multipart import (
    abort_multipart_upload,
    complete_multipart_upload,
    create_multipart_upload,
    list_parts,
    parse_complete_multipart_upload,
    parse_create_multipart_upload,
    parse_list_parts,
    parse_upload_part,
    parse_upload_part_copy,
    upload_part,
    upload_part_copy,
)
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

SSE_C = Encryption("SSE-C", customer_key=Secret(b"k" * 32))
SSE_C_ARGUMENTS: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
UPLOAD: dict[str, Any] = {"Bucket": "b", "Key": "k", "UploadId": "u+1"}


def test_an_upload_begins_as_botocore_begins_it(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = PutOptions(
        metadata={"a": "b"}, checksum_algorithm="CRC64NVME", encryption=SSE_C, tags={"t": "v"}
    )
    assert sent(create_multipart_upload("b", "k", options)) == aws.sends(
        "create_multipart_upload",
        Bucket="b",
        Key="k",
        Metadata={"a": "b"},
        Tagging="t=v",
        ChecksumAlgorithm="CRC64NVME",
        ChecksumType="FULL_OBJECT",
        **SSE_C_ARGUMENTS,
    )


@pytest.mark.parametrize(
    ("algorithm", "asked", "kind"),
    [
        ("CRC32", "", "FULL_OBJECT"),
        ("CRC32", "COMPOSITE", "COMPOSITE"),
        ("SHA256", "", "COMPOSITE"),
        ("SHA1", "COMPOSITE", "COMPOSITE"),
    ],
)
def test_the_kind_of_checksum_follows_the_algorithm(algorithm: str, asked: str, kind: str) -> None:
    options = PutOptions(checksum_algorithm=algorithm, checksum_kind=asked)
    assert create_multipart_upload("b", "k", options).headers["x-amz-checksum-type"] == kind


def test_sha_of_parts_is_composite_only() -> None:
    with pytest.raises(ConfigError) as caught:
        create_multipart_upload(
            "b", "k", PutOptions(checksum_algorithm="SHA256", checksum_kind="FULL_OBJECT")
        )
    assert caught.value.hint


def test_conditions_wait_for_the_end_of_an_upload() -> None:
    options = PutOptions(if_none_match="*")
    assert "if-none-match" not in create_multipart_upload("b", "k", options).headers
    assert (
        complete_multipart_upload("b", "k", "u", [PartInfo(1, "e")], options).headers["if-none-match"] == "*"
    )


def test_a_part_is_written_as_botocore_writes_it(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = PartOptions(checksum=Checksum("CRC64NVME", "BeXKuz/B+us="), encryption=SSE_C)
    assert sent(upload_part("b", "k", "u+1", 7, b"abc", options)) == aws.sends(
        "upload_part",
        PartNumber=7,
        Body=b"abc",
        ChecksumCRC64NVME="BeXKuz/B+us=",
        **UPLOAD,
        **SSE_C_ARGUMENTS,
    )
    assert upload_part("b", "k", "u", 1, b"").repeatable


@pytest.mark.parametrize("number", [0, 10_001])
def test_part_numbers_have_bounds(number: int) -> None:
    with pytest.raises(ConfigError):
        upload_part("b", "k", "u", number, b"")


def test_a_part_is_copied_as_botocore_copies_it(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    source = CopySource("src", "a b", etag="e", encryption=SSE_C)
    request = upload_part_copy("b", "k", "u+1", 7, source, ByteRange(5, 10), PartOptions(encryption=SSE_C))
    assert sent(request) == aws.sends(
        "upload_part_copy",
        PartNumber=7,
        CopySource={"Bucket": "src", "Key": "a b"},
        CopySourceIfMatch='"e"',
        CopySourceRange="bytes=5-9",
        CopySourceSSECustomerAlgorithm="AES256",
        CopySourceSSECustomerKey="k" * 32,
        **UPLOAD,
        **SSE_C_ARGUMENTS,
    )


@pytest.mark.parametrize("span", [ByteRange(5), ByteRange(-5)])
def test_a_part_is_copied_from_a_closed_range_only(span: ByteRange) -> None:
    with pytest.raises(ConfigError):
        upload_part_copy("b", "k", "u", 1, CopySource("s", "k"), span)


def test_a_200_of_a_copied_part_that_holds_an_error_is_no_success() -> None:
    """Row "200 with an `<Error>` or unparsable body"."""
    classify = upload_part_copy("b", "k", "u", 1, CopySource("s", "k")).classify
    assert classify is not None
    assert classify(200, {}, b"<CopyPartResult/>")
    assert not classify(200, {}, b"<Error><Code>SlowDown</Code></Error>")


def test_an_upload_is_completed_as_botocore_completes_it(
    aws: Botocore, sent: Callable[[Request], Sent]
) -> None:
    parts = [
        PartInfo(2, "e2", 3, Checksum("CRC64NVME", "bb==")),
        PartInfo(1, "e1", 5, Checksum("CRC64NVME", "aa==")),
    ]
    options = PutOptions(checksum=Checksum("CRC64NVME", "BeXKuz/B+us="), if_match="e", encryption=SSE_C)
    request = complete_multipart_upload("b", "k", "u+1", parts, options, size=8)
    theirs = aws.sends(
        "complete_multipart_upload",
        MultipartUpload={
            "Parts": [
                {"ETag": '"e1"', "PartNumber": 1, "ChecksumCRC64NVME": "aa=="},
                {"ETag": '"e2"', "PartNumber": 2, "ChecksumCRC64NVME": "bb=="},
            ]
        },
        ChecksumCRC64NVME="BeXKuz/B+us=",
        ChecksumType="FULL_OBJECT",
        MpuObjectSize=8,
        IfMatch='"e"',
        **UPLOAD,
        **SSE_C_ARGUMENTS,
    )
    assert sent(request) == theirs
    body = request.body
    assert isinstance(body, bytes)
    assert body.index(b"<PartNumber>1<") < body.index(b"<PartNumber>2<")


def test_a_completion_is_never_repeated_blindly() -> None:
    """Row "NoSuchUpload after a lost answer to Complete": the caller finds out."""
    assert not complete_multipart_upload("b", "k", "u", [PartInfo(1, "e")]).repeatable


def test_a_composite_checksum_is_left_to_the_store_that_has_those_of_the_parts() -> None:
    options = PutOptions(checksum=Checksum("SHA256", "qqo=-1", "COMPOSITE"))
    part = PartInfo(1, "e", 3, Checksum("SHA256", "qqo="))
    request = complete_multipart_upload("b", "k", "u", [part], options)
    assert request.headers["x-amz-checksum-type"] == "COMPOSITE"
    assert "x-amz-checksum-sha256" not in request.headers
    assert b"<ChecksumSHA256>qqo=</ChecksumSHA256>" in (
        request.body if isinstance(request.body, bytes) else b""
    )


def test_md5_is_announced_as_no_checksum_of_s3() -> None:
    headers = create_multipart_upload("b", "k", PutOptions(checksum_algorithm="MD5")).headers
    assert not any(name.startswith("x-amz-checksum") for name in headers)


def test_an_md5_of_the_object_is_not_sent_as_that_of_the_document() -> None:
    options = PutOptions(checksum=Checksum("MD5", "kAFQmDzST7DWlj99KOF/cg=="))
    part = PartInfo(1, "e", 3, Checksum("MD5", "kAFQmDzST7DWlj99KOF/cg=="))
    request = complete_multipart_upload("b", "k", "u", [part], options)
    assert "content-md5" not in request.headers
    assert b"MD5" not in (request.body if isinstance(request.body, bytes) else b"")


@pytest.mark.parametrize("parts", [[], [PartInfo(1, "a"), PartInfo(1, "b")]])
def test_a_completion_needs_each_part_once(parts: list[PartInfo]) -> None:
    with pytest.raises(ConfigError):
        complete_multipart_upload("b", "k", "u", parts)


def test_a_200_of_a_completion_that_holds_an_error_is_no_success() -> None:
    """Row "200 with an `<Error>` or unparsable body"; S3 sends white space to keep the connection alive."""
    classify = complete_multipart_upload("b", "k", "u", [PartInfo(1, "e")]).classify
    assert classify is not None
    assert classify(200, {}, b'   \n<?xml version="1.0"?><CompleteMultipartUploadResult/>')
    assert not classify(200, {}, b"   \n<Error><Code>InternalError</Code></Error>")
    assert not classify(200, {}, b"    ")


def test_aborting_and_listing_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    assert sent(abort_multipart_upload("b", "k", "u+1")) == aws.sends("abort_multipart_upload", **UPLOAD)
    request = list_parts("b", "k", "u+1", token="3", page_size=9)
    assert sent(request) == aws.sends("list_parts", PartNumberMarker=3, MaxParts=9, **UPLOAD)
    # Here botocore leaves the encoding of the key to its caller.
    with_key = list_parts("b", "k", "u+1", options=PartOptions(encryption=SSE_C))
    assert with_key.headers == upload_part("b", "k", "u+1", 1, b"", PartOptions(encryption=SSE_C)).headers


def test_the_id_of_an_upload_is_read() -> None:
    body = b'<InitiateMultipartUploadResult xmlns="x"><UploadId>u</UploadId></InitiateMultipartUploadResult>'
    assert parse_create_multipart_upload(body) == "u"
    for bad in (b"<InitiateMultipartUploadResult/>", b"<Error/>", b""):
        with pytest.raises(BadXml):
            parse_create_multipart_upload(bad)


def test_the_answers_to_parts_are_read() -> None:
    headers = {"etag": '"e"', "x-amz-checksum-crc64nvme": "BeXKuz/B+us="}
    assert parse_upload_part(3, headers, 7) == PartInfo(3, "e", 7, Checksum("CRC64NVME", "BeXKuz/B+us="))
    assert parse_upload_part(3, {}) == PartInfo(3, "")
    seaweedfs = (
        b"<CopyPartResult><LastModified>2026-11-22T07:13:14.976Z</LastModified><ETag>e</ETag>"
        b"<ChecksumCRC64NVME>BeXKuz/B+us=</ChecksumCRC64NVME></CopyPartResult>"
    )
    assert parse_upload_part_copy(3, seaweedfs, 7) == PartInfo(
        3, "e", 7, Checksum("CRC64NVME", "BeXKuz/B+us="), datetime(2026, 11, 22, 7, 13, 14, 976000, UTC)
    )


def test_the_answer_to_a_completion_is_read() -> None:
    body = (
        b"<CompleteMultipartUploadResult><ETag>&#34;e-2&#34;</ETag><ChecksumCRC64NVME>dbrAG0UBWtU="
        b"</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>"
    )
    result = parse_complete_multipart_upload(body, {"x-amz-version-id": "v"})
    assert (result.etag, result.version_id) == ("e-2", "v")
    assert result.checksums == (Checksum("CRC64NVME", "dbrAG0UBWtU="),)


def test_an_empty_etag_of_a_completion_is_borne() -> None:
    """Older stores "may return an empty ETag on Complete"."""
    assert parse_complete_multipart_upload(b"<CompleteMultipartUploadResult/>", {}).etag == ""


@pytest.mark.parametrize("root", ["ListPartsResult", "ListPartsResponse"])
def test_parts_are_listed(root: str) -> None:
    body = (
        f"<{root}><NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>true</IsTruncated>"
        "<Part><PartNumber>1</PartNumber><LastModified>2026-11-22T07:13:15.000Z</LastModified>"
        '<ETag>"e1"</ETag><Size>5242880</Size><ChecksumCRC32>NSRBwg==</ChecksumCRC32></Part>'
        "<Part><ETag>&#34;e2&#34;</ETag><PartNumber>2</PartNumber><Size>3</Size></Part>"
        f"</{root}>"
    ).encode()
    parsed = parse_list_parts(body)
    assert parsed.page == [
        PartInfo(
            1, "e1", 5242880, Checksum("CRC32", "NSRBwg=="), datetime(2026, 11, 22, 7, 13, 15, tzinfo=UTC)
        ),
        PartInfo(2, "e2", 3),
    ]
    assert advance("", parsed) == "2"
    with pytest.raises(BadXml):
        parse_list_parts(f"<{root}><Part><Size>1</Size></Part></{root}>".encode())
