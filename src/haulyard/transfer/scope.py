"""Which errors concern one object, and which would meet all others as well."""

from __future__ import annotations

from haulyard.errors import (
    ConfigError,
    HaulError,
    S3AuthError,
    S3NetworkError,
    S3NotFound,
    S3PermissionError,
    S3RegionError,
    Unsupported,
)


def concerns_all(error: HaulError) -> bool:
    """Whether every other object would fail for the same reason, so that the run should end."""
    if isinstance(error, S3NotFound):
        return error.code == "NoSuchBucket"
    if isinstance(error, S3PermissionError):
        # One object may be denied where others are not.
        return False
    if isinstance(error, S3NetworkError):
        # After all attempts nobody answered at the address: the name, the port or the certificate is wrong.
        return not error.sent
    return isinstance(error, (S3AuthError, S3RegionError, ConfigError, Unsupported))
