"""Certificate authorities beyond the system's own (AWS_CA_BUNDLE, --ca-bundle)."""

from __future__ import annotations

from haulyard.errors import ConfigError

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def read_bundle(path: str) -> list[bytes]:
    """Return the certificates of a PEM file, each by itself; none for an empty path."""
    if not path:
        return []
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError(f"the CA bundle {path} cannot be read: {error.strerror}") from error
    pieces = [_BEGIN + piece.partition(_END)[0] + _END + b"\n" for piece in text.split(_BEGIN)[1:]]
    if not pieces:
        raise ConfigError(
            f"the CA bundle {path} holds no certificate",
            hint="Give a PEM file with at least one BEGIN CERTIFICATE block.",
        )
    return pieces
