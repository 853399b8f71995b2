"""The edge where pyreqwest's exceptions become `haulyard.errors.TransportError`.

Its texts hold the full URL, and with it a presigned signature; so the message is made from the innermost
cause that names no URL. What is certain about the server is told by the phase in which the request failed.
"""

from __future__ import annotations

from pyreqwest import exceptions as wire

from haulyard.errors import TransportError

#: Said of whatever fails before there is a connection: only then did the server never see the request.
_CONNECTING = "client error (connect)"
#: Said of whatever fails between the connection and the head of the answer.
_ASKING = "client error (sendrequest)"
#: Said of whatever fails behind the head of the answer.
_READING = "error reading a body from connection"

_HINTS = {
    "dns": "Check the name of the endpoint and of the region, and this machine's DNS.",
    "connect": "Check that the endpoint is right and reachable from here (`haul doctor`).",
    "tls": "Check the certificate, or name the right authority with --ca-bundle.",
    "timeout": "The server was silent for too long; run the command again.",
    "reset": "The connection was lost; run the command again.",
    "body": "The answer was cut short; run the command again.",
    "request": "The request could not be built; check the endpoint, the headers and the key.",
}
#: Signs of what went wrong while connecting, in the words of hyper and rustls.
_SIGNS = {
    "dns": ("dns error", "failed to lookup"),
    "tls": (
        "certificate",
        "handshake",
        "corrupt message",
        "alert",
        "peer is incompatible",
        "peer misbehaved",
    ),
}

#: What rustls says of a first record that is none of TLS.
_SPEAKS_PLAIN = "InvalidContentType"


def translate(error: Exception, origin: str = "") -> TransportError:
    """Return the TransportError that says what happened, without any URL.

    ``origin`` (``scheme://host:port``, no secret) is named where the server was not reached.
    """
    if isinstance(error, ValueError):
        return _not_built(error)
    causes = _causes(error)
    phases = {cause.lower() for cause in causes}
    connecting = _CONNECTING in phases
    kind = _kind_of_connecting(causes) if connecting else _kind(error, phases)
    message = causes[-1] if causes else type(error).__name__
    hint = _HINTS[kind]
    if connecting and origin:
        message = f"{origin}: {message}"
        if kind == "tls" and _SPEAKS_PLAIN in message:
            hint = "The server seems to speak plain http there: write http://, or ask for its https port."
    return TransportError(message, kind=kind, sent=not connecting, hint=hint)


def _not_built(error: ValueError) -> TransportError:
    # "Invalid header value: …" goes on with the value, which may be a secret.
    causes = _causes(error) if isinstance(error, wire.PyreqwestError) else [str(error).partition(":")[0]]
    message = causes[-1] if causes else type(error).__name__
    return TransportError(message, kind="request", sent=False, hint=_HINTS["request"])


def _causes(error: Exception) -> list[str]:
    details = getattr(error, "details", None) or {}
    causes = [str(cause["message"]) for cause in details.get("causes") or ()]
    spoken = [cause for cause in causes if "://" not in cause]
    if spoken:
        return spoken
    message = getattr(error, "message", "") or ""
    return [message] if message and "://" not in message else []


def _kind_of_connecting(causes: list[str]) -> str:
    text = " ".join(causes).lower()
    for kind, signs in _SIGNS.items():
        if any(sign in text for sign in signs):
            return kind
    return "connect"


def _kind(error: Exception, phases: set[str]) -> str:
    if isinstance(error, wire.RequestTimeoutError):
        return "timeout"
    if isinstance(error, wire.DecodeError):
        # What answers before there is a body, in something else than HTTP, is not our server.
        return "connect" if _ASKING in phases else "body"
    if _READING in phases and not isinstance(error, wire.NetworkError):
        return "body"
    # A server that closes without an answer is a ConnectError too, although it was reached.
    return "reset"
