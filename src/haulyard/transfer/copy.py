"""One object from store to store: inside the service where both are of one, else through this machine."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.checksums import comparable, compute, verify
from haulyard.errors import IntegrityError, NotFound, PreconditionFailed, SourceChanged
from haulyard.events import TransferDone
from haulyard.models import CopyOptions, CopySource, GetOptions, PartInfo, PartOptions, PutOptions
from haulyard.transfer.guard import looking_at
from haulyard.transfer.items import prefix_of
from haulyard.transfer.multipart import MultipartUpload
from haulyard.transfer.parts import MIB, fits_one_put, plan_parts
from haulyard.transfer.workers import Room

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.models import ByteRange, ObjectHead, PutResult
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item, Job
    from haulyard.transfer.multipart import PartTarget
    from haulyard.transfer.options import TransferOptions
    from haulyard.transfer.parts import PartPlan

#: Part size for parts that are copied inside the store: no byte of them passes through here.
_COPIED_PART: Final = 512 * MIB
#: Bytes held in memory by everything that passes through, all objects of a run together.
HELD: Final = 64 * MIB
_MD5_LENGTH: Final = 32


class _Copied(NamedTuple):
    size: int
    source_etag: str
    result: PutResult
    verified: str


class Copier:
    """Moves objects between stores; call it with one job at a time or with many at once.

    ``room`` is shared by copiers of one run, whose options differ from object to object.
    """

    def __init__(
        self,
        source: Store,
        destination: Store,
        options: TransferOptions,
        emit: Emit,
        room: Room | None = None,
    ) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._emit = emit
        self._from = prefix_of(source)
        self._to = prefix_of(destination)
        self._inside = source.service == destination.service
        self._room = room or Room(HELD)
        # Larger parts, as somebody may want them for uploads, would not be held within that.
        self._part_size = options.part_size if options.part_size <= HELD else 0
        # A store that is known to ignore the condition is looked at before (`haulyard.transfer.guard`).
        capabilities = destination.capabilities
        self._put = _only_new(options.put, options, honoured=capabilities.conditional_put)
        put = _only_new(options.put, options, honoured=capabilities.conditional_copy)
        self._copy_options = CopyOptions(put, options.replace_metadata, options.replace_tags)

    async def __call__(self, job: Job) -> TransferDone:
        """Copy one object; errors are raised, and then nothing of it lies under the destination's name."""
        started = time.monotonic()
        try:
            copied = await self._copy(job)
        except PreconditionFailed as error:
            raise await self._explained(error, job) from error
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
        if item.size < 0 or not item.etag:
            # The size decides between one request and parts, and the ETag binds them to one content.
            head = await self._source.head(item.key, self._reading(item))
            item = item._replace(size=head.size, etag=head.etag)
        if not self._inside:
            return await self._through(item, job.destination)
        source = CopySource(
            self._source.bucket, item.key, item.version_id, item.etag, self._options.source_encryption
        )
        if item.size > self._destination.capabilities.max_put_size:
            return await self._in_copied_parts(item, source, job.destination)
        result = await self._destination.copy(source, job.destination, self._copy_options)
        same = len(item.etag) == _MD5_LENGTH and result.etag == item.etag
        return _Copied(item.size, item.etag, result, "checksum" if same else "size only")

    async def _in_copied_parts(self, item: Item, source: CopySource, key: str) -> _Copied:
        """Copy more than one request may: by ranges, with the properties carried over by hand."""
        head = await self._source.head(item.key, self._reading(item))
        if (head.size, head.etag) != (item.size, item.etag):
            raise PreconditionFailed(f"{item.key} is not what was listed", operation="copy", key=item.key)
        plan = plan_parts(head.size, 0, self._destination.capabilities, preferred=_COPIED_PART)
        parts = _CopiedParts(self._from + item.key, source, head)
        result = await self._upload(parts, head, item, key, plan)
        return _Copied(head.size, head.etag, result, self._compare(head, result))

    async def _through(self, item: Item, key: str) -> _Copied:
        """Read here and write there; what is held in memory is at most a few parts."""
        if not self._fits(item.size):
            head = await self._source.head(item.key, self._reading(item))
            if not self._fits(head.size):
                return await self._through_in_parts(item, head, key)
        async with (
            self._room.held(item.size),
            await self._source.get(item.key, self._reading(item)) as reader,
        ):
            head = reader.head
            if self._fits(head.size):
                data = await reader.read()
                properties = self._with_checksum(await self._properties(head, item), data)
                result = await self._destination.put(key, data, properties)
                return _Copied(head.size, head.etag, result, "checksum" if result.checksums else "size only")
        return await self._through_in_parts(item, head, key)

    async def _through_in_parts(self, item: Item, head: ObjectHead, key: str) -> _Copied:
        plan = plan_parts(head.size, self._part_size, self._destination.capabilities)
        parts = _PassedParts(self._from + item.key, self._source, item, head, self._options, self._room)
        result = await self._upload(parts, head, item, key, plan)
        return _Copied(head.size, head.etag, result, self._compare(head, result))

    async def _upload(
        self, parts: _CopiedParts | _PassedParts, head: ObjectHead, item: Item, key: str, plan: PartPlan
    ) -> PutResult:
        return await MultipartUpload(
            parts,
            self._destination,
            key,
            await self._properties(head, item),
            plan,
            self._options,
            self._emit,
            is_marked=False,  # a copy has the metadata of its source, and no more
            workers=self._options.part_concurrency,
        ).run()

    async def _properties(self, head: ObjectHead, item: Item) -> PutOptions:
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
            tags = await self._source.get_tags(head.key, item.version_id)
            put = replace(put, tags={**tags, **put.tags})
        return put

    def _fits(self, size: int) -> bool:
        return fits_one_put(size, self._part_size, self._destination.capabilities)

    def _with_checksum(self, put: PutOptions, data: bytes) -> PutOptions:
        if self._options.algorithm == "none":
            return replace(put, checksum_algorithm="none")
        return replace(put, checksum=compute(self._options.algorithm, data))

    def _compare(self, head: ObjectHead, result: PutResult) -> str:
        """Compare what both sides say of the content, where they speak of the same thing."""
        for expected in head.checksums:
            for actual in result.checksums:
                # Composite ones also depend on where the parts were cut.
                if expected.kind == "COMPOSITE" or not comparable(expected, actual):
                    continue
                if not verify(expected, actual):
                    raise IntegrityError(
                        f"{self._from}{head.key}: its {expected.algorithm} is {expected.value}, "
                        f"that of the copy {actual.value}",
                        operation="copy",
                        key=head.key,
                        hint="run the command again; the source was not touched",
                    )
                return "checksum"
        return "size only"

    def _reading(self, item: Item) -> GetOptions:
        return GetOptions(version_id=item.version_id, encryption=self._options.source_encryption)

    async def _explained(self, error: PreconditionFailed, job: Job) -> PreconditionFailed | SourceChanged:
        """Tell which side's condition did not hold."""
        if self._options.no_clobber:
            try:
                await self._destination.head(
                    job.destination, looking_at(self._destination, self._put.encryption)
                )
            except NotFound:
                pass
            else:
                return error
        return SourceChanged(
            f"{self._from}{job.item.key} was replaced while it was copied",
            operation="copy",
            key=job.item.key,
            hint="run the command again",
        )


