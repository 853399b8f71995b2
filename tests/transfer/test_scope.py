"""Which errors end a run."""

from __future__ import annotations

import pytest

from haulyard.errors import (
    ConfigError,
    HaulError,
    NotFound,
    S3ClockError,
    S3CredentialsError,
    S3NetworkError,
    S3NotFound,
    S3PermissionError,
    S3RegionError,
    S3ServerError,
    StoreError,
    Unsupported,
)
from haulyard.transfer.scope import concerns_all


def unreachable() -> S3NetworkError:
    error = S3NetworkError("connection refused")
    error.kind, error.sent = "connect", False
    return error


@pytest.mark.parametrize(
    "error",
    [
        S3CredentialsError("expired"),
        S3ClockError("late"),
        S3RegionError("elsewhere"),
        S3NotFound("no bucket", code="NoSuchBucket"),
        ConfigError("wrong"),
        Unsupported("cannot"),
        unreachable(),
    ],
)
def test_what_every_object_would_meet_ends_a_run(error: HaulError) -> None:
    assert concerns_all(error)


@pytest.mark.parametrize(
    "error",
    [
        S3PermissionError("denied"),
        S3NotFound("no key", code="NoSuchKey"),
        NotFound("no file"),
        S3NetworkError("reset"),
        S3ServerError("500"),
        StoreError("disk"),
        HaulError("any"),
    ],
)
def test_what_one_object_met_does_not(error: HaulError) -> None:
    assert not concerns_all(error)
