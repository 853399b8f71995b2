"""GetObjectAttributes of AWS and of stores that name or leave things otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from haulyard.models import Checksum, Encryption, GetOptions, PartInfo, Secret
from haulyard.s3.attributes import attributes_part_marker, get_object_attributes, parse_attributes
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

AWS = b"""<?xml version="1.0" encoding="UTF-8"?>
<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>abc-2</ETag><Checksum><ChecksumSHA256>zz==-2</ChecksumSHA256><ChecksumType>COMPOSITE</ChecksumType></Checksum><ObjectParts><PartsCount>2</PartsCount><PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>1</NextPartNumberMarker><MaxParts>1</MaxParts><IsTruncated>true</IsTruncated><Part><ChecksumSHA256>aa==</ChecksumSHA256><PartNumber>1</PartNumber><Size>5242880</Size></Part></ObjectParts><StorageClass>STANDARD_IA</StorageClass><ObjectSize>5242883</ObjectSize></GetObjectAttributesResponse>"""

MOTO = b"""<?xml version="1.0" encoding="utf-8"?>
<GetObjectAttributesOutput xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>208f-2</ETag><Checksum><ChecksumCRC64NVME>dbrAG0UBWtU=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></Checksum><ObjectSize>5242883</ObjectSize></GetObjectAttributesOutput>"""


def test_all_attributes_are_read() -> None:
    headers = {"x-amz-version-id": "v", "last-modified": "Sun, 22 Nov 2026 07:13:14 GMT"}
    found = parse_attributes(headers, AWS)
    assert (found.size, found.etag, found.storage_class) == (5242883, "abc-2", "STANDARD_IA")
    assert found.checksums == (Checksum("SHA256", "zz==-2", "COMPOSITE"),)
    assert found.parts_count == 2
    assert found.parts == (PartInfo(1, "", 5242880, Checksum("SHA256", "aa==")),)
    assert found.version_id == "v"
    assert found.last_modified == datetime(2026, 11, 22, 7, 13, 14, tzinfo=UTC)
    assert attributes_part_marker(AWS) == 1


def test_what_is_missing_has_defaults() -> None:
    found = parse_attributes({}, MOTO)
    assert found.checksums == (Checksum("CRC64NVME", "dbrAG0UBWtU="),)
    assert (found.storage_class, found.parts_count, found.parts) == ("STANDARD", 0, ())
    assert attributes_part_marker(MOTO) == 0


@pytest.mark.parametrize("body", [b"<Error/>", b"<GetObjectAttributesResponse/>", b""])
def test_what_states_no_size_is_refused(body: bytes) -> None:
    with pytest.raises(BadXml):
        parse_attributes({}, body)


def test_attributes_are_asked_for_as_botocore_asks(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = GetOptions(version_id="v", encryption=Encryption("SSE-C", customer_key=Secret(b"k" * 32)))
    assert sent(get_object_attributes("b", "k", options, part_marker=7)) == aws.sends(
        "get_object_attributes",
        Bucket="b",
        Key="k",
        VersionId="v",
        PartNumberMarker=7,
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
        SSECustomerAlgorithm="AES256",
        # Of this call botocore leaves the encoding to its caller.
        SSECustomerKey="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        SSECustomerKeyMD5="mT2HRsMGJ5IX5C+0rreZ8Q==",
    )
