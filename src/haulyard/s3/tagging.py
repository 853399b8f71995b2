"""The tags of an object.

Signatures::

    get_object_tagging(bucket, key, version_id="") -> Request
    put_object_tagging(bucket, key, tags, version_id="") -> Request        raises ConfigError
    delete_object_tagging(bucket, key, version_id="") -> Request
    parse_tagging(body) -> dict[str, str]                       raises BadXml
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.s3.checksums import content_md5, crc32_header
from haulyard.s3.headers import check_tags
from haulyard.s3.request import Request
from haulyard.s3.xml import BadXml, document, leaf, parse, succeeded_as

if TYPE_CHECKING:
    from collections.abc import Mapping

_tags_read = succeeded_as("Tagging")


def _query(version_id: str) -> tuple[tuple[str, str], ...]:
    return (("tagging", ""), ("versionId", version_id)) if version_id else (("tagging", ""),)


def get_object_tagging(bucket: str, key: str, version_id: str = "") -> Request:
    """Read the tags of an object or a version."""
    return Request("GetObjectTagging", "GET", bucket, key, _query(version_id), classify=_tags_read)


def put_object_tagging(bucket: str, key: str, tags: Mapping[str, str], version_id: str = "") -> Request:
    """Replace all tags of an object or a version.

    Raises:
        ConfigError: too many tags, or one that S3 would refuse.
    """
    check_tags(tags)
    try:
        pairs = [f"<Tag>{leaf('Key', name)}{leaf('Value', value)}</Tag>" for name, value in tags.items()]
    except BadXml:
        raise ConfigError(
            "a tag holds control characters", hint="remove them; XML cannot carry them"
        ) from None
    body = document("Tagging", f"<TagSet>{''.join(pairs)}</TagSet>")
    headers = {"content-type": "application/xml", "content-md5": content_md5(body), **crc32_header(body)}
    return Request("PutObjectTagging", "PUT", bucket, key, _query(version_id), headers, body, kind="write")


def delete_object_tagging(bucket: str, key: str, version_id: str = "") -> Request:
    """Remove all tags of an object or a version."""
    return Request("DeleteObjectTagging", "DELETE", bucket, key, _query(version_id), kind="write")


def parse_tagging(body: bytes) -> dict[str, str]:
    """Return the tags.

    Raises:
        BadXml: the answer is no ``Tagging``.
    """
    tags = parse(body, "Tagging").find("TagSet")
    return {} if tags is None else {tag.value("Key"): tag.value("Value") for tag in tags.all("Tag")}
