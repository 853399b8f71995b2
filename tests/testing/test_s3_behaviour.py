"""The scripted server without faults, asked by botocore: what works there works as with S3."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from awscrt import checksums
from botocore.config import Config
from botocore.exceptions import ClientError

from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = 1000  # the server is told to accept parts this small


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(minimum_part_size=PART) as server:
        yield server


@pytest.fixture(scope="module")
def session() -> Any:
    return boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name="us-east-1")


@pytest.fixture
def s3(server: FaultServer, session: Any) -> Iterator[Any]:
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    client = session.client("s3", endpoint_url=server.url, config=config)
    yield client
    client.close()


def crc64(body: bytes) -> str:
    return base64.b64encode(int(checksums.crc64nvme(body)).to_bytes(8, "big")).decode()


def code_of(caught: pytest.ExceptionInfo[Any]) -> tuple[str, int]:
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def refused(call: Any, **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return code_of(caught)


# Buckets


def test_buckets_are_created_listed_and_deleted(s3: Any) -> None:
    s3.create_bucket(Bucket="another")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["another", "bucket"]
    assert s3.head_bucket(Bucket="another")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="another")["LocationConstraint"] is None
    assert refused(s3.create_bucket, Bucket="another") == ("BucketAlreadyOwnedByYou", 409)
    s3.put_object(Bucket="another", Key="key", Body=b"")
    assert refused(s3.delete_bucket, Bucket="another") == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="another", Key="key")
    s3.delete_bucket(Bucket="another")
    assert refused(s3.head_bucket, Bucket="another")[1] == 404


def test_what_is_not_there_is_named(s3: Any) -> None:
    assert refused(s3.get_object, Bucket="none", Key="key") == ("NoSuchBucket", 404)
    assert refused(s3.get_object, Bucket="bucket", Key="key") == ("NoSuchKey", 404)
    assert refused(s3.get_bucket_policy, Bucket="bucket") == ("NotImplemented", 501)


# Objects


def test_an_object_comes_back_with_all_that_was_written(s3: Any) -> None:
    written = s3.put_object(
        Bucket="bucket",
        Key="a//b/../ü +%?",
        Body=b"content",
        ContentType="text/plain",
        CacheControl="no-cache",
        Metadata={"who": "me"},
        StorageClass="STANDARD_IA",
        Tagging="a=1&b=2",
        ChecksumAlgorithm="CRC64NVME",
    )
    assert written["ETag"] == f'"{hashlib.md5(b"content").hexdigest()}"'  # noqa: S324 - that is what ETags are
    read = s3.get_object(Bucket="bucket", Key="a//b/../ü +%?", ChecksumMode="ENABLED")
    assert read["Body"].read() == b"content"
    assert (read["ContentType"], read["CacheControl"]) == ("text/plain", "no-cache")
    assert (read["Metadata"], read["StorageClass"], read["TagCount"]) == ({"who": "me"}, "STANDARD_IA", 2)
    assert read["ETag"] == written["ETag"]
    assert read["ChecksumCRC64NVME"] == written["ChecksumCRC64NVME"] == crc64(b"content")
    assert read["ChecksumType"] == "FULL_OBJECT"
    head = s3.head_object(Bucket="bucket", Key="a//b/../ü +%?")
    assert (head["ContentLength"], "ChecksumCRC64NVME" in head) == (7, False)


def test_what_was_not_said_is_as_s3_has_it(s3: Any, server: FaultServer) -> None:
    s3.put_object(Bucket="bucket", Key="key", Body=b"content", StorageClass="STANDARD")
    head = s3.head_object(Bucket="bucket", Key="key")
    assert head["ContentType"] == "binary/octet-stream"
    assert "StorageClass" not in head
    assert "TagCount" not in head
    assert (head["LastModified"].timestamp() - server.objects.stored("bucket", "key").last_modified) < 1


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"])
def test_every_checksum_is_verified_kept_and_returned(s3: Any, algorithm: str) -> None:
    name = f"Checksum{algorithm}"
    written = s3.put_object(Bucket="bucket", Key="key", Body=b"content", ChecksumAlgorithm=algorithm)
    read = s3.get_object(Bucket="bucket", Key="key", ChecksumMode="ENABLED")
    assert read[name] == written[name]
    wrong = {name: written[name], "ChecksumAlgorithm": algorithm}
    assert refused(s3.put_object, Bucket="bucket", Key="key", Body=b"other", **wrong) == ("BadDigest", 400)
    read["Body"].close()


def test_a_wrong_md5_is_refused(s3: Any) -> None:
    md5 = base64.b64encode(bytes(16)).decode()
    assert refused(s3.put_object, Bucket="bucket", Key="key", Body=b"", ContentMD5=md5) == ("BadDigest", 400)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("0" * 64, ("XAmzContentSHA256Mismatch", 400)),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", ("NotImplemented", 501)),
    ],
)
def test_a_payload_hash_is_held_against_the_body(s3: Any, payload: str, expected: tuple[str, int]) -> None:
    def pretend(request: Any, **_: Any) -> None:
        request.headers["x-amz-content-sha256"] = payload

    s3.meta.events.register("before-send.s3.PutObject", pretend)
    assert refused(s3.put_object, Bucket="bucket", Key="key", Body=b"content") == expected


@pytest.mark.parametrize(
    ("wanted", "content", "content_range"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-30", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=4-2", b"0123456789", None),
        ("bytes=-", b"0123456789", None),
        ("lines=1-2", b"0123456789", None),
    ],
)
def test_ranges(s3: Any, server: FaultServer, wanted: str, content: bytes, content_range: str | None) -> None:
    server.objects["bucket", "key"] = b"0123456789"
    answer = s3.get_object(Bucket="bucket", Key="key", Range=wanted)
    assert (answer["Body"].read(), answer.get("ContentRange")) == (content, content_range)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=-0"])
def test_a_range_outside_the_object_is_refused(s3: Any, server: FaultServer, wanted: str) -> None:
    server.objects["bucket", "key"] = b"0123456789"
    assert refused(s3.get_object, Bucket="bucket", Key="key", Range=wanted) == ("InvalidRange", 416)


def test_answers_can_be_given_other_headers(s3: Any, server: FaultServer) -> None:
    server.objects["bucket", "key"] = b"content"
    answer = s3.get_object(Bucket="bucket", Key="key", ResponseContentType="text/csv")
    assert answer["ContentType"] == "text/csv"
    answer["Body"].close()


def test_conditions_on_reads(s3: Any, server: FaultServer) -> None:
    server.objects["bucket", "key"] = b"content"
    etag = server.objects.stored("bucket", "key").etag
    at = {"Bucket": "bucket", "Key": "key"}
    assert s3.head_object(**at, IfMatch=etag)["ETag"] == etag
    assert s3.head_object(**at, IfMatch=etag.strip('"'))["ETag"] == etag
    assert s3.head_object(**at, IfNoneMatch='"other"')["ETag"] == etag
    assert refused(s3.get_object, **at, IfMatch='"other"') == ("PreconditionFailed", 412)
    assert refused(s3.get_object, **at, IfNoneMatch=etag) == ("304", 304)


def test_conditions_on_writes(s3: Any) -> None:
    at = {"Bucket": "bucket", "Key": "key"}
    assert refused(s3.put_object, **at, IfMatch='"any"') == ("NoSuchKey", 404)
    etag = s3.put_object(**at, Body=b"v1", IfNoneMatch="*")["ETag"]
    assert refused(s3.put_object, **at, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(s3.put_object, **at, IfMatch='"other"') == ("PreconditionFailed", 412)
    s3.put_object(**at, Body=b"v2", IfMatch=etag)
    assert refused(s3.delete_object, **at, IfMatch=etag) == ("PreconditionFailed", 412)
    s3.delete_object(**at, IfMatch="*")
    assert refused(s3.delete_object, **at, IfMatch="*") == ("NoSuchKey", 404)
    s3.delete_object(**at)


def test_many_objects_are_deleted_each_with_its_own_outcome(s3: Any, server: FaultServer) -> None:
    for key in ("a", "b", "c & d"):
        server.objects["bucket", key] = key.encode()
    wanted = [{"Key": "a"}, {"Key": "b", "ETag": '"other"'}, {"Key": "c & d"}, {"Key": "absent"}]
    answer = s3.delete_objects(Bucket="bucket", Delete={"Objects": wanted})
    assert [item["Key"] for item in answer["Deleted"]] == ["a", "c & d", "absent"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [("b", "PreconditionFailed")]
    assert list(server.objects) == [("bucket", "b")]
    answer = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in answer
    assert len(server.objects) == 0


def test_a_batch_that_s3_would_not_take_is_refused(s3: Any) -> None:
    keys = [{"Key": str(number)} for number in range(1001)]
    assert refused(s3.delete_objects, Bucket="bucket", Delete={"Objects": keys}) == ("MalformedXML", 400)

    def without_checksum(request: Any, **_: Any) -> None:
        for name in [name for name in request.headers if name.lower().startswith("x-amz-checksum-")]:
            del request.headers[name]

    s3.meta.events.register("before-send.s3.DeleteObjects", without_checksum)
    few = {"Objects": [{"Key": "a"}]}
    assert refused(s3.delete_objects, Bucket="bucket", Delete=few) == ("InvalidRequest", 400)


def test_tags_are_read_replaced_and_removed(s3: Any) -> None:
    at = {"Bucket": "bucket", "Key": "key"}
    s3.put_object(**at, Body=b"", Tagging="a=1")
    assert s3.get_object_tagging(**at)["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.put_object_tagging(**at, Tagging={"TagSet": [{"Key": "b", "Value": "<2>"}]})
    assert s3.get_object_tagging(**at)["TagSet"] == [{"Key": "b", "Value": "<2>"}]
    s3.delete_object_tagging(**at)
    assert s3.get_object_tagging(**at)["TagSet"] == []


# Copies


def test_a_copy_keeps_or_replaces_metadata_and_tags(s3: Any, server: FaultServer) -> None:
    s3.put_object(Bucket="bucket", Key="a b+c", Body=b"content", Metadata={"v": "1"}, Tagging="a=1")
    source = {"Bucket": "bucket", "Key": "a b+c"}
    kept = s3.copy_object(Bucket="bucket", Key="kept", CopySource=source)["CopyObjectResult"]
    stored = server.objects.stored("bucket", "kept")
    assert (stored.body, stored.etag) == (b"content", kept["ETag"])
    assert (stored.headers["x-amz-meta-v"], stored.tags) == ("1", {"a": "1"})
    s3.copy_object(
        Bucket="bucket",
        Key="replaced",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"v": "2"},
        TaggingDirective="REPLACE",
        Tagging="b=2",
        ChecksumAlgorithm="SHA256",
    )
    stored = server.objects.stored("bucket", "replaced")
    assert (stored.headers["x-amz-meta-v"], stored.tags, stored.algorithm) == ("2", {"b": "2"}, "sha256")


def test_conditions_on_copies(s3: Any, server: FaultServer) -> None:
    server.objects["bucket", "a"] = server.objects["bucket", "b"] = b"content"
    etag = server.objects.stored("bucket", "a").etag
    copy = {"Bucket": "bucket", "CopySource": {"Bucket": "bucket", "Key": "a"}}
    failed = ("PreconditionFailed", 412)
    assert refused(s3.copy_object, Key="b", **copy, CopySourceIfMatch='"other"') == failed
    assert refused(s3.copy_object, Key="b", **copy, CopySourceIfNoneMatch=etag) == failed
    assert refused(s3.copy_object, Key="b", **copy, IfNoneMatch="*") == failed
    s3.copy_object(Key="c", **copy, CopySourceIfMatch=etag, CopySourceIfNoneMatch='"other"', IfNoneMatch="*")
    assert refused(s3.copy_object, Key="a", **copy) == ("InvalidRequest", 400)


# Listings


def keys_of(answer: dict[str, Any]) -> list[str]:
    return [item["Key"] for item in answer.get("Contents", ())]


def test_listings_are_in_the_order_of_utf8_bytes(s3: Any, server: FaultServer) -> None:
    keys = ["a.txt", "a-b", "a/b", "a0", "B", "ü", "\ue000", "\U0001f600", "a b+c%20&<"]
    for key in keys:
        server.objects["bucket", key] = key.encode()
    answer = s3.list_objects_v2(Bucket="bucket")
    assert keys_of(answer) == sorted(keys, key=str.encode)
    first = answer["Contents"][0]
    assert (first["Size"], first["ETag"]) == (1, server.objects.stored("bucket", "B").etag)
    assert (first["ChecksumAlgorithm"], first["StorageClass"]) == (["CRC64NVME"], "STANDARD")
    assert (answer["KeyCount"], answer["IsTruncated"]) == (9, False)


def test_a_listing_without_encoding_spells_keys_as_they_are(s3: Any, server: FaultServer) -> None:
    server.objects["bucket", "a b+c%20&<"] = b""

    def plain(request: Any, **_: Any) -> None:
        request.url = request.url.replace("encoding-type=url", "")

    s3.meta.events.register("before-send.s3.ListObjectsV2", plain)
    answer = s3.list_objects_v2(Bucket="bucket")
    assert keys_of(answer) == ["a b+c%20&<"]
    assert "EncodingType" not in answer


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_hold_keys_and_common_prefixes_without_gap_or_repetition(
    s3: Any, server: FaultServer, size: int
) -> None:
    for key in ("a/1", "a/2", "b", "c d/1", "c d/2/3", "e", "f/", "f/g"):
        server.objects["bucket", key] = b""
    keys: list[str] = []
    prefixes: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket="bucket", Delimiter="/", MaxKeys=size, **token)
        keys += keys_of(page)
        prefixes += [item["Prefix"] for item in page.get("CommonPrefixes", ())]
        assert page["KeyCount"] <= size
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert keys == ["b", "e"]
    assert prefixes == ["a/", "c d/", "f/"]


def test_listings_by_prefix_and_start(s3: Any, server: FaultServer) -> None:
    for key in ("a/1", "a/2/x", "a/2/y", "a/3", "b"):
        server.objects["bucket", key] = b""
    inside = s3.list_objects_v2(Bucket="bucket", Prefix="a/", Delimiter="/")
    assert (keys_of(inside), inside["CommonPrefixes"]) == (["a/1", "a/3"], [{"Prefix": "a/2/"}])
    assert keys_of(s3.list_objects_v2(Bucket="bucket", StartAfter="a/2/x")) == ["a/2/y", "a/3", "b"]
    assert keys_of(s3.list_objects_v2(Bucket="bucket", Prefix="none")) == []
    assert s3.list_objects_v2(Bucket="bucket", MaxKeys=0)["IsTruncated"] is False


def test_a_token_that_was_not_given_out_is_refused(s3: Any) -> None:
    for token in ("???", "_w=="):
        invalid = {"Bucket": "bucket", "ContinuationToken": token}
        assert refused(s3.list_objects_v2, **invalid) == ("InvalidArgument", 400)


# Multipart uploads


def upload(s3: Any, key: str, parts: list[bytes], **options: Any) -> tuple[str, list[dict[str, Any]]]:
    upload_id = s3.create_multipart_upload(Bucket="bucket", Key=key, **options)["UploadId"]
    algorithm = {name: value for name, value in options.items() if name == "ChecksumAlgorithm"}
    done = []
    for number, body in enumerate(parts, 1):
        at = {"Bucket": "bucket", "Key": key, "UploadId": upload_id, "PartNumber": number}
        answer = s3.upload_part(**at, Body=body, **algorithm)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    return upload_id, done


def complete(s3: Any, key: str, upload_id: str, parts: list[dict[str, Any]], **options: Any) -> Any:
    at = {"Bucket": "bucket", "Key": key, "UploadId": upload_id}
    return s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts}, **options)


def test_parts_become_an_object(s3: Any, server: FaultServer) -> None:
    parts = [b"a" * PART, b"b" * PART, b"c"]
    options = {"ContentType": "text/plain", "Metadata": {"who": "me"}, "Tagging": "a=1"}
    upload_id, done = upload(s3, "key", parts, **options, ChecksumAlgorithm="CRC64NVME")
    assert [*server.uploads] == [("bucket", "key", upload_id)]
    answer = complete(s3, "key", upload_id, done, ChecksumCRC64NVME=crc64(b"".join(parts)))
    stored = server.objects.stored("bucket", "key")
    assert stored.body == b"".join(parts)
    assert answer["ETag"] == stored.etag
    assert stored.etag.endswith('-3"')
    assert (answer["ChecksumCRC64NVME"], answer["ChecksumType"]) == (crc64(stored.body), "FULL_OBJECT")
    assert (stored.headers["content-type"], stored.headers["x-amz-meta-who"]) == ("text/plain", "me")
    assert stored.tags == {"a": "1"}
    assert not server.uploads


def test_sha256_of_parts_is_a_checksum_of_checksums(s3: Any, server: FaultServer) -> None:
    parts = [b"a" * PART, b"b"]
    complete(s3, "key", *upload(s3, "key", parts, ChecksumAlgorithm="SHA256"))
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    expected = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2"
    head = s3.head_object(Bucket="bucket", Key="key", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (expected, "COMPOSITE")
    s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "key"})
    assert server.objects.stored("bucket", "copy").checksums["x-amz-checksum-type"] == "FULL_OBJECT"


def test_parts_are_listed_by_pages_and_replaced_by_number(s3: Any) -> None:
    upload_id, _ = upload(s3, "key", [b"1", b"2", b"3"])
    at = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    s3.upload_part(**at, PartNumber=2, Body=b"two", ChecksumAlgorithm="CRC64NVME")
    first = s3.list_parts(**at, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in first["Parts"]] == [(1, 1), (2, 3)]
    assert first["Parts"][1]["ChecksumCRC64NVME"] == crc64(b"two")
    assert first["IsTruncated"] is True
    rest = s3.list_parts(**at, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [3]
    assert rest["IsTruncated"] is False


def test_an_aborted_upload_is_gone(s3: Any, server: FaultServer) -> None:
    upload_id, done = upload(s3, "key", [b"1"])
    at = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    s3.abort_multipart_upload(**at)
    assert not server.uploads
    gone = ("NoSuchUpload", 404)
    assert refused(s3.abort_multipart_upload, **at) == gone
    assert refused(s3.list_parts, **at) == gone
    assert refused(s3.upload_part, **at, PartNumber=1, Body=b"") == gone
    assert refused(complete, s3=s3, key="key", upload_id=upload_id, parts=done) == gone


def test_uploads_in_progress_are_listed_by_key_then_age(s3: Any) -> None:
    wanted = [upload(s3, key, [])[0] for key in ("b c", "a", "a", "other")]
    listed = s3.list_multipart_uploads(Bucket="bucket")["Uploads"]
    assert [item["Key"] for item in listed] == ["a", "a", "b c", "other"]
    assert [item["UploadId"] for item in listed] == [wanted[1], wanted[2], wanted[0], wanted[3]]
    (found,) = s3.list_multipart_uploads(Bucket="bucket", Prefix="o")["Uploads"]
    assert found["Key"] == "other"


def test_an_upload_belongs_to_its_key(s3: Any) -> None:
    upload_id, done = upload(s3, "key", [b"1"])
    assert refused(complete, s3=s3, key="other", upload_id=upload_id, parts=done) == ("NoSuchUpload", 404)


def test_lists_of_parts_that_cannot_be_meant_are_refused(s3: Any) -> None:
    upload_id, done = upload(s3, "key", [b"1", b"2" * PART, b"3"])
    at = {"s3": s3, "key": "key", "upload_id": upload_id}
    assert refused(complete, **at, parts=done) == ("EntityTooSmall", 400)
    assert refused(complete, **at, parts=done[2:0:-1]) == ("InvalidPartOrder", 400)
    assert refused(complete, **at, parts=[]) == ("MalformedXML", 400)
    for wrong in ({"PartNumber": 9, "ETag": done[0]["ETag"]}, {"PartNumber": 1, "ETag": "other"}):
        assert refused(complete, **at, parts=[wrong]) == ("InvalidPart", 400)
    bad = {"ChecksumCRC64NVME": crc64(b"other")}
    assert refused(complete, **at, parts=done[1:], **bad) == ("BadDigest", 400)
    complete(s3, "key", upload_id, done[1:])


def test_part_numbers_end_at_ten_thousand(s3: Any) -> None:
    upload_id, _ = upload(s3, "key", [])
    at = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    s3.upload_part(**at, PartNumber=10_000, Body=b"")
    for number in (0, 10_001):
        assert refused(s3.upload_part, **at, PartNumber=number, Body=b"") == ("InvalidArgument", 400)


def test_a_completion_can_be_conditional(s3: Any, server: FaultServer) -> None:
    upload_id, done = upload(s3, "key", [b"1"])
    server.objects["bucket", "key"] = b"someone was faster"
    failed = refused(complete, s3=s3, key="key", upload_id=upload_id, parts=done, IfNoneMatch="*")
    assert failed == ("PreconditionFailed", 412)
    assert len(server.uploads) == 1


def test_what_is_no_xml_is_refused(s3: Any) -> None:
    upload_id, done = upload(s3, "key", [b"1"])

    def garble(request: Any, **_: Any) -> None:
        request.body = b"<not"
        request.headers["Content-Length"] = "4"

    s3.meta.events.register("before-send.s3.CompleteMultipartUpload", garble)
    assert refused(complete, s3=s3, key="key", upload_id=upload_id, parts=done) == ("MalformedXML", 400)


def test_parts_are_copied_whole_or_by_range(s3: Any, server: FaultServer) -> None:
    server.objects["bucket", "source"] = b"0123456789"
    upload_id, _ = upload(s3, "key", [])
    at = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    copy = {**at, "PartNumber": 1, "CopySource": {"Bucket": "bucket", "Key": "source"}}
    for wrong in ("bytes=5-10", "bytes=5-", "5-6"):
        invalid = {**copy, "CopySourceRange": wrong}
        assert refused(s3.upload_part_copy, **invalid) == ("InvalidArgument", 400)
    s3.upload_part_copy(**copy)
    part = s3.upload_part_copy(**copy, CopySourceRange="bytes=2-4")["CopyPartResult"]
    complete(s3, "key", upload_id, [{"PartNumber": 1, "ETag": part["ETag"]}])
    assert server.objects["bucket", "key"] == b"234"


def test_a_number_that_is_none_is_refused(s3: Any) -> None:
    def garble(request: Any, **_: Any) -> None:
        request.url += "&max-parts=many"

    s3.meta.events.register("before-send.s3.ListParts", garble)
    upload_id, _ = upload(s3, "key", [])
    at = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    assert refused(s3.list_parts, **at) == ("InvalidArgument", 400)


def test_a_checksum_for_an_upload_is_announced(s3: Any) -> None:
    at = {"Bucket": "bucket", "Key": "key"}
    answer = s3.create_multipart_upload(**at, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    assert (answer["ChecksumAlgorithm"], answer["ChecksumType"]) == ("CRC32", "FULL_OBJECT")
