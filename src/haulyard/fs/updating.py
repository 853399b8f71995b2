"""Changing a file that others change, too; and calling again what failed for a moment."""

from __future__ import annotations

import asyncio
import inspect
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from haulyard.client.arguments import check_bytes
from haulyard.client.cancelling import cancelled_once
from haulyard.errors import (
    ConfigError,
    Conflict,
    NotFound,
    PreconditionFailed,
    S3RateLimit,
    S3ServerError,
    TransportError,
)
from haulyard.fs.conditions import ABSENT
from haulyard.fs.metrics import measured
from haulyard.fs.moving import rewritten
from haulyard.fs.reading import ReadCalls
from haulyard.fs.writing import WriteCalls
from haulyard.pacing.backoff import full_jitter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.fs.nodes import NodeInfo
    from haulyard.fs.volume import Volume
    from haulyard.models import ObjectHead, PutOptions

    #: Makes the new content of the old one; may be a coroutine function.
    Change = Callable[[bytes], bytes | Awaitable[bytes]]

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds; the bound of the first pause after somebody else was quicker: about what one round takes.
_CONFLICT_BASE: Final = 0.02
_CONFLICT_CAP: Final = 1.0
#: Calls of `with_retry` in all, and the bound in seconds of the first pause: what fails here was tried again
#: by the layers below for a while already.
RETRIES: Final = 5
_RETRY_BASE: Final = 0.5
#: What may go away by itself: the network, a server that fails, throttling, a conflict.
TEMPORARY: Final = (TransportError, S3ServerError, S3RateLimit, Conflict)


class UpdateCalls(ReadCalls, WriteCalls):
    """Read, change and write files."""

    def __init__(self, volume: Volume) -> None:
        super().__init__(volume)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @measured
    @cancelled_once
    async def update(
        self, path: str, change: Change, *, missing: bytes | None = b"", attempts: int = 1000
    ) -> NodeInfo:
        """Read a file, change it and write it, again as long as others write in between: nothing is lost.

        The write is conditional on what was read. Where that does not hold any more all of it is done anew,
        after a random pause; so ``change`` is called once or more often, and must not mind. The file keeps
        its content type, metadata and tags. Nothing is written where nothing changes.

        Args:
            path: Of the file.
            change: Gets the content and returns the new one.
            missing: What ``change`` gets where there is no file, which is then created; None raises NotFound.
            attempts: How often it is tried.

        Raises:
            PreconditionFailed: Others were quicker every time.
            NotFound: There is no file, and ``missing`` is None.
            Unsupported: The endpoint ignores conditions, or could not be proved to honour them, so that
                updates would be lost.

        Example:
            >>> old = await provider.write_file("counter", b"41")
            >>> new = await provider.update("counter", lambda old: b"%d" % (int(old) + 1))
            >>> await provider.read_file("counter")
            b'42'
        """
        if attempts < 1:
            raise ConfigError(f"attempts={attempts} is not allowed", hint="give 1 or more")
        key = self._volume.file_key(path)
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        # Those of this provider wait for each other, which is cheaper than to find out who was quicker.
        async with turn:
            for attempt in range(1, attempts):
                try:
                    return await self._update_once(path, key, change, missing)
                except (PreconditionFailed, Conflict):
                    await asyncio.sleep(
                        full_jitter(attempt, _CONFLICT_BASE, _CONFLICT_CAP, random=random.random)
                    )
            return await self._update_once(path, key, change, missing)

    async def with_retry(self, call: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``call`` until it succeeds, five times at most, with random pauses that grow.

        Requests are tried again by themselves; this is for what is made of several, and can be done anew:
        again after `TEMPORARY` errors (network, 5xx, throttling, 409), which may go away.

        Raises:
            Exception: That of the last call, or one that would not go away.

        Example:
            >>> (await provider.with_retry(provider.copy_node, "a", "b")).files
            1
        """
        for attempt in range(1, RETRIES):
            try:
                return await call(*args, **kwargs)
            except TEMPORARY:
                await asyncio.sleep(pause_after(attempt))
        return await call(*args, **kwargs)

    async def _update_once(self, path: str, key: str, change: Change, missing: bytes | None) -> NodeInfo:
        volume = self._volume
        head: ObjectHead | None = None
        try:
            old, head = await self._read(path, key, volume.reading)
        except NotFound as error:
            if missing is None or error.code == "NoSuchBucket":
                raise
            old = missing
        new = change(old)
        if inspect.isawaitable(new):
            new = await new
        check_bytes(new)
        if head is None:
            return await self._write(key, new, volume.put_options(key, {}), ABSENT)
        if new == old:
            return volume.described(head, key[len(volume.prefix) :])
        return await self._write(key, new, await self._same(head), head.etag)

    async def _same(self, head: ObjectHead) -> PutOptions:
        """Return what a file has, for its next content to have it too."""
        volume = self._volume
        metadata = dict(volume.described(head, "").metadata)
        put = rewritten(volume, head, metadata)
        if head.tag_count:
            put = replace(put, tags=await volume.store.get_tags(head.key))
        return put


def pause_after(attempt: int) -> float:
    """Return the seconds to wait after failed call number ``attempt``."""
    return full_jitter(attempt, _RETRY_BASE, random=random.random)
