"""One object of several: what is large enough is copied inside the store, what is not passes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.fs.fsspec.workers import each_of
from haulyard.models import ByteRange, CopySource, GetOptions, PartOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.models import Encryption, ObjectHead, PartInfo, PutOptions, PutResult
    from haulyard.stores.base import Store

#: Bytes of an object that are copied by one request.
_COPIED: Final = 512 * 1024**2


class Span(NamedTuple):
    """Bytes ``start`` up to ``end`` of the object of that number."""

    number: int
    start: int
    end: int

    @property
    def size(self) -> int:
        """How many they are."""
        return self.end - self.start


def plan(sizes: Sequence[int], least: int, most: int = _COPIED) -> list[list[Span]]:
    """Return the parts of an object that objects of these sizes make, one after the other.

    A part of one span is copied; one of several passes through this machine. All but the last have ``least``
    bytes, and what is copied at once has ``most`` at the most.
    """
    parts: list[list[Span]] = []
    gathered: list[Span] = []
    for number, size in enumerate(sizes):
        start = 0
        if gathered and size:
            # A part that has begun is filled up, and no more: the rest may be copied.
            start = min(size, least - sum(span.size for span in gathered))
            gathered.append(Span(number, 0, start))
            if sum(span.size for span in gathered) < least:
                continue
            parts.append(gathered)
            gathered = []
        rest = size - start
        if rest >= least:
            count = -(-rest // most)
            ends = [start + rest * (at + 1) // count for at in range(count)]
            parts += [[Span(number, *each)] for each in zip([start, *ends[:-1]], ends, strict=True)]
        elif rest:
            gathered = [Span(number, start, size)]
    return [*parts, gathered] if gathered else parts


class Source(NamedTuple):
    """An object that is merged: where it lies, and what it was when that was asked."""

    store: Store
    head: ObjectHead
    version_id: str = ""


class Merger:
    """Merges ``sources`` into an object of ``store``, ``workers`` parts at a time."""

    def __init__(
        self, store: Store, key: str, sources: Sequence[Source], encryption: Encryption | None, workers: int
    ) -> None:
        self._store = store
        self._key = key
        self._sources = sources
        #: Of the sources: the SSE-C key, if there is one.
        self._encryption = encryption
        self._workers = workers

    async def run(self, options: PutOptions) -> PutResult:
        """Write the object; where that fails nothing of it appears, and no part stays.

        Raises:
            PreconditionFailed: A source was replaced meanwhile.
            StoreError: More than the 10,000 parts that an object may have.
        """
        store = self._store
        parts = plan([each.head.size for each in self._sources], store.capabilities.min_part_size)
        if not parts or (len(parts) == 1 and parts[0][0].size < store.capabilities.min_part_size):
            return await store.put(self._key, await self._read(parts[0] if parts else ()), options)
        upload_id = await store.create_multipart(self._key, options)

        async def send(number: int) -> PartInfo:
            return await self._send(
                upload_id, number, parts[number - 1], PartOptions(encryption=options.encryption)
            )

        try:
            sent = await each_of(range(1, len(parts) + 1), send, self._workers, stop=True)
            infos = [each for each in sent if not isinstance(each, Exception)]
            return await store.complete_multipart(self._key, upload_id, infos, options)
        except BaseException:
            await store.abort_multipart(self._key, upload_id)
            raise

    async def _send(self, upload_id: str, number: int, spans: list[Span], options: PartOptions) -> PartInfo:
        store = self._store
        if len(spans) > 1 or spans[0].size < store.capabilities.min_part_size:
            return await store.put_part(self._key, upload_id, number, await self._read(spans), options)
        span = spans[0]
        source = self._sources[span.number]
        copied = CopySource(
            source.store.bucket, source.head.key, source.version_id, source.head.etag, self._encryption
        )
        within = ByteRange(span.start, span.end)
        return await store.copy_part(self._key, upload_id, number, copied, within, options)

    async def _read(self, spans: Sequence[Span]) -> bytes:
        """Return what passes through here: less than two parts of the least size."""
        found = []
        for span in spans:
            source = self._sources[span.number]
            wanted = GetOptions(
                range=ByteRange(span.start, span.end),
                if_match=source.head.etag,
                version_id=source.version_id,
                encryption=self._encryption,
                want_checksum=False,
            )
            async with await source.store.get(source.head.key, wanted) as reader:
                found.append(await reader.read())
        return b"".join(found)
