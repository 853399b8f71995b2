"""AWS Signature Version 4 for S3: pure, and cheap enough for the hot path.

S3's own rules apply: the path is encoded once and never normalised, and ``x-amz-content-sha256`` is always
sent. Source: "Authenticating Requests (AWS Signature Version 4)" of the Amazon S3 API Reference. That the
result equals botocore's is held by a property test.
"""

from __future__ import annotations

import re
import time
from hashlib import sha256
from hmac import digest as hmac_digest
from itertools import pairwise
from typing import TYPE_CHECKING

from haulyard.errors import UnsafeName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from haulyard.s3.credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
#: The payload hash of a request whose body is not part of its signature.
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
#: The payload hash of a request without a body.
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#: Headers that proxies and transports may add or change; the list is botocore's.
UNSIGNED_HEADERS = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)

_PLAIN = re.compile(r"[A-Za-z0-9._~/-]*").fullmatch
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED_VALUE = tuple(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256))
_ENCODED = tuple("/" if byte == ord("/") else code for byte, code in enumerate(_ENCODED_VALUE))

# A process signs for a few regions and credentials at a time; the bound only guards against a leak.
_MAX_KEYS = 64
_keys: dict[tuple[str, str, str, str], tuple[bytes, str]] = {}
_date: tuple[int, str] = (-1, "")


def uri_encode(text: str) -> str:
    """Percent-encode all but unreserved characters and ``/``; raises UnicodeEncodeError for surrogates."""
    if _PLAIN(text):
        return text
    return "".join(map(_ENCODED.__getitem__, text.encode()))


def uri_encode_value(text: str) -> str:
    """Percent-encode all but unreserved characters, ``/`` too, as query names and values need it."""
    if _PLAIN_VALUE(text):
        return text
    return "".join(map(_ENCODED_VALUE.__getitem__, text.encode()))


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the canonical query string of unencoded pairs; it is what goes on the wire, too."""
    encoded = sorted((uri_encode_value(name), uri_encode_value(value)) for name, value in pairs)
    return "&".join([f"{name}={value}" for name, value in encoded])


def wire_path(bucket: str | None, key: str) -> tuple[str, str]:
    """Return the path to send and the path to sign of ``key``, below ``/bucket`` where that is given.

    They differ only for keys with segments ``.`` or ``..``, which every URL parser would resolve: there,
    the slashes beside such a segment are sent as ``%2F`` and signed as ``/``.

    Raises:
        UnsafeName: The key is ``.`` or ``..``, which no URL can express, or is no valid Unicode.
    """
    try:
        canonical = "/" + uri_encode(key)
    except UnicodeEncodeError:
        raise UnsafeName(
            f"{key!r} cannot be sent: it is not valid Unicode", bucket=bucket or "", key=key
        ) from None
    wire = _shield_dots(canonical, bucket, key) if "/." in canonical else canonical
    if bucket is None:
        return wire, canonical
    prefix = f"/{uri_encode_value(bucket)}"
    if not key:
        return prefix, prefix
    return prefix + wire, prefix + canonical


def _shield_dots(canonical: str, bucket: str | None, key: str) -> str:
    """Encode the slashes beside ``.`` and ``..``, all but the leading one."""
    if key in {".", ".."}:
        raise UnsafeName(
            f"the key {key} cannot be sent: every URL parser resolves it",
            bucket=bucket or "",
            key=key,
            hint="copy or rename the object with a tool of the store itself",
        )
    segments = canonical[1:].split("/")
    wire = segments[0]
    for before, segment in pairwise(segments):
        dotted = before in {".", ".."} or segment in {".", ".."}
        wire += ("%2F" if dotted else "/") + segment
    return "/" + wire


def amz_date(now: float) -> str:
    """Return ``now`` (seconds since the epoch) as ``x-amz-date`` wants it."""
    global _date  # noqa: PLW0603 -- one remembered second; thousands of requests share it
    second, text = _date
    if second != int(now):
        second = int(now)
        text = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        _date = (second, text)
    return text


def signing_key(secret_key: str, date: str, region: str, service: str) -> tuple[bytes, str]:
    """Return the derived key and the credential scope; both are cached.

    ``date`` is ``YYYYMMDD``.
    """
    cached = _keys.get((secret_key, date, region, service))
    if cached is None:
        key = f"AWS4{secret_key}".encode()
        for part in (date, region, service, "aws4_request"):
            key = hmac_digest(key, part.encode(), "sha256")
        cached = (key, f"{date}/{region}/{service}/aws4_request")
        if len(_keys) >= _MAX_KEYS:
            _keys.clear()
        _keys[secret_key, date, region, service] = cached
    return cached


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], payload_hash: str
) -> tuple[str, str]:
    """Return the canonical request and the list of signed headers.

    ``headers`` are lower case and complete (``host`` included); those in `UNSIGNED_HEADERS` are left out.
    """
    names = sorted(headers)
    if not UNSIGNED_HEADERS.isdisjoint(names):
        names = [name for name in names if name not in UNSIGNED_HEADERS]
    lines = "\n".join([f"{name}:{' '.join(headers[name].split())}" for name in names])
    signed = ";".join(names)
    return f"{method}\n{path}\n{query}\n{lines}\n\n{signed}\n{payload_hash}", signed


def signature(canonical: str, date_time: str, key: bytes, scope: str) -> str:
    """Return the hex signature of a canonical request."""
    hashed = sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{date_time}\n{scope}\n{hashed}"
    return keyed_hash(key, text)


def keyed_hash(key: bytes, text: str) -> str:
    """Return the hex HMAC-SHA256 of ``text``."""
    return hmac_digest(key, text.encode(), "sha256").hex()


def sign(
    method: str,
    host: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    payload_hash: str,
    credentials: Credentials,
    region: str,
    date_time: str,
    service: str = "s3",
) -> dict[str, str]:
    """Return the headers that sign a request: add them to ``headers`` and send nothing else but them.

    Args:
        method: The HTTP method, upper case.
        host: The ``Host`` header as it will be sent, without a default port.
        path: The canonical path of `wire_path`, below the endpoint's own path.
        query: Unencoded pairs.
        headers: The headers of the request, lower case; all are signed but `UNSIGNED_HEADERS`.
        payload_hash: The hex SHA-256 of the body, `EMPTY_SHA256` or `UNSIGNED_PAYLOAD`.
        credentials: Whose signature it is.
        region: The region of the credential scope.
        date_time: `amz_date` of now.
        service: The service of the credential scope.
    """
    added = {"x-amz-content-sha256": payload_hash, "x-amz-date": date_time}
    if credentials.token:
        added["x-amz-security-token"] = credentials.token
    canonical, signed = canonical_request(
        method,
        path,
        encode_query(query) if query else "",
        {"host": host, **headers, **added},
        payload_hash,
    )
    key, scope = signing_key(credentials.secret_key, date_time[:8], region, service)
    added["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed}, "
        f"Signature={signature(canonical, date_time, key, scope)}"
    )
    return added
