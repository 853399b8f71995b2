"""Listings: what is asked, what is read, and when a listing goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haulyard.errors import S3GenericError
from haulyard.models import ListOptions, ListPage, ObjectInfo
from haulyard.s3 import contents
from haulyard.s3.contents import read_contents
from haulyard.s3.listing import (
    ListParse,
    advance,
    list_buckets,
    list_multipart_uploads,
    list_object_versions,
    list_objects_v2,
    parse_list_buckets,
    parse_list_multipart_uploads,
    parse_list_object_versions,
    parse_list_objects_v2,
)
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

AWS = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult {XMLNS}><Name>b</Name><Prefix>a/</Prefix><NextContinuationToken>1ueGcxLPR&amp;x=</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Contents><Key>a/x+y%3D1%2B2%25.txt</Key><LastModified>2024-05-01T12:00:00.000Z</LastModified><ETag>&quot;900150983cd24fb0d6963f7d28e17f72&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents><Contents><Key>a/%C3%A9</Key><LastModified>2024-05-01T12:00:01.000Z</LastModified><ETag>&quot;900150983cd24fb0d6963f7d28e17f72-2&quot;</ETag><Size>5368709121</Size><Owner><ID>75aa</ID><DisplayName>me</DisplayName></Owner><StorageClass>GLACIER</StorageClass></Contents></ListBucketResult>""".encode()  # noqa: E501

SEAWEEDFS = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult {XMLNS}><Name>bkt</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>false</IsTruncated><Contents><Key>a+b%2Bc%3Dd%25%C3%A9%26x%27.txt</Key><ETag>&#34;900150983cd24fb0d6963f7d28e17f72&#34;</ETag><Size>3</Size><Owner><ID>admin</ID><DisplayName>admin</DisplayName></Owner><StorageClass>STANDARD</StorageClass><LastModified>2026-11-22T07:13:14Z</LastModified></Contents><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>e+f/</Prefix></CommonPrefixes><EncodingType>url</EncodingType><KeyCount>2</KeyCount></ListBucketResult>""".encode()  # noqa: E501

MOTO = f"""<?xml version="1.0" encoding="utf-8"?>
<ListBucketResult {XMLNS}><IsTruncated>false</IsTruncated><Contents><Key>a%20b%2Bc%3Dd%25%C3%A9%26x%27.txt</Key><LastModified>2026-11-22T07:13:15.000Z</LastModified><ETag>"900150983cd24fb0d6963f7d28e17f72"</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents><Name>bkt</Name><Prefix/><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><KeyCount>1</KeyCount></ListBucketResult>""".encode()  # noqa: E501


def test_a_page_of_aws_is_read() -> None:
    parsed = parse_list_objects_v2(AWS)
    assert parsed == ListParse(
        ListPage(
            [
                ObjectInfo(
                    "a/x y=1+2%.txt",
                    3,
                    datetime(2024, 5, 1, 12, tzinfo=UTC),
                    "900150983cd24fb0d6963f7d28e17f72",
                    "STANDARD",
                    ("CRC64NVME",),
                ),
                ObjectInfo(
                    "a/é",
                    5368709121,
                    datetime(2024, 5, 1, 12, 0, 1, tzinfo=UTC),
                    "900150983cd24fb0d6963f7d28e17f72-2",
                    "GLACIER",
                    (),
                    "75aa",
                ),
            ],
            [],
        ),
        "1ueGcxLPR&x=",
        is_truncated=True,
    )
    assert type(parsed.page.objects[0]) is ObjectInfo


@pytest.mark.parametrize("body", [SEAWEEDFS, MOTO])
def test_pages_of_other_stores_are_read(body: bytes) -> None:
    parsed = parse_list_objects_v2(body)
    assert [info.key for info in parsed.page.objects] == ["a b+c=d%é&x'.txt"]
    assert parsed.page.objects[0].etag == "900150983cd24fb0d6963f7d28e17f72"
    assert not parsed.is_truncated
    if body is SEAWEEDFS:
        assert parsed.page.prefixes == ["d/", "e f/"]
        assert parsed.page.objects[0].owner == "admin"


