"""An object that is written on: a new one of its content, copied inside the store, and what is added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import HaulError
from haulyard.models import ByteRange, CopySource, PartOptions

if TYPE_CHECKING:
    from haulyard.models import ObjectHead, PartInfo, PutOptions, PutResult
    from haulyard.models.body import Buffer
    from haulyard.stores.base import Store

#: Bytes of an object that are copied by one request.
_COPIED: Final = 512 * 1024**2


class AppendWriter:
    """Adds to an object that is large enough to be the first parts of another.

    The object is bound to the ETag that it had when it was opened. It is replaced, in one step, at `close`.
    """

    def __init__(self, store: Store, head: ObjectHead, options: PutOptions, part_size: int) -> None:
        self._store = store
        self._head = head
        self._options = options
        self._part_size = part_size
        self._upload_id = ""
        self._parts: list[PartInfo] = []
        self._gathered = bytearray()
        self._result: PutResult | None = None

    @property
    def result(self) -> PutResult:
        """What the store says of the object, once it was closed."""
        if self._result is None:
            raise HaulError(f"{self._head.key} is not written yet", hint="ask after it was closed")
        return self._result

    async def write(self, data: Buffer) -> int:
        """Add ``data``."""
        self._gathered += data
        while len(self._gathered) >= self._part_size:
            await self._send(bytes(memoryview(self._gathered)[: self._part_size]))
            del self._gathered[: self._part_size]
        return len(data)

    async def close(self) -> None:
        """Replace the object, unless nothing was added.

        Raises:
            PreconditionFailed: It was replaced meanwhile, so that nobody knows what was to be added to.
        """
        if not (self._gathered or self._upload_id):
            return
        try:
            if self._gathered:
                await self._send(bytes(self._gathered))
            head = self._head
            self._result = await self._store.complete_multipart(
                head.key, self._upload_id, self._parts, self._options
            )
        except BaseException:
            await self.abort()
            raise
        self._upload_id = ""

    async def abort(self) -> None:
        """Leave the object as it is."""
        upload_id, self._upload_id = self._upload_id, ""
        if upload_id:
            await self._store.abort_multipart(self._head.key, upload_id)

    async def _send(self, data: bytes) -> None:
        if not self._upload_id:
            await self._begin()
        options = PartOptions(encryption=self._options.encryption)
        number = len(self._parts) + 1
        self._parts.append(await self._store.put_part(self._head.key, self._upload_id, number, data, options))

    async def _begin(self) -> None:
        head = self._head
        self._upload_id = await self._store.create_multipart(head.key, self._options)
        source = CopySource(self._store.bucket, head.key, etag=head.etag, encryption=self._options.encryption)
        options = PartOptions(encryption=self._options.encryption)
        # Of equal size: the last of them is none of the object's, and may not be small.
        count = -(-head.size // _COPIED)
        size = -(-head.size // count)
        for number in range(1, count + 1):
            span = ByteRange((number - 1) * size, min(number * size, head.size))
            self._parts.append(
                await self._store.copy_part(head.key, self._upload_id, number, source, span, options)
            )
