"""Objects as files of an event loop: read once from start to end, or written piece by piece."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, Self, Unpack, overload

from haulyard.client.arguments import Properties, byte_range, check_bytes, checksum_algorithm, put_options
from haulyard.client.cancelling import settle, wait_shielded
from haulyard.client.session import Calls
from haulyard.errors import HaulError
from haulyard.models import GetOptions
from haulyard.transfer.unseekable import UnseekableUpload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.client.arguments import Range
    from haulyard.client.session import Session
    from haulyard.models import Encryption, ObjectHead, PutOptions, PutResult
    from haulyard.models.body import Buffer
    from haulyard.stores.base import ObjectReader

#: Bytes of small writes that are gathered before they are handed on, which costs two switches of tasks.
_GATHERED: Final = 256 * 1024


class FileCalls(Calls):
    """Open objects."""

    @overload
    def open(
        self,
        uri: str,
        mode: Literal["rb"] = "rb",
        *,
        range: Range | None = None,
        version_id: str = "",
        if_match: str = "",
        encryption: Encryption | None = None,
    ) -> AsyncReader: ...

    @overload
    def open(self, uri: str, mode: Literal["wb", "xb"], **properties: Unpack[Properties]) -> AsyncWriter: ...

    def open(
        self,
        uri: str,
        mode: Literal["rb", "wb", "xb"] = "rb",
        *,
        range: Range | None = None,  # noqa: A002 -- as in `get`
        version_id: str = "",
        if_match: str = "",
        **properties: Unpack[Properties],
    ) -> AsyncReader | AsyncWriter:
        """Open an object as a file, in memory that does not grow with its size; use it by ``async with``.

        ``rb`` reads it from start to end: ``read(size)``, or its pieces by ``async for``. A body that breaks
        off is resumed; the checksum is verified at the end.

        ``wb`` writes it: ``write(data)``. What is larger than a part goes up in parts while it is written.
        The object appears, complete, when the block is left; where an error leaves the block nothing appears
        and the upload is aborted. ``xb`` does so only if there is no object of that name.

        Args:
            uri: ``s3://bucket/key``.
            mode: ``rb``, ``wb`` or ``xb``.
            range: For reading: the bytes ``(start, end)``, as in `get`.
            version_id: For reading: a version instead of the current object.
            if_match: For reading: only the object with this ETag.
            properties: For writing: what the object gets; see `Properties`. For reading: ``encryption``.

        Raises:
            NotFound: There is nothing to read.
            PreconditionFailed: ``xb``, and there is an object; or ``if_match`` does not hold.

        Example:
            >>> async with client.open("s3://demo/numbers.txt", "wb") as file:
            ...     for number in (1, 2, 3):
            ...         size = await file.write(f"{number};".encode())
            >>> async with client.open("s3://demo/numbers.txt") as file:
            ...     print(file.head.size, await file.read(2))
            6 b'1;'
        """
        if mode == "rb":
            key = key_alone(properties)
            options = GetOptions(byte_range(range), if_match, version_id=version_id, encryption=key)
            return AsyncReader(self._session, uri, options)
        if mode not in {"wb", "xb"}:
            raise ValueError(f"{mode!r} is no mode of an object: rb, wb or xb")
        refuse_reading(range, version_id, if_match)
        put = put_options(properties, uri)
        return AsyncWriter(self._session, uri, replace(put, if_none_match="*") if mode == "xb" else put)


class AsyncReader:
    """An object, or a range of it, being read once; made by `AsyncClient.open`."""

    def __init__(self, session: Session, uri: str, options: GetOptions) -> None:
        self._session = session
        self._uri = uri
        self._options = options
        self._reader: ObjectReader | None = None
        self._chunks: AsyncIterator[Buffer] | None = None
        self._rest = memoryview(b"")

    @property
    def head(self) -> ObjectHead:
        """What the store says of the whole object: size in bytes, ETag, metadata."""
        return self._opened().head

    async def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end; all that is left if ``size`` is negative.

        Raises:
            IntegrityError: What arrived is not what was stored.
            PreconditionFailed: The object was replaced while it was read.
        """
        reader = self._opened()
        if size < 0 and self._chunks is None:
            return await reader.read()
        pieces: list[Buffer] = []
        while size:
            if not self._rest:
                chunk = await anext(self._pieces(reader), None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
            piece = self._rest if size < 0 else self._rest[:size]
            self._rest = self._rest[len(piece) :]
            size -= len(piece) if size > 0 else 0
            pieces.append(piece)
        return b"".join(pieces)

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        """Yield what is left in pieces as they arrive; take a copy (``bytes(piece)``) of what is kept."""
        reader = self._opened()
        if self._rest:
            rest, self._rest = self._rest, memoryview(b"")
            yield rest
        async for chunk in self._pieces(reader):
            yield chunk

    async def close(self) -> None:
        """Give up the rest; closing twice is harmless."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()

    async def __aenter__(self) -> Self:
        place = self._session.object(self._uri, self._options.version_id)
        options = replace(self._options, version_id=place.version_id)
        self._reader = await place.store.get(place.key, options)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _opened(self) -> ObjectReader:
        if self._reader is None:
            raise HaulError(f"{self._uri} is not open", hint="read it inside its `async with` block")
        return self._reader

    def _pieces(self, reader: ObjectReader) -> AsyncIterator[Buffer]:
        if self._chunks is None:
            self._chunks = reader.chunks()
        return self._chunks


class AsyncWriter:
    """An object being written piece by piece; made by `AsyncClient.open`.

    ``part_size`` in bytes is that of the first parts; 0 for that of the settings. Later ones are larger
    unless ``grows`` is false.
    """

    def __init__(
        self, session: Session, uri: str, options: PutOptions, *, part_size: int = 0, grows: bool = True
    ) -> None:
        self._grows = grows
        self._part_size = part_size or session.settings.part_size
        self._session = session
        self._uri = uri
        self._options = options
        self._pipe = _Pipe()
        self._gathered = bytearray()
        self._upload: asyncio.Task[PutResult] | None = None
        self._is_broken = False
        self._result: PutResult | None = None

    @property
    def result(self) -> PutResult:
        """What the store says of the object (ETag, version, checksums), once the block was left."""
        if self._result is None:
            raise HaulError(f"{self._uri} is not written yet", hint="ask after its `async with` block")
        return self._result

    async def write(self, data: Buffer) -> int:
        """Add ``data`` and return its length in bytes; waits while the store is slower than the writer.

        Raises:
            S3Error: The upload failed. The block then has to be left by that error.
        """
        check_bytes(data)
        upload = self._running()
        view = memoryview(data).cast("B")
        if len(self._gathered) + len(view) < _GATHERED:
            self._gathered += view
            return len(view)
        # Until the end of this nobody knows how much of it was taken.
        self._is_broken = True
        await self._flush(upload)
        await self._pipe.send(view)
        _raise_failure(upload)
        self._is_broken = False
        return len(view)

    async def close(self) -> None:
        """Complete the object; closing twice is harmless.

        Raises:
            S3Error: The upload failed.
            HaulError: A write was interrupted, so that nobody knows what is missing; nothing appears.
        """
        upload = self._upload
        if upload is None:
            return
        try:
            _raise_failure(upload)
            if self._is_broken:
                raise HaulError(
                    f"a write to {self._uri} was interrupted; nothing appears",
                    hint="write the object anew",
                )
            await self._flush(upload)
            self._pipe.end()
            self._result = await settle(upload)
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Give the upload up: nothing appears under the object's name. Harmless after `close`."""
        upload, self._upload = self._upload, None
        if upload is None:
            return
        if not upload.done():
            upload.cancel()
            await wait_shielded(upload)
        if not upload.cancelled():
            # Looked at, so that asyncio does not complain that nobody did.
            upload.exception()

    async def __aenter__(self) -> Self:
        session = self._session
        place = session.object(self._uri)
        if self._options.if_none_match:
            place = await session.proved(place)
        upload = UnseekableUpload(
            self._pipe.fill,
            place.store,
            place.key,
            self._options,
            part_size=self._part_size,
            grows=self._grows,
            algorithm=checksum_algorithm(session.settings),
            emit=session.emit,
            name=self._uri,
        )
        self._upload = asyncio.create_task(upload.run())
        self._upload.add_done_callback(lambda _: self._pipe.close())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        await (self.close() if kind is None else self.abort())

    def _running(self) -> asyncio.Task[PutResult]:
        if self._upload is None:
            raise HaulError(f"{self._uri} is not open", hint="write it inside its `async with` block")
        return self._upload

    async def _flush(self, upload: asyncio.Task[PutResult]) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, bytearray()
            await self._pipe.send(memoryview(gathered))
        _raise_failure(upload)


class _Pipe:
    """Hands bytes from one task to another without holding a copy of them."""

    def __init__(self) -> None:
        self._view = memoryview(b"")
        self._is_over = self._is_closed = False
        self._given = asyncio.Event()
        self._taken = asyncio.Event()

    async def send(self, view: memoryview) -> None:
        """Wait until all of ``view`` was taken, or the other side is closed."""
        if not view or self._is_closed:
            return
        self._view = view
        self._taken.clear()
        self._given.set()
        try:
            await self._taken.wait()
        finally:
            # A buffer that nobody waits for any more may be changed by its owner.
            self._view = memoryview(b"")

    async def fill(self, into: memoryview) -> int:
        """Take as many bytes as fit and return their number, fewer only at the end."""
        at = 0
        while at < len(into):
            if not self._view:
                if self._is_over:
                    break
                self._given.clear()
                await self._given.wait()
                continue
            piece = self._view[: len(into) - at]
            into[at : at + len(piece)] = piece
            at += len(piece)
            self._view = self._view[len(piece) :]
            if not self._view:
                self._taken.set()
        return at

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self._is_over = True
        self._given.set()

    def close(self) -> None:
        """Say that nothing more will be taken."""
        self._is_closed = True
        self._taken.set()


def _raise_failure(upload: asyncio.Task[PutResult]) -> None:
    if upload.done() and not upload.cancelled() and (error := upload.exception()) is not None:
        raise error


def key_alone(properties: Properties) -> Encryption | None:
    """Return the SSE-C key, the only property that reading has a use for.

    Raises:
        TypeError: There are others.
    """
    if others := properties.keys() - {"encryption"}:
        raise TypeError(f"{', '.join(sorted(others))}: only for writing")
    return properties.get("encryption")


def refuse_reading(span: Range | None, version_id: str, if_match: str) -> None:
    """Raise TypeError if anything is given that writing has no use for."""
    if span is not None or version_id or if_match:
        raise TypeError("range, version_id and if_match are for reading")