@pytest.mark.parametrize("body", [AWS, SEAWEEDFS, MOTO])
def test_pages_of_known_stores_take_the_fast_way(body: bytes) -> None:
    assert contents._match(body) is not None


def read_slowly(body: bytes) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "_match", lambda _: None)
        return outcome(body)


def outcome(body: bytes) -> object:
    try:
        return parse_list_objects_v2(body)
    except BadXml:
        return BadXml


def cells(
    key: str, date: str, etag: str, size: str, storage: str, extra: tuple[bool, bool, bool], order: str
) -> str:
    algorithm, kind, owner = extra
    parts = {
        "k": f"<Key>{key}</Key>",
        "d": f"<LastModified>{date}</LastModified>",
        "e": f"<ETag>{etag}</ETag>",
        "c": "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>" * algorithm
        + "<ChecksumType>COMPOSITE</ChecksumType>" * kind,
        "s": f"<Size>{size}</Size>",
        "o": "<Owner><ID>i&amp;d</ID></Owner>" if owner else "",
        "g": f"<StorageClass>{storage}</StorageClass>",
    }
    return f"<Contents>{''.join(parts[letter] for letter in order)}</Contents>"


encoded_keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).flatmap(
    lambda name: st.sampled_from(
        [
            quote_plus(name, safe="/"),
            quote(name),
            escape("".join(character for character in name if character.isprintable())),
        ]
    )
)
objects = st.builds(
    cells,
    key=encoded_keys | st.just("<![CDATA[x]]>"),
    date=st.sampled_from(
        [
            "2024-05-01T12:00:00.000Z",
            "2024-05-01T12:00:00Z",
            "2024-05-01T12:00:00.123456Z",
            "2024-13-01T12:00:00Z",
            "2024-05-01T12:00:00+02:00",
            "",
            "yesterday",
        ]
    ),
    etag=st.sampled_from(
        ["&quot;ab-2&quot;", "&#34;ab&#34;", '"ab"', "ab", "W/&quot;ab&quot;", "", "&quot;a"]
    ),
    size=st.sampled_from(["0", "3", "1" * 19, "1" * 25, "-1", "", "x"]),
    storage=st.sampled_from(["STANDARD", "", "GLACIER_IR", "a b"]),
    extra=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    order=st.sampled_from(["kdecsog", "kecsogd", "kdecsg", "kesg", "gosecdk", "kkdecsog"]),
)
envelopes = st.sampled_from(
    [
        "{}",
        "<Name>b</Name><EncodingType>url</EncodingType>{}<IsTruncated>false</IsTruncated>",
        "<EncodingType>url</EncodingType>{}<CommonPrefixes><Prefix>a+b</Prefix></CommonPrefixes>",
        "<EncodingType>url</EncodingType>{}<CommonPrefixes><Prefix>a b</Prefix></CommonPrefixes>",
        "<!--{}-->",
        "<![CDATA[{}]]>",
        "<Deeper>{}</Deeper>",
        "<EncodingType>url</EncodingType>{}<Contents/>",
        "<ObjectsWereHere/>{}",
        "<!-- <ObjectsWereHere/> -->{}",
        "<Broken>{}",
        "<?pi {}?>",
    ]
)


def page(envelope: str, entries: list[str], between: str) -> bytes:
    inner = envelope.format(between.join(entries))
    return f"<ListBucketResult {XMLNS}>{inner}</ListBucketResult>".encode()


@given(st.builds(page, envelopes, st.lists(objects, max_size=4), st.sampled_from(["", "", "", "\n", "x"])))
@example(AWS)
@example(SEAWEEDFS)
@example(MOTO)
def test_the_fast_way_reads_what_the_slow_way_reads(body: bytes) -> None:
    assert outcome(body) == read_slowly(body)


@given(st.sampled_from([AWS, SEAWEEDFS, MOTO]), st.data())
def test_both_ways_agree_on_damaged_pages(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, 3))
    insert = data.draw(
        st.sampled_from(
            [b"", b"<", b"&", b"<Contents>", b"</Contents>", b"<!--", b"\xff", b"%", b"\0", b"]]>"]
        )
    )
    damaged = body[:at] + insert + body[at + cut :]
    assert outcome(damaged) == read_slowly(damaged)


