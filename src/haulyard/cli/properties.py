"""What the property flags say, as the values that stores understand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.models import Encryption, PutOptions, Secret

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

#: Length of an SSE-C key in bytes (AES-256).
_KEY_BYTES = 32


def put_options(arguments: Namespace) -> PutOptions:
    """Return what the flags of `flags.PROPERTIES` and `flags.CUSTOMER_KEY` ask for.

    Raises:
        ConfigError: A pair without ``=``, flags that contradict each other, a key file that is none.
    """
    return PutOptions(
        content_type=arguments.content_type,
        content_encoding=arguments.content_encoding,
        content_disposition=arguments.content_disposition,
        content_language=arguments.content_language,
        cache_control=arguments.cache_control,
        expires=http_date(arguments.expires) if arguments.expires else "",
        metadata=pairs(arguments.metadata, "--metadata"),
        tags=pairs(arguments.tag, "--tag"),
        storage_class=arguments.storage_class.upper(),
        acl=arguments.acl,
        encryption=_encryption(arguments),
    )


def customer_encryption(path: str) -> Encryption | None:
    """Return the SSE-C encryption with the key in the file ``path``, or None for an empty path.

    Raises:
        ConfigError: The file cannot be read or does not hold a key.
    """
    return Encryption("SSE-C", customer_key=_read_key(path)) if path else None


def pairs(texts: Sequence[str], flag: str) -> dict[str, str]:
    """Return the pairs of a repeated ``KEY=VALUE`` flag.

    Raises:
        ConfigError: One has no ``=`` or no key, or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ConfigError(f"{flag} {text!r} is not KEY=VALUE", hint=f"write {flag} colour=blue")
        if key in found:
            raise ConfigError(f"{flag} gives {key} twice", hint="give each key once")
        found[key] = value
    return found


def http_date(text: str) -> str:
    """Return a date as HTTP writes it, from that form or from ISO 8601 (UTC unless it says otherwise).

    Raises:
        ConfigError: Neither of both.
    """
    from datetime import UTC, datetime
    from email.utils import format_datetime, parsedate_to_datetime  # 10 ms for a rare flag

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            raise ConfigError(
                f"--expires {text!r} is not a date", hint="write 2030-01-31T12:00:00Z"
            ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _encryption(arguments: Namespace) -> Encryption | None:
    mode, kms_key_id, key_file = arguments.sse, arguments.sse_kms_key_id, arguments.sse_c_key_file
    if key_file:
        if mode or kms_key_id:
            raise ConfigError(
                "--sse-c-key-file and --sse exclude each other",
                hint="an object is encrypted with your key or with the store's",
            )
        return customer_encryption(key_file)
    if kms_key_id and mode == "AES256":
        raise ConfigError(
            "--sse-kms-key-id does not go with --sse AES256", hint="write --sse aws:kms or leave --sse out"
        )
    if not (mode or kms_key_id):
        return None
    return Encryption(mode or "aws:kms", kms_key_id)


def _read_key(path: str) -> Secret:
    import base64
    import binascii

    try:
        with open(path, "rb") as file:
            content = file.read(1024)
    except OSError as error:
        raise ConfigError(
            f"the key file {path} cannot be read: {error.strerror}", hint="name a file with the SSE-C key"
        ) from None
    if len(content) != _KEY_BYTES:
        try:
            content = base64.b64decode(content.strip(), validate=True)
        except binascii.Error:
            content = b""
    if len(content) != _KEY_BYTES:
        raise ConfigError(
            f"{path} does not hold an SSE-C key of 32 bytes",
            hint="make one with: openssl rand 32 > key.bin",
        )
    return Secret(content)
