"""A signed POST, as Standard Webhooks 1.0.0 has it, so that receivers find a library that verifies it.

Headers: ``webhook-id``, the same on each try; ``webhook-timestamp``, the seconds since the epoch of this try;
and ``webhook-signature: v1,BASE64``, the HMAC-SHA256 of ``ID.TIMESTAMP.BODY``
(https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from haulyard._version import __version__
from haulyard.errors import ConfigError, SpoolError
from haulyard.http import HttpClient, HttpConfig

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET: Final = "HAUL_NOTIFY_SECRET"  # noqa: S105 -- the name of the variable
"""The environment variable that holds the secret."""

_PREFIX: Final = "whsec_"
_SHORTEST: Final = 16
_SECONDS: Final = 30.0
_LONGEST_ANSWER: Final = 64 * 1024
_SAFE: Final = "/:@!$&'()*+,;=-._~%"


class Webhook:
    """Posts to one address.

    Args:
        url: ``http://`` or ``https://``; it is nowhere repeated, since many hold a token.
        secret: ``whsec_`` and base64, or any text of at least 16 bytes.
        ca_bundle: A file of certificates to trust, ``""`` for the system's.
        verify: False trusts any certificate.
        clock: Tells seconds since the epoch.

    Raises:
        ConfigError: The address or the secret cannot be one.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        ca_bundle: str = "",
        verify: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin, self._path, self._query = _split(url)
        self._secret = _key(secret)
        self._clock = clock
        self.name = self._origin
        """What it is called in messages."""
        self._client = HttpClient(
            HttpConfig(
                user_agent=f"haulyard/{__version__}",
                ca_bundle=ca_bundle,
                verify=verify,
                read_timeout=_SECONDS,
                work_timeout=_SECONDS,
            )
        )

    async def post(self, message: str, body: bytes) -> None:
        """Post JSON; ``message`` is its id, also as Idempotency-Key. Returns after a 2xx.

        Raises:
            SpoolError: The receiver answered otherwise.
            TransportError: No answer came.
        """
        now = int(self._clock())
        response = await self._client.send(
            "POST",
            self._origin,
            self._path,
            self._query,
            {
                "content-type": "application/json",
                "idempotency-key": message,
                "webhook-id": message,
                "webhook-timestamp": str(now),
                "webhook-signature": signature(self._secret, message, now, body),
            },
            body,
        )
        status = response.status
        told = await response.read(_LONGEST_ANSWER)
        if not 200 <= status < 300:  # noqa: PLR2004 -- the classes of HTTP
            text = " ".join(told[:200].decode(errors="replace").split())
            raise SpoolError(f"{self.name} answers HTTP {status}{': ' * bool(text)}{text}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def signature(secret: bytes, message: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``. Pure."""
    digest = hmac.new(secret, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _split(url: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_one = urlsplit(""), False
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError("--notify is no http:// or https:// URL", hint="write --notify https://…")
    if "@" in parts.netloc:
        raise ConfigError(
            "--notify holds a user or password",
            hint=f"the receiver knows us by the signature, made with {SECRET}",
        )
    return f"{parts.scheme}://{parts.netloc}", quote(parts.path or "/", safe=_SAFE), parts.query


def _key(secret: str) -> bytes:
    if not secret:
        raise ConfigError(
            f"the variable {SECRET} is not set", hint=f"export {SECRET}=whsec_$(openssl rand -base64 32)"
        )
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(
                f"what follows whsec_ in {SECRET} is not base64", hint="openssl rand -base64 32 makes some"
            ) from None
    if len(key) < _SHORTEST:
        raise ConfigError(
            f"the secret in {SECRET} is shorter than {_SHORTEST} bytes",
            hint=f"export {SECRET}=whsec_$(openssl rand -base64 32)",
        )
    return key
