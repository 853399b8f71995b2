"""What stores say of objects, versions, parts and uploads.

Values that come by the million are named tuples, the cheapest immutable thing that Python makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class ByteRange(NamedTuple):
    """Bytes ``start`` up to, but not including, ``end``; ``end=None`` means to the end of the object.

    A negative ``start`` with ``end=None`` means the last ``-start`` bytes.
    """

    start: int
    end: int | None = None

    def header(self) -> str:
        """Return the value of an HTTP ``Range`` header."""
        if self.start < 0:
            return f"bytes={self.start}"
        return f"bytes={self.start}-" if self.end is None else f"bytes={self.start}-{self.end - 1}"


class Checksum(NamedTuple):
    """A checksum as S3 states it.

    ``algorithm`` is S3's name (``CRC64NVME CRC32 CRC32C SHA256 SHA1 MD5``), ``value`` its base64 text.
    ``kind`` is ``FULL_OBJECT`` or ``COMPOSITE`` (a checksum over the checksums of the parts, with ``-N``
    appended); the two are never comparable with each other.
    """

    algorithm: str
    value: str
    kind: str = "FULL_OBJECT"


class ObjectInfo(NamedTuple):
    """One line of a listing.

    ``size`` is in bytes, ``last_modified`` an aware UTC time; ``etag`` is opaque and without its quotes.
    """

    key: str
    size: int
    last_modified: datetime
    etag: str = ""
    storage_class: str = "STANDARD"
    checksum_algorithms: tuple[str, ...] = ()
    owner: str = ""
    restore: str = ""


class ObjectVersion(NamedTuple):
    """One version, or one delete marker (``is_marker``, size 0), of a key."""

    key: str
    version_id: str
    is_latest: bool
    is_marker: bool
    size: int
    last_modified: datetime
    etag: str = ""
    storage_class: str = "STANDARD"


class ObjectHead(NamedTuple):
    """Everything that HEAD or the headers of GET say of one object.

    ``size`` is that of the whole object, also where a range of it was asked for. ``metadata`` keys are
    lower case. ``checksums`` holds whatever the store gave. ``headers`` are the raw ones, lower case.
    """

    key: str
    size: int
    last_modified: datetime | None
    etag: str
    content_type: str = ""
    content_encoding: str = ""
    content_disposition: str = ""
    content_language: str = ""
    cache_control: str = ""
    expires: str = ""
    metadata: Mapping[str, str] = {}
    storage_class: str = "STANDARD"
    version_id: str = ""
    checksums: tuple[Checksum, ...] = ()
    encryption: str = ""
    kms_key_id: str = ""
    restore: str = ""
    archive_status: str = ""
    tag_count: int = 0
    parts_count: int = 0
    headers: Mapping[str, str] = {}


class BucketInfo(NamedTuple):
    """A bucket of the caller's; ``region`` is empty where the store does not say."""

    name: str
    created: datetime | None
    region: str = ""


class ListPage(NamedTuple):
    """A page of a listing: objects, and the common prefixes below a delimiter, both in the store's order."""

    objects: list[ObjectInfo]
    prefixes: list[str]


class VersionPage(NamedTuple):
    """A page of a listing of versions and delete markers, newest first for each key."""

    versions: list[ObjectVersion]
    prefixes: list[str]


class PutResult(NamedTuple):
    """What a store acknowledged: of a put, a copy, a part or a completed multipart upload."""

    etag: str
    version_id: str = ""
    checksums: tuple[Checksum, ...] = ()
    last_modified: datetime | None = None


class DeleteOutcome(NamedTuple):
    """The fate of one key of a batch delete; ``error`` is None where it is gone (or was never there)."""

    key: str
    version_id: str = ""
    is_marker: bool = False
    marker_version_id: str = ""
    error: Exception | None = None


class PartInfo(NamedTuple):
    """One uploaded part: ``number`` from 1, ``size`` in bytes."""

    number: int
    etag: str
    size: int = 0
    checksum: Checksum | None = None
    last_modified: datetime | None = None


class UploadInfo(NamedTuple):
    """One multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: datetime
    storage_class: str = "STANDARD"


class Grant(NamedTuple):
    """One grant of an ACL; ``grantee`` is an id, an e-mail address or a group's URI, as ``kind`` says."""

    grantee: str
    permission: str
    kind: str = "CanonicalUser"


class ObjectAcl(NamedTuple):
    """Owner and grants of an object."""

    owner: str
    grants: tuple[Grant, ...]


class ObjectAttributes(NamedTuple):
    """What GetObjectAttributes tells without reading the object."""

    size: int
    etag: str
    storage_class: str = "STANDARD"
    checksums: tuple[Checksum, ...] = ()
    parts_count: int = 0
    parts: tuple[PartInfo, ...] = ()
    version_id: str = ""
    last_modified: datetime | None = None
