"""Options to request headers, and the few header values that need care to read.

Every value that a caller gave passes `checked`, so that nothing can end a header line early.

Signatures::

    put_headers(options) -> dict                     raise ConfigError
    access_headers(options) -> dict
    condition_headers(options) -> dict
    encryption_headers(encryption) -> dict
    customer_key_headers(encryption, *, copy_source=False) -> dict
    read_headers(options) -> dict
    tagging_header(tags) -> str · check_tags(tags) -> None
    metadata_headers(metadata) -> dict
    account_headers(*, request_payer, expected_owner, source_owner) -> dict
    has_customer_key(headers) -> bool
    quote_etag(etag) -> str · unquote_etag(etag) -> str
    percent_encode(text, keep="") -> str
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from haulyard.checksums import base64_of
from haulyard.errors import ConfigError
from haulyard.s3.checksums import content_md5
from haulyard.s3.dates import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models.options import Encryption, GetOptions, PutOptions

#: "Working with object metadata": the keys and values of user-defined metadata, in UTF-8, together.
MAX_METADATA_BYTES = 2048

#: "Categorizing your storage using tags": per object, and in Unicode characters.
MAX_TAGS = 10
MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256

#: A key of SSE-C is one of AES-256.
CUSTOMER_KEY_BYTES = 32

_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-"
_COPY_SOURCE_KEY = "x-amz-copy-source-server-side-encryption-customer-"
_GRANTS = frozenset({"full-control", "read", "read-acp", "write-acp"})
_TOKEN = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_PLAIN = re.compile("[A-Za-z0-9._~-]*")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def checked(name: str, value: str, *, what: str = "") -> str:
    """Return a header's value, if it is printable ASCII without white space at its ends.

    Control characters would end the header (header injection), other characters and outer white space
    do not arrive as they were sent. ``what`` names the setting in the error, else the header does.

    Raises:
        ConfigError: it is not.
    """
    if value.isascii() and value.isprintable() and value == value.strip():
        return value
    what = what or name
    if not value.isascii() and value.isprintable():
        raise ConfigError(
            f"{what} holds characters that are not ASCII: {value!r}",
            hint="HTTP headers carry ASCII only; encode the value (percent-encoding or base64) yourself",
        )
    raise ConfigError(
        f"{what} holds control characters or white space at its ends",
        hint="remove line breaks, tabs and outer spaces; a header cannot carry them",
    )


def percent_encode(text: str, keep: str = "") -> str:
    """Return the text in UTF-8 with all bytes as ``%XX`` but unreserved characters and ``keep`` (ASCII)."""
    if _PLAIN.fullmatch(text.replace(keep, "") if keep else text):
        return text
    kept = _UNRESERVED.union(keep.encode())
    return "".join([chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode()])


def quote_etag(etag: str) -> str:
    """Return an ETag as conditions carry it: quoted, but ``*`` and weak tags as they are."""
    return etag if etag == "*" or etag.startswith(('"', "W/")) else f'"{etag}"'


def unquote_etag(etag: str) -> str:
    """Return an ETag without its quotes; what is left is opaque. Weak ones stay as they are."""
    return etag if etag.startswith("W/") else etag.strip('"')


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return ``x-amz-meta-*`` headers.

    Raises:
        ConfigError: a key is no header token or given twice, a value is not printable ASCII, or all
            together exceed `MAX_METADATA_BYTES`.
    """
    headers: dict[str, str] = {}
    size = 0
    for key, value in metadata.items():
        if _TOKEN.fullmatch(key) is None:
            raise ConfigError(
                f"metadata key {key!r} cannot be a header name", hint="use letters, digits and - _ ."
            )
        header = f"x-amz-meta-{key.lower()}"
        if header in headers:
            raise ConfigError(
                f"metadata key {key!r} is given twice", hint="S3 ignores the case of these keys"
            )
        headers[header] = checked(header, value, what=f"the value of metadata key {key!r}")
        size += len(key) + len(value)
    if size > MAX_METADATA_BYTES:
        raise ConfigError(
            f"{size} bytes of metadata under {', '.join(map(repr, metadata))}",
            hint=f"S3 keeps at most {MAX_METADATA_BYTES} bytes of metadata keys and values per object",
        )
    return headers


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags that S3 would refuse.

    Raises:
        ConfigError: more than `MAX_TAGS`, an empty or too long key, a too long value.
    """
    if len(tags) > MAX_TAGS:
        raise ConfigError(f"{len(tags)} tags", hint=f"an object has at most {MAX_TAGS} tags")
    for key, value in tags.items():
        if not 0 < len(key) <= MAX_TAG_KEY:
            raise ConfigError(f"tag key {key[:40]!r}", hint=f"a tag's key has 1 to {MAX_TAG_KEY} characters")
        if len(value) > MAX_TAG_VALUE:
            raise ConfigError(
                f"the value of tag {key!r} has {len(value)} characters",
                hint=f"a tag's value has at most {MAX_TAG_VALUE} characters",
            )


def tagging_header(tags: Mapping[str, str]) -> str:
    """Return the value of ``x-amz-tagging``.

    Raises:
        ConfigError: see `check_tags`.
    """
    check_tags(tags)
    return "&".join(f"{percent_encode(key)}={percent_encode(value)}" for key, value in tags.items())


def encryption_headers(encryption: Encryption) -> dict[str, str]:
    """Return the headers that say how the store encrypts what it writes.

    ``kms_context`` is JSON text, or its base64 as S3 wants it.

    Raises:
        ConfigError: an unknown mode, or a field that the mode does not have.
    """
    if encryption.mode == "SSE-C":
        return customer_key_headers(encryption)
    if encryption.mode not in {"AES256", "aws:kms", "aws:kms:dsse"}:
        raise ConfigError(
            f"unknown server-side encryption {encryption.mode!r}",
            hint="one of AES256, aws:kms, aws:kms:dsse, SSE-C",
        )
    headers = {"x-amz-server-side-encryption": encryption.mode}
    uses_kms = encryption.mode != "AES256"
    if not uses_kms and (encryption.kms_key_id or encryption.kms_context):
        raise ConfigError("a KMS key or context with AES256", hint="use the mode aws:kms, or leave them out")
    if encryption.kms_key_id:
        name = "x-amz-server-side-encryption-aws-kms-key-id"
        headers[name] = checked(name, encryption.kms_key_id)
    if encryption.kms_context:
        name = "x-amz-server-side-encryption-context"
        context = encryption.kms_context
        is_json = context.lstrip().startswith("{")
        headers[name] = base64_of(context.encode()) if is_json else checked(name, context)
    if encryption.bucket_key is not None:
        name = "x-amz-server-side-encryption-bucket-key-enabled"
        headers[name] = "true" if encryption.bucket_key else "false"
    return headers


def customer_key_headers(encryption: Encryption | None, *, copy_source: bool = False) -> dict[str, str]:
    """Return the headers of an SSE-C key, for the object itself or as source of a copy.

    All other modes need none to read, to write parts or to complete them: the answer is then empty.

    Raises:
        ConfigError: mode SSE-C without a key of `CUSTOMER_KEY_BYTES`.
    """
    if encryption is None or encryption.mode != "SSE-C":
        return {}
    key = b"" if encryption.customer_key is None else encryption.customer_key.reveal()
    if len(key) != CUSTOMER_KEY_BYTES:
        raise ConfigError(
            f"an SSE-C key of {len(key)} bytes", hint=f"an SSE-C key has {CUSTOMER_KEY_BYTES} bytes (AES-256)"
        )
    prefix = _COPY_SOURCE_KEY if copy_source else _CUSTOMER_KEY
    return {
        prefix + "algorithm": "AES256",
        prefix + "key": base64_of(key),
        prefix + "key-md5": content_md5(key),
    }


def has_customer_key(headers: Mapping[str, str]) -> bool:
    """Return whether a request carries an SSE-C key (it must not travel over plain http)."""
    return _CUSTOMER_KEY + "key" in headers or _COPY_SOURCE_KEY + "key" in headers


def condition_headers(options: PutOptions) -> dict[str, str]:
    """Return the conditions on the object that is to be written."""
    headers: dict[str, str] = {}
    if options.if_match:
        headers["if-match"] = checked("if-match", quote_etag(options.if_match))
    if options.if_none_match:
        headers["if-none-match"] = checked("if-none-match", quote_etag(options.if_none_match))
    return headers


def access_headers(options: PutOptions) -> dict[str, str]:
    """Return what a copy gives its destination whatever it keeps: class, ACL, grants, encryption.

    Raises:
        ConfigError: an unknown kind of grant, or see `encryption_headers`.
    """
    headers: dict[str, str] = {}
    if options.storage_class:
        headers["x-amz-storage-class"] = checked("x-amz-storage-class", options.storage_class)
    if options.acl:
        headers["x-amz-acl"] = checked("x-amz-acl", options.acl)
    for suffix, grantee in options.grants.items():
        if suffix not in _GRANTS:
            raise ConfigError(f"unknown grant {suffix!r}", hint=f"one of {', '.join(sorted(_GRANTS))}")
        headers[f"x-amz-grant-{suffix}"] = checked(f"x-amz-grant-{suffix}", grantee)
    if options.encryption is not None:
        headers.update(encryption_headers(options.encryption))
    return headers


def put_headers(options: PutOptions) -> dict[str, str]:
    """Return all headers that describe an object to be written, but checksum and conditions.

    Raises:
        ConfigError: a value that cannot be sent or that S3 would refuse.
    """
    headers = {
        name: checked(name, value)
        for name, value in (
            ("content-type", options.content_type),
            ("content-encoding", options.content_encoding),
            ("content-disposition", options.content_disposition),
            ("content-language", options.content_language),
            ("cache-control", options.cache_control),
            ("expires", options.expires),
            ("x-amz-website-redirect-location", options.website_redirect),
        )
        if value
    }
    if options.metadata:
        headers.update(metadata_headers(options.metadata))
    if options.tags:
        headers["x-amz-tagging"] = tagging_header(options.tags)
    headers.update(access_headers(options))
    return headers


def read_headers(options: GetOptions) -> dict[str, str]:
    """Return the headers of a GET or HEAD: range, conditions, checksum mode and SSE-C key."""
    headers = customer_key_headers(options.encryption)
    if options.want_checksum:
        headers["x-amz-checksum-mode"] = "ENABLED"
    if options.range is not None:
        headers["range"] = options.range.header()
    if options.if_match:
        headers["if-match"] = checked("if-match", quote_etag(options.if_match))
    if options.if_none_match:
        headers["if-none-match"] = checked("if-none-match", quote_etag(options.if_none_match))
    if options.if_modified_since is not None:
        headers["if-modified-since"] = http_date(options.if_modified_since)
    if options.if_unmodified_since is not None:
        headers["if-unmodified-since"] = http_date(options.if_unmodified_since)
    return headers


def account_headers(
    *, request_payer: bool = False, expected_owner: str = "", source_owner: str = ""
) -> dict[str, str]:
    """Return the headers about accounts that any call may carry.

    ``request_payer`` lets the caller pay (requester-pays buckets); the owners are account ids that the
    bucket, and the source's bucket of a copy, must belong to.
    """
    headers: dict[str, str] = {}
    if request_payer:
        headers["x-amz-request-payer"] = "requester"
    if expected_owner:
        headers["x-amz-expected-bucket-owner"] = checked("x-amz-expected-bucket-owner", expected_owner)
    if source_owner:
        headers["x-amz-source-expected-bucket-owner"] = checked("expected source owner", source_owner)
    return headers
