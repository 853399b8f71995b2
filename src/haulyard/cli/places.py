"""URLs of the command line that must be in S3, and readings of them that several commands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from collections.abc import Sequence


def s3_url(text: str, verb: str) -> S3Url:
    """Return the URL that ``text`` is.

    Raises:
        ConfigError: It names something else than a bucket or what is in one.
    """
    url = parse(text)
    if not isinstance(url, S3Url):
        raise ConfigError(
            f"{text} is a local path, and {verb} works on buckets",
            hint=f"write {_meant(text)}",
        )
    return url


def _meant(text: str) -> str:
    """Return the URL that somebody may have had in mind who wrote a local path."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() == "s3":
        return f"s3://{rest.lstrip('/')}"
    if "/" not in text and not text.startswith((".", "~")) and not os.path.exists(text):
        return f"s3://{text}"
    return f"s3://bucket/{text.lstrip('./')}"


def s3_urls(texts: Sequence[str], verb: str) -> tuple[S3Url, ...]:
    """Return the URLs that ``texts`` are.

    Raises:
        ConfigError: One of them names something else than a bucket or what is in one.
    """
    return tuple(s3_url(text, verb) for text in texts)


def object_url(text: str, verb: str, version_id: str = "") -> S3Url:
    """Return the URL of one object; ``version_id`` is that of a flag, which must not contradict the URL.

    Raises:
        ConfigError: It names a bucket or a prefix, or two versions.
    """
    url = s3_url(text, verb)
    if not url.key:
        raise ConfigError(
            f"{text} names a bucket, and {verb} needs an object", hint=f"write {text.rstrip('/')}/key"
        )
    return with_version(url, version_id)


def destination_url(text: str, verb: str, name: str = "") -> S3Url:
    """Return the URL of an object to be written; where it ends in a slash, ``name`` goes below it.

    Raises:
        ConfigError: It names no single object, or a version.
    """
    url = s3_url(text, verb)
    if not url.key or url.key.endswith("/"):
        if not name:
            raise ConfigError(f"{url} is a prefix, and a stream has no name", hint=f"write {url}NAME")
        url = url._replace(key=url.key + name)
    if url.version_id:
        raise ConfigError(f"{url} names a version, which cannot be written", hint="leave the version out")
    return url


def bucket_url(text: str, verb: str) -> S3Url:
    """Return the URL of a bucket; a bare name will do.

    Raises:
        ConfigError: It names something in a bucket.
    """
    url = s3_url(text if "://" in text or text.startswith("arn:") else f"s3://{text}", verb)
    if url.key:
        raise ConfigError(
            f"{text} names an object or prefix, and {verb} needs a bucket", hint=f"write s3://{url.bucket}"
        )
    return url


def with_version(url: S3Url, version_id: str) -> S3Url:
    """Return ``url`` with the version of ``--version-id``, where one was given.

    Raises:
        ConfigError: The URL names another one.
    """
    if version_id and url.version_id not in {"", version_id}:
        raise ConfigError("the URL and --version-id name two versions", hint="give one of them")
    return url._replace(version_id=version_id or url.version_id)