def test_a_page_is_read_as_botocore_reads_it(aws: Botocore) -> None:
    for body in (AWS, SEAWEEDFS):
        theirs = aws.reads("list_objects_v2", body, Bucket="b")
        parsed = parse_list_objects_v2(body)
        assert [info.key for info in parsed.page.objects] == [entry["Key"] for entry in theirs["Contents"]]
        for info, entry in zip(parsed.page.objects, theirs["Contents"], strict=True):
            assert info.size == entry["Size"]
            assert info.last_modified == entry["LastModified"]
            assert info.etag == entry["ETag"].strip('"')
            assert info.storage_class == entry["StorageClass"]
            assert list(info.checksum_algorithms) == entry.get("ChecksumAlgorithm", [])
        assert parsed.next_token == theirs.get("NextContinuationToken", "")
        assert parsed.is_truncated == theirs["IsTruncated"]
        assert parsed.page.prefixes == [entry["Prefix"] for entry in theirs.get("CommonPrefixes", [])]


@pytest.mark.parametrize(
    "entry",
    [
        "<Contents><Size>1</Size><LastModified>2024-05-01T12:00:00Z</LastModified></Contents>",
        "<Contents><Key>a</Key><LastModified>2024-05-01T12:00:00Z</LastModified></Contents>",
        "<Contents><Key>a</Key><Size>1</Size></Contents>",
        (
            "<Contents><Key>a</Key><LastModified>2024-13-01T12:00:00Z</LastModified><ETag>e</ETag><Size>1</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        ),
    ],
)
def test_an_object_without_key_size_or_time_is_refused(entry: str) -> None:
    with pytest.raises(BadXml):
        read_contents(f"<ListBucketResult>{entry}</ListBucketResult>".encode())


def test_keys_are_literal_where_the_answer_does_not_say_that_they_are_encoded() -> None:
    body = AWS.replace(b"<EncodingType>url</EncodingType>", b"")
    assert parse_list_objects_v2(body).page.objects[0].key == "a/x+y%3D1%2B2%25.txt"


def test_a_200_that_holds_an_error_or_half_a_page_is_no_success() -> None:
    classify = list_objects_v2("b").classify
    assert classify is not None
    assert classify(200, {}, AWS)
    assert classify(200, {}, b"<ListBucketResult/>")
    assert not classify(200, {}, AWS[:-30])
    assert not classify(200, {}, b"<Error><Code>SlowDown</Code></Error>")
    assert not classify(200, {}, b"")


VERSIONS = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult {XMLNS}><Name>b</Name><EncodingType>url</EncodingType><KeyMarker/><NextKeyMarker>k+x</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker><IsTruncated>true</IsTruncated><DeleteMarker><Key>k+x</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-22T07:13:15Z</LastModified></DeleteMarker><Version><Key>k+x</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><LastModified>2026-11-22T07:13:14Z</LastModified><ETag>&quot;c8&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Version><CommonPrefixes><Prefix>p+q/</Prefix></CommonPrefixes></ListVersionsResult>""".encode()  # noqa: E501


def test_versions_and_markers_stay_in_order() -> None:
    parsed = parse_list_object_versions(VERSIONS)
    marker, version = parsed.page.versions
    assert (marker.key, marker.version_id, marker.is_marker, marker.is_latest) == ("k x", "v3", True, True)
    assert (version.key, version.size, version.etag, version.is_marker) == ("k x", 1, "c8", False)
    assert parsed.page.prefixes == ["p q/"]
    assert parsed.next_token == ("k x", "v1")
    assert advance(("", ""), parsed) == ("k x", "v1")


def test_versions_need_key_and_time() -> None:
    with pytest.raises(BadXml):
        parse_list_object_versions(VERSIONS.replace(b"<Key>k+x</Key>", b""))
    with pytest.raises(BadXml):
        parse_list_object_versions(
            VERSIONS.replace(b"<LastModified>2026-11-22T07:13:15Z</LastModified>", b"")
        )


def test_uploads_that_a_store_only_says_to_encode_are_read() -> None:
    body = (
        "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        "<Upload><Initiated>2026-11-22T07:13:14Z</Initiated><Key>mp/é x</Key><UploadId>89</UploadId></Upload>"
        "<Upload><Initiated>2026-11-22T07:13:14Z</Initiated><Key>a+b</Key><UploadId>90</UploadId></Upload>"
        "</ListMultipartUploadsResult>"
    ).encode()
    parsed = parse_list_multipart_uploads(body)
    assert [upload.key for upload in parsed.page] == ["mp/é x", "a+b"]
    assert advance(("", ""), parsed) is None


def test_buckets_are_read() -> None:
    body = (
        f"<ListAllMyBucketsResult {XMLNS}><Buckets><Bucket><Name>b</Name>"
        "<CreationDate>2026-11-22T07:13:15.000Z</CreationDate><BucketRegion>eu-west-1</BucketRegion></Bucket>"
        "</Buckets><ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>"
    ).encode()
    parsed = parse_list_buckets(body)
    assert [(bucket.name, bucket.region) for bucket in parsed.page] == [("b", "eu-west-1")]
    assert advance("", parsed) == "t"
    assert parse_list_buckets(b"<ListAllMyBucketsResult/>").page == []


def empty_page(token: str, *, is_truncated: bool = True) -> ListParse[ListPage, str]:
    return ListParse(ListPage([], []), token, is_truncated)


def test_an_empty_page_with_a_new_token_goes_on() -> None:
    """Row "NextContinuationToken that does not advance; empty page with a token"."""
    assert advance("a", empty_page("b")) == "b"


def test_a_token_that_does_not_advance_is_an_error() -> None:
    """Row "NextContinuationToken that does not advance; empty page with a token"."""
    with pytest.raises(S3GenericError, match="twice") as caught:
        advance("a", empty_page("a"), bucket="b")
    assert caught.value.hint
    assert caught.value.bucket == "b"


def test_a_truncated_page_without_a_token_is_an_error() -> None:
    with pytest.raises(S3GenericError, match="early"):
        advance("a", empty_page(""))
    with pytest.raises(S3GenericError, match="early"):
        advance(("k", ""), ListParse([], ("", ""), is_truncated=True))


def test_a_page_that_is_not_truncated_is_the_last() -> None:
    assert advance("a", empty_page("b", is_truncated=False)) is None


def test_listings_are_asked_as_botocore_asks(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    options = ListOptions(delimiter="/", start_after="é x", page_size=7, fetch_owner=True)
    assert sent(list_objects_v2("b", "p q/", options)) == aws.sends(
        "list_objects_v2",
        Bucket="b",
        Prefix="p q/",
        Delimiter="/",
        StartAfter="é x",
        MaxKeys=7,
        FetchOwner=True,
        EncodingType="url",
    )
    assert sent(list_objects_v2("b", token="t=+")) == aws.sends(
        "list_objects_v2", Bucket="b", ContinuationToken="t=+", MaxKeys=1000, EncodingType="url"
    )
    assert sent(list_object_versions("b", "p", ListOptions(delimiter="/"), token=("k", "v"))) == aws.sends(
        "list_object_versions",
        Bucket="b",
        Prefix="p",
        Delimiter="/",
        KeyMarker="k",
        VersionIdMarker="v",
        MaxKeys=1000,
        EncodingType="url",
    )
    assert sent(list_multipart_uploads("b", "p", delimiter="/", token=("k", "u"))) == aws.sends(
        "list_multipart_uploads",
        Bucket="b",
        Prefix="p",
        Delimiter="/",
        KeyMarker="k",
        UploadIdMarker="u",
        MaxUploads=1000,
        EncodingType="url",
    )
    assert sent(list_buckets(prefix="p", region="eu-west-1", token="t", page_size=5)) == aws.sends(
        "list_buckets", Prefix="p", BucketRegion="eu-west-1", ContinuationToken="t", MaxBuckets=5
    )


def test_versions_start_after_a_key() -> None:
    assert ("key-marker", "k") in list_object_versions("b", options=ListOptions(start_after="k")).query
