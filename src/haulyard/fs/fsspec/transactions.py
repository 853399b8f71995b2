"""Writes that become visible together: what a transaction of fsspec holds back until it ends.

What was written lies in memory, or in parts of uploads that are not completed; nothing has a temporary name.
At the commit all are completed at the same time. S3 has no transactions, so a commit that fails half-way
leaves some of them visible; the others are given up then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from fsspec.asyn import sync
from fsspec.transaction import Transaction

from haulyard.fs.fsspec.errors import os_errors

if TYPE_CHECKING:
    from haulyard.client.files import AsyncWriter
    from haulyard.fs.fsspec.base import FileSystemBase


class Pending(Protocol):
    """Something written that is not visible yet."""

    async def _commit(self) -> None:
        """Make it visible."""

    async def _discard(self) -> None:
        """Give it up."""


class Deferred:
    """One object that was written as a whole, by `pipe_file` or `put_file`."""

    def __init__(self, fs: FileSystemBase, path: str, writer: AsyncWriter) -> None:
        self._fs = fs
        self._path = path
        self._writer = writer

    def commit(self) -> None:
        """Make it visible."""
        sync(self._fs.loop, self._commit)

    def discard(self) -> None:
        """Give it up."""
        sync(self._fs.loop, self._discard)

    @os_errors
    async def _commit(self) -> None:
        try:
            await self._writer.close()
        finally:
            self._fs._forget(self._path)

    async def _discard(self) -> None:
        await self._writer.abort()


class HaulTransaction(Transaction):  # type: ignore[misc]  # fsspec has no types
    """The context that ``fs.transaction`` is, for filesystems that are not asynchronous."""

    fs: Any

    def start(self) -> None:
        """Begin to hold writes back.

        Raises:
            NotImplementedError: The filesystem is asynchronous, and this cannot wait.
        """
        if self.fs.asynchronous:
            raise NotImplementedError(
                "a transaction waits for its commit: use a filesystem that is not asynchronous"
            )
        super().start()

    def complete(self, commit: bool = True) -> None:
        """Make all writes visible, or give all of them up.

        Raises:
            OSError: Some could not be made visible; all that was not is given up.
        """
        fs, pending = self.fs, list(self.files)
        self.files.clear()
        fs._intrans = False
        fs._transaction = None
        self.fs = None
        sync(fs.loop, _end, pending, commit=commit)


async def _end(pending: list[Pending], *, commit: bool) -> None:
    errors: list[BaseException] = []
    if commit:
        results = await asyncio.gather(*(each._commit() for each in pending), return_exceptions=True)
        errors = [each for each in results if isinstance(each, BaseException)]
    if errors or not commit:
        # Harmless for what was committed.
        await asyncio.gather(*(each._discard() for each in pending), return_exceptions=True)
    if errors:
        raise errors[0]
