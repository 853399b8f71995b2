"""What the parts of `haulyard.testing.store_suite` share."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import ListOptions
    from haulyard.stores.base import Store


class SuiteBase:
    """The knobs and fixtures of the suite; see `haulyard.testing.store_suite`."""

    flat_keys = True
    checks_checksums = True

    @pytest.fixture
    def store(self) -> Store:
        """Return the store under test; override this."""
        raise NotImplementedError

    @pytest.fixture
    def prefix(self) -> str:
        """Return a prefix of this test's own, so that tests may share a store."""
        return f"suite-{secrets.token_hex(6)}/"


class Source:
    """A body that is read piece by piece: ``chunks``, after each of which it lets others run.

    ``size`` is what it announces. ``started`` and ``ended`` are set when it is first asked for bytes and
    when nobody will ask any more.
    """

    def __init__(self, chunks: list[bytes], size: int = -1, *, pause: float = 0.0) -> None:
        self._chunks = chunks
        self._pause = pause
        self.size = sum(map(len, chunks)) if size < 0 else size
        self.started = asyncio.Event()
        self.ended = asyncio.Event()

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the chunks."""
        try:
            for chunk in self._chunks:
                self.started.set()
                yield chunk
                await asyncio.sleep(self._pause)
        finally:
            self.ended.set()


class BrokenSource(Source):
    """A body that fails after its chunks."""

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the chunks, then fail."""
        async for chunk in super().open():
            yield chunk
        raise OSError("the source broke")


def require(store: Store, *capabilities: str) -> None:
    """Skip the test unless the store declares all of ``capabilities``."""
    for name in capabilities:
        declared = getattr(store.capabilities, name)
        if not declared:
            pytest.skip(f"{name} is {'not proved' if declared is None else 'not declared'}")


async def read(store: Store, key: str) -> bytes:
    """Return a whole object."""
    async with await store.get(key) as reader:
        return await reader.read()


async def keys_of(store: Store, prefix: str, options: ListOptions | None = None) -> list[str]:
    """Return all keys of a listing, in its order, without ``prefix``."""
    pages = store.list(prefix) if options is None else store.list(prefix, options)
    return [info.key.removeprefix(prefix) async for page in pages for info in page.objects]
