"""The options of `HaulFileSystem`, as the values that the rooms below understand. Pure.

Whatever is given is plain (texts, numbers, booleans), so that fsspec can tell instances apart by it and
programs can pickle it. Names are Haulyard's own; those of s3fs and of boto3 are understood where they do
something here, and refused by name where they do not.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from haulyard.client.arguments import SettingOptions, check_keys, put_options, resolve_settings
from haulyard.errors import ConfigError
from haulyard.fs.fsspec.peers import WITHOUT_EFFECT, check_ssl, known, settings_of, taken_requests
from haulyard.models import Encryption, Secret
from haulyard.stores.fate import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.client.arguments import Properties
    from haulyard.config import Settings
    from haulyard.models import PutOptions

#: Seconds that listings are remembered: what other programs write is seen no later.
LISTINGS_EXPIRY: Final = 10.0
#: Length of an SSE-C key in bytes (AES-256).
_KEY_BYTES: Final = 32

#: boto3's names of what a written object gets, as s3fs takes them in ``s3_additional_kwargs`` and with calls.
_PROPERTIES: Final = {
    "ACL": "acl",
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentType": "content_type",
    "Expires": "expires",
    "Metadata": "metadata",
    "StorageClass": "storage_class",
    "WebsiteRedirectLocation": "website_redirect",
}
_ENCRYPTION: Final = {
    "BucketKeyEnabled": "sse_bucket_key",
    "ServerSideEncryption": "sse",
    "SSEKMSKeyId": "sse_kms_key_id",
    "SSECustomerKey": "sse_customer_key",
}
#: boto3's names of grants, which are one property here.
_GRANTS: Final = {
    "GrantFullControl": "full-control",
    "GrantRead": "read",
    "GrantReadACP": "read-acp",
    "GrantWriteACP": "write-acp",
}
#: Our own names of the same, as options and as keywords of calls.
_OWN: Final = frozenset((*_PROPERTIES.values(), "tags", "grants", *_ENCRYPTION.values()))
_NAMES: Final = {**_PROPERTIES, **_ENCRYPTION, **{name: name for name in sorted(_OWN)}}
#: s3fs's options that are read by themselves.
_OF_S3FS: Final = WITHOUT_EFFECT | {
    "config_kwargs",
    "fixed_upload_size",
    "max_concurrency",
    "password",
    "use_ssl",
    "username",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What the options of a filesystem come to.

    ``keys`` are an access key, its secret and a session token, or None to have them found. ``written`` is
    what every written object gets, by our names. ``part_concurrency`` counts parts of one file under way, 0
    for the default. ``parts_grow`` where an object may be longer than 10,000 parts of the first size.
    """

    settings: Settings
    keys: tuple[str, str, str] | None
    written: Mapping[str, Any]
    part_concurrency: int = 0
    parts_grow: bool = True


def given(
    *,
    key: str | None,
    secret: str | None,
    token: str | None,
    anon: bool,
    requester_pays: bool,
    client_kwargs: Mapping[str, Any] | None,
    s3_additional_kwargs: Mapping[str, Any] | None,
    own: Mapping[str, Any],
) -> Given:
    """Return what the options come to; ``own`` are settings and properties by Haulyard's names.

    Raises:
        TypeError: A name that nothing here understands.
        ConfigError: A value that is not allowed, or options that contradict each other.
    """
    of_peers = {**own, "client_kwargs": client_kwargs}
    settings = settings_of(of_peers)
    keys: list[str] = [
        str(first or settings.pop(name, None) or "")
        for name, first in (("key", key), ("secret", secret), ("token", token))
    ]
    additional = dict(s3_additional_kwargs or {})
    settings.update(taken_requests(additional))
    written = written_properties(additional, "s3_additional_kwargs")
    for name, value in own.items():
        if value is None or name in _OF_S3FS:
            continue
        if name in _OWN:
            written[name] = value
        elif name in SettingOptions.__annotations__:
            settings[name] = value
        else:
            raise TypeError(f"HaulFileSystem has no option {name!r}; docs/fsspec.md lists them")
    if anon:
        settings["no_sign_request"] = True
    if requester_pays:
        settings["request_payer"] = "requester"
    resolved = resolve_settings(settings)
    check_ssl(of_peers, resolved.endpoint_url)
    has_keys = check_keys(keys[0], keys[1], keys[2], resolved)
    # A wrong value is said now, not with the first write.
    put_of(written)
    grow = not own.get("fixed_upload_size")
    parts = checked_concurrency(own.get("max_concurrency"))
    return Given(resolved, (keys[0], keys[1], keys[2]) if has_keys else None, written, parts, grow)