class _CopiedParts:
    """An object of the same service as a `haulyard.transfer.multipart.PartSource`."""

    algorithm = "none"

    def __init__(self, name: str, source: CopySource, head: ObjectHead) -> None:
        self.name = name
        self.identity = _identity_of(head)
        self._source = source

    async def send(self, target: PartTarget, number: int, part: ByteRange) -> PartInfo:
        """Have the store copy one part."""
        options = PartOptions(encryption=target.encryption)
        return await target.store.copy_part(target.key, target.upload_id, number, self._source, part, options)

    def check(self) -> None:
        """Do nothing: each part was bound to the ETag."""


class _PassedParts:
    """An object of another service as a `haulyard.transfer.multipart.PartSource`."""

    def __init__(
        self, name: str, store: Store, item: Item, head: ObjectHead, options: TransferOptions, room: Room
    ) -> None:
        self.name = name
        self.identity = _identity_of(head)
        self.algorithm = options.algorithm
        self._store = store
        self._item = item
        self._head = head
        self._encryption = options.source_encryption
        self._room = room

    async def send(self, target: PartTarget, number: int, part: ByteRange) -> PartInfo:
        """Read one part and write it."""
        reading = GetOptions(
            range=part,
            if_match=self._head.etag,
            version_id=self._item.version_id,
            encryption=self._encryption,
            want_checksum=False,
        )
        async with self._room.held((part.end or 0) - part.start):
            async with await self._store.get(self._item.key, reading) as reader:
                data = await reader.read()
            checksum = None if self.algorithm == "none" else compute(self.algorithm, data)
            options = PartOptions(checksum, "" if checksum else "none", target.encryption)
            sent = await target.store.put_part(target.key, target.upload_id, number, data, options)
        return PartInfo(number, sent.etag, len(data), checksum)

    def check(self) -> None:
        """Do nothing: each part was bound to the ETag."""


def _only_new(put: PutOptions, options: TransferOptions, *, honoured: bool | None) -> PutOptions:
    return replace(put, if_none_match="*") if options.no_clobber and honoured is not False else put


def _identity_of(head: ObjectHead) -> tuple[int | str, ...]:
    # Without an ETag nothing tells that it is still the same.
    return (head.size, head.version_id, head.etag or uuid.uuid4().hex)
