"""A minimal S3 in memory: what is left when nothing goes wrong."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from haulyard.testing import _s3_listing as listing
from haulyard.testing._http1 import Answer
from haulyard.testing._s3_multipart import MINIMUM_PART_SIZE, Upload, Uploads
from haulyard.testing._s3_objects import (
    StoredObject,
    algorithm_in,
    check_copy_source,
    check_read,
    check_write,
    kept_headers,
    new_object,
    verified_checksum,
)
from haulyard.testing._s3_xml import Refused, document, element, group, parse_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DELETE_LIMIT: Final = 1000
"""Keys in one DeleteObjects."""

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_NEXT_BYTE: Final = bytes((byte + 1) % 256 for byte in range(256))
_NO_CONTENT: Final = Answer(204)


class Call(NamedTuple):
    """A request for the in-memory S3: decoded names and query, headers by lower-case name."""

    operation: str
    bucket: str
    key: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class S3Behaviour:
    """Buckets and objects, and one method for each operation. Safe to use from several threads."""

    def __init__(self, minimum_part_size: int = MINIMUM_PART_SIZE) -> None:
        self.lock = threading.RLock()
        self.created: dict[str, float] = {}
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.uploads = Uploads(minimum_part_size)
        self._operations: dict[str, Callable[[Call], Answer]] = {
            "ListBuckets": self._list_buckets,
            "CreateBucket": self._create_bucket,
            "HeadBucket": self._head_bucket,
            "DeleteBucket": self._delete_bucket,
            "GetBucketLocation": self._get_bucket_location,
            "ListObjectsV2": self._list_objects,
            "ListMultipartUploads": self._list_uploads,
            "DeleteObjects": self._delete_objects,
            "PutObject": self._put_object,
            "CopyObject": self._copy_object,
            "GetObject": self._get_object,
            "HeadObject": self._get_object,
            "DeleteObject": self._delete_object,
            "GetObjectTagging": self._get_tagging,
            "PutObjectTagging": self._put_tagging,
            "DeleteObjectTagging": self._delete_tagging,
            "CreateMultipartUpload": self._create_upload,
            "UploadPart": self._upload_part,
            "UploadPartCopy": self._upload_part_copy,
            "CompleteMultipartUpload": self._complete_upload,
            "AbortMultipartUpload": self._abort_upload,
            "ListParts": self._list_parts,
        }

    def handle(self, call: Call) -> Answer:
        """Carry out one call."""
        operation = self._operations.get(call.operation, _not_implemented)
        try:
            with self.lock:
                return operation(call)
        except Refused as refused:
            return refused.answer()

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket unless it is there."""
        with self.lock:
            self.created.setdefault(bucket, time())
            self.buckets.setdefault(bucket, {})

    def find(self, bucket: str, key: str) -> StoredObject:
        """Return an object.

        Raises:
            Refused: NoSuchBucket or NoSuchKey.
        """
        stored = self._bucket(bucket).get(key)
        if stored is None:
            raise Refused("NoSuchKey", "The specified key does not exist.")
        return stored

    def replace_object(self, bucket: str, key: str, body: bytes | None) -> None:
        """Overwrite an object if it is there, with other bytes of the same size where none are given."""
        with self.lock:
            stored = self.buckets.get(bucket, {}).get(key)
            if stored is not None:
                other = stored.body.translate(_NEXT_BYTE) if body is None else body
                self.buckets[bucket][key] = new_object(other, stored.headers)

    def content(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content, or None where there is no such object."""
        with self.lock:
            stored = self.buckets.get(bucket, {}).get(key)
            return None if stored is None else stored.body

    def _bucket(self, bucket: str) -> dict[str, StoredObject]:
        if bucket not in self.buckets:
            raise Refused("NoSuchBucket", "The specified bucket does not exist")
        return self.buckets[bucket]

    # Buckets

    def _list_buckets(self, _: Call) -> Answer:
        return listing.list_buckets(self.created)

    def _create_bucket(self, call: Call) -> Answer:
        if call.bucket in self.buckets:
            raise Refused("BucketAlreadyOwnedByYou", "The bucket you tried to create already exists")
        self.create_bucket(call.bucket)
        return Answer(200, {"location": f"/{call.bucket}"})

    def _head_bucket(self, call: Call) -> Answer:
        self._bucket(call.bucket)
        return Answer(200, {"x-amz-bucket-region": "us-east-1"})

    def _delete_bucket(self, call: Call) -> Answer:
        if self._bucket(call.bucket):
            raise Refused("BucketNotEmpty", "The bucket you tried to delete is not empty")
        del self.buckets[call.bucket], self.created[call.bucket]
        return _NO_CONTENT

    def _get_bucket_location(self, call: Call) -> Answer:
        self._bucket(call.bucket)
        return document("LocationConstraint")  # empty stands for us-east-1

    def _list_objects(self, call: Call) -> Answer:
        return listing.list_objects(call.bucket, self._bucket(call.bucket), call.parameters)

    def _list_uploads(self, call: Call) -> Answer:
        self._bucket(call.bucket)
        return listing.list_uploads(call.bucket, self.uploads.in_progress(), call.parameters)

    # Objects

    def _put_object(self, call: Call) -> Answer:
        return self._write(call, new_object(call.body, call.headers))

    def _write(self, call: Call, stored: StoredObject) -> Answer:
        objects = self._bucket(call.bucket)
        check_write(call.headers, objects.get(call.key))
        objects[call.key] = stored
        return Answer(200, {"etag": stored.etag, **stored.checksums})

    def _get_object(self, call: Call) -> Answer:
        stored = self.find(call.bucket, call.key)
        headers = {"etag": stored.etag, "last-modified": stored.http_date}
        if not check_read(call.headers, stored):
            return Answer(304, headers)
        headers |= {"accept-ranges": "bytes", **stored.headers}
        if stored.tags:
            headers["x-amz-tagging-count"] = str(len(stored.tags))
        overrides = call.parameters.items()
        headers |= {
            name[len("response-") :]: text for name, text in overrides if name.startswith("response-")
        }
        part = _range_of(call.headers.get("range", ""), len(stored.body))
        if part is not None:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(stored.body)}"
            return Answer(206, headers, stored.body[part])
        if call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers |= stored.checksums
        return Answer(200, headers, stored.body)

    def _delete_object(self, call: Call) -> Answer:
        objects = self._bucket(call.bucket)
        check_write(call.headers, objects.get(call.key))
        objects.pop(call.key, None)
        return _NO_CONTENT

    def _delete_objects(self, call: Call) -> Answer:
        if "content-md5" not in call.headers and algorithm_in(call.headers) is None:
            raise Refused("InvalidRequest", "Missing required header for this request: Content-MD5")
        verified_checksum(call.body, call.headers)
        items = parse_xml(call.body, "Object")
        if not 1 <= len(items) <= DELETE_LIMIT:
            raise Refused("MalformedXML", "The XML you provided did not validate against our schema")
        quiet = b"<Quiet>true</Quiet>" in call.body
        objects = self._bucket(call.bucket)
        results = []
        for item in items:
            key = item.get("Key", "")
            try:
                check_write({"if-match": item["ETag"]} if "ETag" in item else {}, objects.get(key))
            except Refused as refused:
                results.append(group("Error", Key=key, Code=refused.code, Message=str(refused)))
            else:
                objects.pop(key, None)
                if not quiet:
                    results.append(group("Deleted", Key=key))
        return document("DeleteResult", *results)

    # Copies

    def _source(self, call: Call) -> StoredObject:
        path = unquote(call.headers["x-amz-copy-source"].partition("?")[0])
        bucket, _, key = path.removeprefix("/").partition("/")
        stored = self.find(bucket, key)
        check_copy_source(call.headers, stored)
        return stored

    def _copy_object(self, call: Call) -> Answer:
        source, headers = self._source(call), call.headers
        replaces = headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
        if not replaces and source is self.buckets.get(call.bucket, {}).get(call.key):
            raise Refused(
                "InvalidRequest", "This copy request is illegal: it changes nothing about the object"
            )
        algorithm = headers.get("x-amz-checksum-algorithm", source.algorithm).lower()
        copy = replace(
            new_object(source.body, {}, algorithm),
            headers=kept_headers(headers) if replaces else source.headers,
            tags=source.tags,
        )
        if headers.get("x-amz-tagging-directive", "COPY") == "REPLACE":
            copy = replace(
                copy, tags=dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
            )
        self._write(call, copy)
        return document(
            "CopyObjectResult", element("LastModified", copy.iso_date), element("ETag", copy.etag)
        )

    # Tags

    def _get_tagging(self, call: Call) -> Answer:
        tags = self.find(call.bucket, call.key).tags
        inside = "".join(group("Tag", Key=key, Value=value) for key, value in tags.items())
        return document("Tagging", f"<TagSet>{inside}</TagSet>")

    def _put_tagging(self, call: Call) -> Answer:
        tags = {item.get("Key", ""): item.get("Value", "") for item in parse_xml(call.body, "Tag")}
        return self._retag(call, tags, Answer(200))

    def _delete_tagging(self, call: Call) -> Answer:
        return self._retag(call, {}, _NO_CONTENT)

    def _retag(self, call: Call, tags: Mapping[str, str], answer: Answer) -> Answer:
        stored = self.find(call.bucket, call.key)
        self.buckets[call.bucket][call.key] = replace(stored, tags=tags)
        return answer

    # Multipart uploads

    def _upload(self, call: Call) -> Upload:
        return self.uploads.find(call.parameters["uploadId"], call.bucket, call.key)

    def _create_upload(self, call: Call) -> Answer:
        self._bucket(call.bucket)
        return self.uploads.create(call.bucket, call.key, call.headers)

    def _upload_part(self, call: Call) -> Answer:
        upload = self._upload(call)
        part = self.uploads.add_part(upload, call.parameters["partNumber"], call.body, call.headers)
        return Answer(200, {"etag": part.etag, **part.checksum})

    def _upload_part_copy(self, call: Call) -> Answer:
        upload = self._upload(call)
        source = self._source(call).body
        wanted = call.headers.get("x-amz-copy-source-range")
        if wanted is not None:
            source = source[_copied_range(wanted, len(source))]
        part = self.uploads.add_part(upload, call.parameters["partNumber"], source, {})
        return document(
            "CopyPartResult",
            element("LastModified", part.iso_date),
            element("ETag", part.etag),
        )

    def _complete_upload(self, call: Call) -> Answer:
        upload = self._upload(call)
        stored = self.uploads.assemble(upload, call.body, call.headers)
        self._write(call, stored)
        self.uploads.close(call.parameters["uploadId"])
        return document(
            "CompleteMultipartUploadResult",
            element("Location", f"/{call.bucket}/{call.key}"),
            element("Bucket", call.bucket),
            element("Key", call.key),
            element("ETag", stored.etag),
            element(
                f"Checksum{stored.algorithm.upper()}", stored.checksums[f"x-amz-checksum-{stored.algorithm}"]
            ),
            element("ChecksumType", stored.checksums["x-amz-checksum-type"]),
        )

    def _abort_upload(self, call: Call) -> Answer:
        self._upload(call)
        self.uploads.close(call.parameters["uploadId"])
        return _NO_CONTENT

    def _list_parts(self, call: Call) -> Answer:
        upload = self._upload(call)
        return listing.list_parts(call.parameters["uploadId"], upload, call.parameters)


def _not_implemented(call: Call) -> Answer:
    raise Refused("NotImplemented", f"{call.operation} is not implemented here")


def _range_of(header: str, size: int) -> slice | None:
    """Return the part that a Range header asks for, or None where it is none and is ignored.

    Raises:
        Refused: InvalidRange where no byte of it exists.
    """
    match = _RANGE.fullmatch(header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise Refused(
            "InvalidRange", "The requested range is not satisfiable", content_range=f"bytes */{size}"
        )
    return slice(start, stop)


def _copied_range(header: str, size: int) -> slice:
    """Return the part that is copied; unlike in a Range both ends must be given, and exist.

    Raises:
        Refused: InvalidArgument.
    """
    match = _RANGE.fullmatch(header)
    if match is None or not all(match.groups()) or not int(match[1]) <= int(match[2]) < size:
        raise Refused("InvalidArgument", "The x-amz-copy-source-range value must lie within the source")
    return slice(int(match[1]), int(match[2]) + 1)
