"""One object from store to store: inside the service where both are of one, else through this machine."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from haulyard.checksums import comparable, compute, verify
from haulyard.errors import IntegrityError, PreconditionFailed, SourceChanged
from haulyard.events import BytesMoved, TransferDone
from haulyard.models import (
    CopyOptions,
    CopySource,
    GetOptions,
    PartInfo,
    PartOptions,
    PutOptions,
)
from haulyard.transfer.items import prefix_of
from haulyard.transfer.parts import fits_one_put, plan_parts
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit
    from haulyard.models import ByteRange, ObjectHead, PutResult
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item, Job
    from haulyard.transfer.options import TransferOptions

#: Part size for parts that are copied inside the store: no byte of them passes through here.
_COPIED_PART = 512 * 1024**2
#: Parts of one object that are held in memory while they pass through: with 8 MiB each, 32 MiB.
_HELD_PARTS = 4


class _Copied(NamedTuple):
    size: int
    source_etag: str
    result: PutResult
    verified: str


class Copier:
    """Moves objects between stores; call it with one job at a time or with many at once."""

    def __init__(self, source: Store, destination: Store, options: TransferOptions, emit: Emit) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._emit = emit
        self._from = prefix_of(source)
        self._to = prefix_of(destination)
        self._inside = source.service == destination.service
        put = options.put
        if options.no_clobber:
            put = replace(put, if_none_match="*")
        self._put = put
        self._copy_options = CopyOptions(put, options.replace_metadata, options.replace_tags)

    async def __call__(self, job: Job) -> TransferDone:
        """Copy one object; errors are raised, and then nothing of it lies under the destination's name."""
        started = time.monotonic()
        try:
            copied = await self._copy(job)
        except PreconditionFailed as error:
            raise self._explained(error, job) from error
        return TransferDone(
            "copy",
            self._from + job.item.key,
            self._to + job.destination,
            copied.size,
            time.monotonic() - started,
            copied.verified,
            copied.result.etag,
            copied.result.version_id,
            source_etag=copied.source_etag,
        )

    async def _copy(self, job: Job) -> _Copied:
        item = job.item
        if not self._inside:
            return await self._through(item, job.destination)
        if item.size < 0:
            # A size decides between one request and parts; a manifest does not say it.
            head = await self._source.head(item.key, self._reading(item.version_id))
            item = item._replace(size=head.size, etag=head.etag)
        source = CopySource(
            self._source.bucket, item.key, item.version_id, item.etag, self._options.source_encryption
        )
        if item.size <= self._destination.capabilities.max_put_size:
            result = await self._destination.copy(source, job.destination, self._copy_options)
            # The store copied it by itself, whole, from the ETag that was asked for.
            return _Copied(item.size, item.etag, result, "checksum" if result.checksums else "size only")
        result = await self._copy_parts(item, source, job.destination)
        return _Copied(item.size, item.etag, result, "size only")

    async def _copy_parts(self, item: Item, source: CopySource, key: str) -> PutResult:
        """Copy more than one request may: by ranges, with the properties carried over by hand."""
        head = await self._source.head(item.key, self._reading(item.version_id))
        properties = await self._properties(head, item.version_id)
        plan = plan_parts(head.size, 0, self._destination.capabilities, preferred=_COPIED_PART)

        async def copy_part(upload_id: str, number: int) -> PartInfo:
            options = PartOptions(encryption=properties.encryption)
            part = await self._destination.copy_part(
                key, upload_id, number, source, plan.range(number), options
            )
            self._moved(item, plan.range(number))
            return part

        return await self._in_parts(key, properties, plan.count, copy_part, self._options.part_concurrency)

    async def _through(self, item: Item, key: str) -> _Copied:
        """Read here and write there; what is held is at most a few parts."""
        async with await self._source.get(item.key, self._reading(item.version_id)) as reader:
            head = reader.head
            properties = await self._properties(head, item.version_id)
            if fits_one_put(head.size, self._options.part_size, self._destination.capabilities):
                data = await reader.read()
                properties = self._with_checksum(properties, data)
                result = await self._destination.put(key, data, properties)
                return _Copied(head.size, head.etag, result, self._compare(head, result))
        plan = plan_parts(head.size, self._options.part_size, self._destination.capabilities)

        async def send_part(upload_id: str, number: int) -> PartInfo:
            part_range = plan.range(number)
            data = await self._read_part(head, part_range, item.version_id)
            checksum = None if self._options.algorithm == "none" else compute(self._options.algorithm, data)
            options = PartOptions(checksum, "" if checksum else "none", properties.encryption)
            part = await self._destination.put_part(key, upload_id, number, data, options)
            self._moved(item, part_range)
            return PartInfo(number, part.etag, len(data), checksum)

        workers = min(_HELD_PARTS, self._options.part_concurrency)
        result = await self._in_parts(key, properties, plan.count, send_part, workers)
        return _Copied(head.size, head.etag, result, self._compare(head, result))

    async def _in_parts(
        self,
        key: str,
        properties: PutOptions,
        count: int,
        send: Callable[[str, int], Awaitable[PartInfo]],
        workers: int,
    ) -> PutResult:
        """Run a multipart upload to its end, or abort it: copies are not continued but begun anew."""
        upload_id = await self._destination.create_multipart(key, properties)
        parts: dict[int, PartInfo] = {}
        numbers = iter(range(1, count + 1))

        async def work() -> None:
            for number in numbers:
                parts[number] = await send(upload_id, number)

        try:
            await run_workers(work, min(workers, count))
            ordered = [parts[number] for number in range(1, count + 1)]
            return await self._destination.complete_multipart(key, upload_id, ordered, properties)
        except BaseException:
            await self._destination.abort_multipart(key, upload_id)
            raise

    async def _read_part(self, head: ObjectHead, part_range: ByteRange, version_id: str) -> bytes:
        options = GetOptions(
            range=part_range,
            if_match=head.etag,
            version_id=version_id,
            encryption=self._options.source_encryption,
            want_checksum=False,
        )
        async with await self._source.get(head.key, options) as reader:
            return await reader.read()

    async def _properties(self, head: ObjectHead, version_id: str) -> PutOptions:
        """Return what the destination gets: the source's own properties, unless they are to be replaced."""
        put = self._put
        if not self._options.replace_metadata:
            put = replace(
                put,
                content_type=put.content_type or head.content_type,
                content_encoding=put.content_encoding or head.content_encoding,
                content_disposition=put.content_disposition or head.content_disposition,
                content_language=put.content_language or head.content_language,
                cache_control=put.cache_control or head.cache_control,
                expires=put.expires or head.expires,
                metadata=put.metadata or head.metadata,
            )
        tags_kept = self._source.capabilities.tags and self._destination.capabilities.tags
        if head.tag_count and tags_kept and not self._options.replace_tags:
            tags = await self._source.get_tags(head.key, version_id)
            put = replace(put, tags={**tags, **put.tags})
        return put

    def _with_checksum(self, put: PutOptions, data: bytes) -> PutOptions:
        if self._options.algorithm == "none":
            return replace(put, checksum_algorithm="none")
        return replace(put, checksum=compute(self._options.algorithm, data))

    def _compare(self, head: ObjectHead, result: PutResult) -> str:
        """Compare what both sides say of the content, where they speak of the same thing."""
        for expected in head.checksums:
            for actual in result.checksums:
                if not comparable(expected, actual):
                    continue
                if not verify(expected, actual):
                    raise IntegrityError(
                        f"{self._source.name}/{head.key}: its {expected.algorithm} is {expected.value}, "
                        f"that of the copy {actual.value}",
                        operation="copy",
                        key=head.key,
                        hint="Run the command again; the source was not touched.",
                    )
                return "checksum"
        return "checksum" if result.checksums else "size only"

    def _reading(self, version_id: str) -> GetOptions:
        return GetOptions(version_id=version_id, encryption=self._options.source_encryption)

    def _moved(self, item: Item, part_range: ByteRange) -> None:
        self._emit(BytesMoved(self._from + item.key, (part_range.end or 0) - part_range.start))

    def _explained(self, error: PreconditionFailed, job: Job) -> PreconditionFailed | SourceChanged:
        if self._options.no_clobber:
            return error
        return SourceChanged(
            f"{self._source.name}/{job.item.key} was replaced while it was copied",
            operation="copy",
            key=job.item.key,
            hint="Run the command again.",
        )
