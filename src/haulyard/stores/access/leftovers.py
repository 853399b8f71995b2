"""Probes of a process that was killed: noted before they are made, removed by the next one that probes."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from haulyard.errors import HaulError
from haulyard.models import DeleteItem
from haulyard.stores.access.space import remove_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.stores.base import Store


@contextmanager
def noted(state_dir: str, store: Store, prefix: str) -> Iterator[None]:
    """Keep a note of ``prefix`` in the state directory meanwhile; where that cannot be written, keep none."""
    folder = _folder(state_dir)
    path = os.path.join(folder, f"{os.path.basename(prefix.rstrip('/'))}.json")
    fd = -1
    try:
        with suppress(OSError):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # Who is alive holds the lock.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(fd, json.dumps({"store": store.identity, "prefix": prefix}).encode())
        yield
    finally:
        if fd >= 0:
            with suppress(FileNotFoundError):
                os.unlink(path)
            os.close(fd)


async def remove_leftovers(state_dir: str, store: Store) -> None:
    """Remove what killed processes of this user left in ``store``; what cannot be removed stays noted.

    Of a bucket with versions the current ones are removed.
    """
    folder = _folder(state_dir)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        with suppress(OSError, HaulError, ValueError, KeyError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                note = json.loads(os.read(fd, 65536))
                if note["store"] == store.identity:
                    await _remove(store, note["prefix"])
                    os.unlink(path)
            finally:
                os.close(fd)


async def _remove(store: Store, prefix: str) -> None:
    keys: list[str] = []
    async for page in store.list(prefix):
        keys += [info.key for info in page.objects]
        await store.delete_many([DeleteItem(info.key) for info in page.objects])
    async for upload in store.list_uploads(prefix):
        await store.abort_multipart(upload.key, upload.upload_id)
    await remove_directories(store, prefix, keys)


def _folder(state_dir: str) -> str:
    return os.path.join(state_dir, "probes")
