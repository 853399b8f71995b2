"""A store in memory that keeps what it was asked, and stumbles where a test says so."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from haulyard.errors import S3NetworkError
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Called with the number of the call, from 1; what it raises is what the call raises.
    Hook = Callable[[int], object]


class Stumbling(MemoryStore):
    """``before`` and ``after`` hold hooks by operation; parts may be of any size."""

    def __init__(self, bucket: str = "bucket", **capabilities: Any) -> None:
        super().__init__(bucket, min_part_size=1)
        self.capabilities = replace(self.capabilities, **capabilities)
        self.calls: Counter[str] = Counter()
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}

    async def open_uploads(self) -> list[str]:
        """Return the ids of the uploads that are neither completed nor aborted."""
        return [upload.upload_id async for upload in MemoryStore.list_uploads(self)]

    async def content(self, key: str) -> bytes:
        """Return what is stored, without counting the call."""
        return await (await MemoryStore.get(self, key)).read()


def at(number: int, error: Exception) -> Hook:
    """Return a hook that raises ``error`` at that call only."""

    def hook(count: int) -> None:
        if count == number:
            raise error

    return hook


def always(error: Exception) -> Hook:
    """Return a hook that raises ``error`` at every call."""

    def hook(count: int) -> None:
        raise error

    return hook


def lost() -> S3NetworkError:
    """Return the error for an answer that never came."""
    return S3NetworkError("no answer", operation="test")


def _stumbling(name: str) -> Any:
    original = getattr(MemoryStore, name)

    async def call(self: Stumbling, *args: Any, **kwargs: Any) -> Any:
        self.calls[name] += 1
        count = self.calls[name]
        await _run(self.before.get(name), count)
        result = await original(self, *args, **kwargs)
        await _run(self.after.get(name), count)
        return result

    return call


async def _run(hook: Hook | None, count: int) -> None:
    awaited = hook(count) if hook is not None else None
    if inspect.isawaitable(awaited):
        await awaited


def _stumbling_listing(name: str) -> Any:
    original = getattr(MemoryStore, name)

    async def call(self: Stumbling, *args: Any, **kwargs: Any) -> Any:
        self.calls[name] += 1
        if name in self.before:
            self.before[name](self.calls[name])
        async for each in original(self, *args, **kwargs):
            yield each

    return call


for _name in (
    "head",
    "get",
    "put",
    "delete",
    "delete_many",
    "copy",
    "create_multipart",
    "put_part",
    "copy_part",
    "complete_multipart",
    "abort_multipart",
    "get_tags",
):
    setattr(Stumbling, _name, _stumbling(_name))
for _name in ("list", "list_parts", "list_uploads"):
    setattr(Stumbling, _name, _stumbling_listing(_name))
