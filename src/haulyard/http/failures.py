"""The edge where pyreqwest's exceptions become `haulyard.errors.TransportError`.

Its texts hold the full URL, and with it a presigned signature; so the message is made from the innermost
cause that names no URL.
"""

from __future__ import annotations

from pyreqwest import exceptions as wire

from haulyard.errors import TransportError

#: What is certain about the server: only these causes mean that it never saw the request.
_NEVER_SENT = (
    "connection refused",
    "dns error",
    "failed to lookup address",
    "no route to host",
    "network is unreachable",
    "certificate",
    "tcp connect error",
)
_HINTS = {
    "dns": "Check the name of the endpoint and of the region, and this machine's DNS.",
    "connect": "Check that the endpoint is right and reachable from here (`haul doctor`).",
    "tls": "Check the certificate, or name the right authority with --ca-bundle.",
    "timeout": "The server was silent for too long; run the command again.",
    "reset": "The connection was lost; run the command again.",
    "body": "The answer was cut short; run the command again.",
    "request": "The request could not be built; check the endpoint, the headers and the key.",
}

_SIGNS = {
    "dns": ("dns error", "failed to lookup"),
    "tls": ("certificate", "handshake", "tls"),
    "connect": ("tcp connect error", "connection refused", "unreachable"),
}
_CLASSES = {
    wire.RequestTimeoutError: "timeout",
    wire.DecodeError: "body",
    wire.BuilderError: "request",
}


def translate(error: BaseException) -> TransportError:
    """Return the TransportError that says what happened, without any URL."""
    causes = _causes(error)
    text = " ".join(causes).lower()
    kind = _kind(error, text)
    message = causes[-1] if causes else type(error).__name__
    sent = not any(sign in text for sign in _NEVER_SENT)
    return TransportError(message, kind=kind, sent=sent, hint=_HINTS[kind])


def _causes(error: BaseException) -> list[str]:
    details = getattr(error, "details", None) or {}
    causes = [str(cause["message"]) for cause in details.get("causes") or ()]
    spoken = [cause for cause in causes if "://" not in cause]
    if spoken:
        return spoken
    message = getattr(error, "message", "") or ""
    return [message] if message and "://" not in message else []


def _kind(error: BaseException, text: str) -> str:
    for kind, signs in _SIGNS.items():
        if any(sign in text for sign in signs):
            return kind
    for cls, kind in _CLASSES.items():
        if isinstance(error, cls):
            return kind
    # A server that closes without an answer is a ConnectError too, although it was reached.
    return "reset"
