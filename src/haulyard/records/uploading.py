"""A file of this machine into a store, as `haul cp` moves it: checked, and in parts where it is large."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.events import ignore
from haulyard.stores.local import LocalStore
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.upload import Uploader

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.stores.base import Store


async def upload_file(
    path: str, store: Store, key: str, *, options: TransferOptions | None = None, emit: Emit = ignore
) -> None:
    """Store a file under ``key``; an object of that name is replaced.

    Raises:
        StoreError: It cannot be read or written; then nothing of it is there.
    """
    directory, name = os.path.split(path)
    options = options or TransferOptions()
    if not store.capabilities.metadata:
        # A directory keeps no content type.
        options = replace(options, guess_content_type=False)
    await Uploader(LocalStore(directory), store, options, emit)(Job(Item(name), key))
