"""What fsspec wants to know of objects and directories: dictionaries, made a hundred thousand at a time.

``name size type`` are fsspec's; ``Key Size ETag LastModified StorageClass VersionId ContentType`` are what
users of s3fs look for, and ``mtime`` what pyarrow and universal-pathlib do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from haulyard.models import BucketInfo, ObjectHead, ObjectInfo, ObjectVersion

#: One file or directory, as fsspec describes it.
Entry = dict[str, Any]


def listed(bucket: str, objects: Iterable[ObjectInfo]) -> list[Entry]:
    """Return the entries of listed objects."""
    root = f"{bucket}/"
    return [
        {
            "name": (name := root + key),
            "Key": name,
            "size": size,
            "Size": size,
            "type": "file",
            "ETag": f'"{etag}"',
            "LastModified": modified,
            "mtime": modified,
            "StorageClass": storage_class,
        }
        for key, size, modified, etag, storage_class, *_ in objects
    ]


def headed(name: str, head: ObjectHead) -> Entry:
    """Return the entry of an object that was asked for."""
    return {
        "name": name,
        "Key": name,
        "size": head.size,
        "Size": head.size,
        "type": "file",
        "ETag": f'"{head.etag}"',
        "LastModified": head.last_modified,
        "mtime": head.last_modified,
        "StorageClass": head.storage_class,
        "VersionId": head.version_id or None,
        "ContentType": head.content_type,
    }


def versioned(bucket: str, versions: Iterable[ObjectVersion]) -> list[Entry]:
    """Return the entries of versions; delete markers are left out, as there is nothing to read."""
    return [
        {
            "name": (name := f"{bucket}/{each.key}?versionId={each.version_id}"),
            "Key": name,
            "size": each.size,
            "Size": each.size,
            "type": "file",
            "ETag": f'"{each.etag}"',
            "LastModified": each.last_modified,
            "mtime": each.last_modified,
            "StorageClass": each.storage_class,
            "VersionId": each.version_id,
            "IsLatest": each.is_latest,
        }
        for each in versions
        if not each.is_marker
    ]


def directory(name: str) -> Entry:
    """Return the entry of a directory: of what has objects below it."""
    return {"name": name, "Key": name, "size": 0, "Size": 0, "type": "directory", "StorageClass": "DIRECTORY"}


def bucket_entry(bucket: BucketInfo) -> Entry:
    """Return the entry of a bucket, which fsspec sees as a directory."""
    return {
        **directory(bucket.name),
        "StorageClass": "BUCKET",
        "CreationDate": bucket.created,
        "created": bucket.created,
    }


def etag_of(entry: Entry) -> str:
    """Return the ETag of an entry without its quotes; ``""`` for directories."""
    return str(entry.get("ETag", "")).strip('"')