def checked_concurrency(given: object) -> int:
    """Return s3fs's ``max_concurrency``: how many parts of one file are under way; 0 where it is None.

    Raises:
        ConfigError: It is no count.
    """
    if given is None:
        return 0
    if not isinstance(given, int) or given < 1:
        raise ConfigError(f"max_concurrency={given!r} is not allowed", hint="give a number from 1")
    return given


def written_properties(named: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return properties by our names, from ours or boto3's.

    Raises:
        TypeError: One that nothing here understands.
        ConfigError: An algorithm of SSE-C that there is not.
    """
    named = dict(named)
    # boto3 wants it said with every key.
    algorithm = named.pop("SSECustomerAlgorithm", None)
    if algorithm not in {None, "AES256"}:
        raise ConfigError(f"SSECustomerAlgorithm={algorithm!r} is not allowed", hint="there is only AES256")
    tagging = named.pop("Tagging", None)
    grants = {_GRANTS[name]: named.pop(name) for name in _GRANTS if name in named}
    properties = known(named, _NAMES, where)
    if tagging is not None:
        properties["tags"] = dict(parse_qsl(tagging, keep_blank_values=True))
    if grants:
        properties["grants"] = grants
    return properties


def put_of(properties: Mapping[str, Any], key: str = "") -> PutOptions:
    """Return the options of a write.

    Raises:
        ConfigError: A value that is not allowed.
    """
    plain: Properties = {  # type: ignore[assignment]  # names were checked, values are below
        name: value for name, value in properties.items() if not name.startswith("sse")
    }
    encryption = encryption_of(properties)
    if encryption is not None:
        plain["encryption"] = encryption
    options = put_options(plain, key)
    if TOKEN in map(str.lower, options.metadata):
        raise ConfigError(f"the metadata entry {TOKEN} is Haulyard's own", hint="choose another name")
    return options


def encryption_of(properties: Mapping[str, Any]) -> Encryption | None:
    """Return the server-side encryption of a write, None for the bucket's own.

    ``sse`` is ``AES256`` or ``aws:kms``; ``sse_kms_key_id`` alone means ``aws:kms``, ``sse_customer_key``
    SSE-C: 32 bytes, or their base64 text.

    Raises:
        ConfigError: A key of another length, or two kinds at once.
    """
    mode, kms_key, customer = (properties.get(name) for name in ("sse", "sse_kms_key_id", "sse_customer_key"))
    bucket_key = properties.get("sse_bucket_key")
    if bucket_key is not None and not isinstance(bucket_key, bool):
        raise ConfigError(f"sse_bucket_key={bucket_key!r} is not allowed", hint="give True or False")
    if customer:
        if mode or kms_key:
            raise ConfigError(
                "sse_customer_key goes with no other encryption", hint="leave sse and sse_kms_key_id out"
            )
        return Encryption("SSE-C", customer_key=Secret(_customer_key(customer)))
    if not (mode or kms_key):
        if bucket_key is not None:
            raise ConfigError("sse_bucket_key goes with KMS", hint='give sse="aws:kms", too')
        return None
    return Encryption(str(mode or "aws:kms"), kms_key_id=str(kms_key or ""), bucket_key=bucket_key)


def customer_key_of(properties: Mapping[str, Any]) -> Encryption | None:
    """Return what reads need: the SSE-C key, if there is one."""
    return encryption_of(properties) if properties.get("sse_customer_key") else None


def _customer_key(text: bytes | str) -> bytes:
    try:
        # boto3 takes a text for the key itself; of 32 bytes it cannot be the base64 of a key.
        is_key = isinstance(text, bytes) or len(text.encode()) == _KEY_BYTES
        key = base64.b64decode(text, validate=True) if not is_key else text
        key = key.encode() if isinstance(key, str) else key
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError("sse_customer_key is no key", hint="give 32 bytes, or their base64 text")
    return key
