"""Haulyard's errors as OSErrors: pure."""

from __future__ import annotations

import errno

import pytest

from haulyard import errors
from haulyard.events import TransferDone
from haulyard.fs.fsspec.errors import os_error


@pytest.mark.parametrize(
    ("error", "kind", "number"),
    [
        (errors.S3NotFound("x", code="NoSuchKey"), FileNotFoundError, errno.ENOENT),
        (errors.S3PermissionError("x"), PermissionError, errno.EACCES),
        (errors.S3CredentialsError("x"), PermissionError, errno.EACCES),
        (errors.S3ArchivedError("x"), PermissionError, errno.EACCES),
        (errors.S3PreconditionFailed("x"), OSError, errno.EBUSY),
        (errors.S3Conflict("x", code="BucketNotEmpty"), OSError, errno.ENOTEMPTY),
        (errors.S3Conflict("x", code="BucketAlreadyExists"), FileExistsError, errno.EEXIST),
        (errors.S3Conflict("x", code="OperationAborted"), OSError, errno.EBUSY),
        (errors.S3Conflict("x"), OSError, errno.EBUSY),
        (errors.S3IntegrityError("x"), OSError, errno.EIO),
        (errors.UnsafeName("x"), OSError, errno.EINVAL),
        (errors.Unsupported("x"), OSError, errno.ENOTSUP),
        (errors.S3RateLimit("x"), OSError, errno.EBUSY),
        (errors.S3NetworkError("x"), ConnectionError, errno.ECONNRESET),
        (errors.TransportError("x", kind="timeout"), TimeoutError, errno.ETIMEDOUT),
        (errors.TransportError("x", kind="connect"), ConnectionRefusedError, errno.ECONNREFUSED),
        (errors.S3GenericError("x", status=400), OSError, errno.EINVAL),
        (errors.S3GenericError("x", code="KeyTooLongError", status=400), OSError, errno.ENAMETOOLONG),
        (errors.S3GenericError("x", status=302), OSError, errno.EIO),
        (errors.StoreError("x"), OSError, errno.EIO),
    ],
)
def test_each_error_becomes_the_os_error_that_it_is(
    error: errors.HaulError, kind: type[OSError], number: int
) -> None:
    translated = os_error(error, "bucket/key")
    assert isinstance(translated, kind)
    assert translated.errno == number
    assert translated.filename == "bucket/key"


def test_what_concerns_no_file_is_no_os_error() -> None:
    assert isinstance(os_error(errors.ConfigError("x")), ValueError)
    assert isinstance(os_error(errors.HaulError("the client is closed")), RuntimeError)


def test_the_hint_is_said() -> None:
    assert str(os_error(errors.ConfigError("what", hint="do this"))) == "what (do this)"


def test_the_one_failure_of_a_transfer_is_what_failed() -> None:
    done = TransferDone("copy", "a", "b", 0, 0.0, error=errors.S3NotFound("gone"))
    failed = errors.TransferError("1 object failed", failed=1, failures=(done,))
    assert isinstance(os_error(failed), FileNotFoundError)
