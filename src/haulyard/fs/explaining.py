"""What an error of one request does not say, asked of the store by another one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from haulyard.errors import S3AuthError, S3CredentialsError, StoreError
from haulyard.models import ListOptions

if TYPE_CHECKING:
    from haulyard.errors import NotFound, S3PermissionError
    from haulyard.fs.volume import Volume
    from haulyard.stores.s3 import S3Store

_ONE: Final = ListOptions(page_size=1)


async def no_file(volume: Volume, error: NotFound, key: str) -> NotFound:
    """Return ``error``, of a file that is not there, saying so where there is a directory of its name."""
    if error.code != "NoSuchKey":
        return error
    path = key[len(volume.prefix) :]
    error.hint = "list_directory says what there is; upper and lower case count"
    # The file is not there; that nobody can tell what else is, is no reason to raise something else.
    with suppress(StoreError):
        async for page in volume.store.list(f"{key}/", _ONE):
            if page.objects:
                error.message = f"{volume.uri(key)} is a directory, and a file is wanted"
                error.hint = f"list_directory({path!r}) says which files lie in it"
            break
    return error


async def refusal(store: S3Store, error: S3PermissionError, prefix: str) -> S3AuthError:
    """Return why HEAD was refused: its answer has no body, so it looks the same where the keys are wrong."""
    try:
        async for _ in store.list(prefix, _ONE):
            break
    except S3CredentialsError as stated:
        return stated
    except StoreError:
        pass
    return error
