"""One object out of a source that can be read only once, of a size that nobody knows: a pipe.

What does not fill a part goes in one request. Everything else becomes a multipart upload whose parts are
held in memory until the store has them, 64 MiB at most; larger parts are spilled to a temporary file, one
being filled while the other is sent. Parts grow, so that the object may: 8 TiB from 8 MiB parts.

A pipe cannot be read again, so an upload that fails is aborted, not kept.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.checksums import checksum_of, combine, composite, hasher, supports_full_object
from haulyard.errors import HaulError, StoreError
from haulyard.events import BytesMoved
from haulyard.models import ByteRange, PartOptions
from haulyard.stores.fate import TOKEN
from haulyard.transfer.files import SourceFile
from haulyard.transfer.multipart import created
from haulyard.transfer.parts import DEFAULT_PART_SIZE, MIB, check_part_size
from haulyard.transfer.workers import Room, first_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit
    from haulyard.models import Checksum, PartInfo, PutOptions, PutResult
    from haulyard.models.body import Body
    from haulyard.stores.base import Store

    #: Fills the buffer from the source and returns how many bytes came: fewer than fit only at its end.
    Fill = Callable[[memoryview], Awaitable[int]]

#: Bytes of parts held in memory; the budget of s3-behaviour.md for unseekable input.
BUDGET: Final = 64 * MIB
#: Parts of one size; the next as many are twice as large.
_GROW_AFTER: Final = 1000


class _Part(NamedTuple):
    """A part, read: its body, its digest, the bytes of the budget that it takes, and how to be rid of it."""

    number: int
    body: Body
    size: int
    digest: bytes
    cost: int
    discard: Callable[[], None]


class UnseekableUpload:
    """The upload of what ``fill`` gives, under one key.

    ``part_size`` in bytes is that of the first parts, 0 for the default; ``algorithm`` is the checksum's,
    ``none`` for none. ``emit`` is told of bytes as parts are finished; ``name`` is the source's name in it.
    Where ``grows`` is false all parts have one size, as Cloudflare R2 wants it, and 10,000 are the most.
    """

    def __init__(
        self,
        fill: Fill,
        store: Store,
        key: str,
        put: PutOptions,
        *,
        part_size: int = 0,
        algorithm: str,
        emit: Emit,
        name: str = "-",
        budget: int = BUDGET,
        grows: bool = True,
    ) -> None:
        check_part_size(part_size, store.capabilities)
        self._fill = fill
        self._store = store
        self._key = key
        self._put = put
        self._first_size = part_size or max(DEFAULT_PART_SIZE, store.capabilities.min_part_size)
        self._algorithm = algorithm
        self._emit = emit
        self._name = name
        self._budget = budget
        self._grows = grows
        self._room = Room(budget)
        self._done: dict[int, tuple[PartInfo, bytes, int]] = {}
        self.size = 0
        """Bytes read so far."""

    async def run(self) -> PutResult:
        """Read to the end of the source and return what the store says of the object."""
        first = await self._read_part(1)
        if first.size < self._part_size(1):
            checksum = self._checksum(first.digest)
            options = replace(self._put, checksum=checksum, checksum_algorithm="" if checksum else "none")
            try:
                result = await self._store.put(self._key, first.body, options)
            finally:
                first.discard()
            self._emit(BytesMoved(self._name, first.size))
            return result
        return await self._in_parts(first)

    async def _in_parts(self, first: _Part) -> PutResult:
        kind = ""
        if self._algorithm != "none":
            kind = "FULL_OBJECT" if supports_full_object(self._algorithm) else "COMPOSITE"
        options = replace(
            self._put,
            metadata={**self._put.metadata, TOKEN: uuid.uuid4().hex},
            checksum_algorithm=self._algorithm,
            checksum_kind=kind,
        )
        creating = asyncio.create_task(created(self._store, self._key, options, self._emit))
        try:
            # One that is cancelled goes on in the store, and nobody would know its id.
            upload_id = await asyncio.shield(creating)
            await self._send_all(upload_id, first)
            parts = [self._done[number][0] for number in sorted(self._done)]
            whole = self._checksum_of_whole()
            final = options if whole is None else replace(options, checksum=whole)
            return await self._store.complete_multipart(self._key, upload_id, parts, final)
        except BaseException:
            # Also where the task is cancelled: nobody could continue what was read from a pipe.
            await asyncio.shield(self._give_up(creating))
            raise

    async def _give_up(self, creating: asyncio.Task[str]) -> None:
        try:
            upload_id = await creating
        except HaulError:
            return
        await self._store.abort_multipart(self._key, upload_id)

    async def _send_all(self, upload_id: str, first: _Part) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                part = first
                while part.size:
                    group.create_task(self._send(upload_id, part))
                    if part.size < self._part_size(part.number):
                        return
                    part = await self._read_part(part.number + 1)
                part.discard()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _send(self, upload_id: str, part: _Part) -> None:
        try:
            checksum = self._checksum(part.digest)
            options = PartOptions(checksum, "" if checksum else "none", self._put.encryption)
            sent = await self._store.put_part(self._key, upload_id, part.number, part.body, options)
            self._done[part.number] = (sent._replace(checksum=checksum), part.digest, part.size)
            self._emit(BytesMoved(self._name, part.size))
        finally:
            part.discard()
            self._room.give(part.cost)

    def _part_size(self, number: int) -> int:
        if not self._grows:
            return self._first_size
        size = self._first_size << (number - 1) // _GROW_AFTER
        return min(size, self._store.capabilities.max_part_size)

    async def _read_part(self, number: int) -> _Part:
        """Wait for room, then read a part; at the end of the source it is shorter, or empty."""
        if number > self._store.capabilities.max_parts:
            raise StoreError(
                f"the stream is longer than {self.size} bytes, the most for parts that begin with "
                f"{self._first_size} bytes",
                operation="put_part",
                key=self._key,
                hint="give a larger --part-size",
            )
        size = self._part_size(number)
        spilled = size > self._budget // 2
        cost = min(size, self._budget // 2)
        await self._room.take(cost)
        part = await (self._spill if spilled else self._hold)(number, size, cost)
        self.size += part.size
        return part

    async def _hold(self, number: int, size: int, cost: int) -> _Part:
        buffer = memoryview(bytearray(size))
        count = await self._fill(buffer)
        content = buffer[:count]
        digest = b""
        if self._algorithm != "none":
            state = hasher(self._algorithm)
            state.update(content)
            digest = state.digest()
        return _Part(number, content, count, digest, cost, lambda: None)

    async def _spill(self, number: int, size: int, cost: int) -> _Part:
        import os
        import tempfile  # only streams of more than 16 GB get here

        spool = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `discard`
        try:
            buffer = memoryview(bytearray(min(MIB, size)))
            written = 0
            while written < size:
                count = await self._fill(buffer[: size - written])
                spool.write(buffer[:count])
                written += count
                if not count:
                    break
            spool.flush()
            file = SourceFile(os.dup(spool.fileno()), self._name)
        except BaseException:
            spool.close()
            raise
        spool.close()
        whole = ByteRange(0, written)
        digest = await file.digest(self._algorithm, whole) if self._algorithm != "none" else b""
        return _Part(number, file.slice(whole), written, digest, cost, file.close)

    def _checksum(self, digest: bytes) -> Checksum | None:
        return checksum_of(self._algorithm, digest) if self._algorithm != "none" else None

    def _checksum_of_whole(self) -> Checksum | None:
        if self._algorithm == "none":
            return None
        finished = [self._done[number] for number in sorted(self._done)]
        if not supports_full_object(self._algorithm):
            return composite(self._algorithm, [digest for _, digest, _ in finished])
        return combine(self._algorithm, [(digest, size) for _, digest, size in finished])
