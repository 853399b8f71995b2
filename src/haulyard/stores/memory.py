"""A store in a dictionary: for tests, and as the shortest reading of the port's contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Self

from haulyard.errors import StoreError
from haulyard.models import (
    ByteRange,
    DeleteOptions,
    DeleteOutcome,
    ListPage,
    ObjectAttributes,
    PutResult,
    UploadInfo,
    VersionPage,
)
from haulyard.stores.acl import canned_acl
from haulyard.stores.base import COPY, DELETE, GET, LIST, PART, PUT, Capabilities
from haulyard.stores.bodies import CHUNK, chunks_of
from haulyard.stores.conditions import check_read, check_write, resolve_range
from haulyard.stores.memory_state import KIND, Upload, Version, Versions, checksum_of_content, md5, not_found
from haulyard.stores.optional import OptionalOperations, unsupported
from haulyard.stores.pages import fold, pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from haulyard.models import (
        Checksum,
        CopyOptions,
        CopySource,
        DeleteItem,
        GetOptions,
        ListOptions,
        ObjectAcl,
        ObjectHead,
        PartInfo,
        PartOptions,
        PutOptions,
    )
    from haulyard.models.body import Body


class MemoryReader:
    """An object of a `MemoryStore` being read; a later write does not change what it reads."""

    def __init__(self, head: ObjectHead, data: memoryview, span: ByteRange) -> None:
        self.head = head
        self.range = span
        self._left = data

    async def chunks(self) -> AsyncIterator[memoryview]:
        """Yield the bytes, 1 MiB at a time."""
        while self._left:
            chunk, self._left = self._left[:CHUNK], self._left[CHUNK:]
            yield chunk

    async def read(self) -> bytes:
        """Return what was not yet read."""
        data, self._left = bytes(self._left), self._left[:0]
        return data

    async def close(self) -> None:
        """Drop the rest."""
        self._left = self._left[:0]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class MemoryStore(OptionalOperations):
    """Objects in a dictionary, with everything that S3 has but archives, encryption and presigned URLs.

    ``versioned`` keeps what is overwritten or deleted. ``min_part_size`` (bytes) is S3's unless given.
    ETags are made as S3 makes them. Copies have their source in this store.
    """

    kind = KIND

    def __init__(
        self,
        bucket: str = "memory",
        *,
        versioned: bool = False,
        min_part_size: int = 5 * 1024**2,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.bucket = bucket
        self.name = f"memory://{bucket}"
        self.identity = self.service = f"memory:{id(self)}"
        self.capabilities = Capabilities(
            conditional_put=True,
            conditional_copy=True,
            conditional_delete=True,
            conditional_batch_delete=True,
            versions=True,
            tags=True,
            acl=True,
            metadata=True,
            checksums=True,
            multipart=True,
            copy_part=True,
            batch_delete=True,
            ordered_listing=True,
            min_part_size=min_part_size,
        )
        self._clock = clock
        self._versions = Versions(clock, kept=versioned)
        self._uploads: dict[str, Upload] = {}
        self._serial = count(1)

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        """Describe one object."""
        return self._read(key, options, "head").head

    async def get(self, key: str, options: GetOptions = GET) -> MemoryReader:
        """Open one object, a range or a part of it."""
        version = self._read(key, options, "get")
        span = resolve_range(options.range, version.head.size, store=KIND, key=key)
        if options.part_number:
            span = _span_of_part(version, options.part_number)
        return MemoryReader(version.head, memoryview(version.data)[span.start : span.end], span)

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        """Write one object."""
        _refuse(options, "put", key)
        data = await _content(body)
        self._check_write(key, options, "put")
        checksum = checksum_of_content(data, options.checksum, options.checksum_algorithm, key)
        return self._add(key, data, checksum, options)

    async def delete(self, key: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        """Remove one object or version; where versions are kept, the former leaves a marker."""
        current = self._versions.current(key)
        if options.if_match and current is not None:
            _check(current.head.etag, options.if_match, "", "delete", key)
        if options.version_id:
            gone = self._versions.drop(key, options.version_id)
            is_marker = gone is not None and gone.is_marker
            return DeleteOutcome(key, options.version_id, is_marker, options.version_id if is_marker else "")
        marker = self._versions.bury(key)
        return DeleteOutcome(key, "", bool(marker), marker)

    async def delete_many(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        """Remove any number of keys."""
        outcomes = []
        for item in items:
            try:
                options = DeleteOptions(version_id=item.version_id, if_match=item.if_match)
                outcomes.append(await self.delete(item.key, options))
            except StoreError as error:
                outcomes.append(DeleteOutcome(item.key, item.version_id, error=error))
        return outcomes

    async def copy(self, source: CopySource, key: str, options: CopyOptions = COPY) -> PutResult:
        """Copy inside the store."""
        put = options.put
        _refuse(put, "copy", key)
        origin = self._source(source, "copy")
        self._check_write(key, put, "copy")
        if not options.replace_metadata:
            head = origin.head
            put = replace(
                put,
                content_type=head.content_type,
                content_encoding=head.content_encoding,
                content_disposition=head.content_disposition,
                content_language=head.content_language,
                cache_control=head.cache_control,
                expires=head.expires,
                metadata=head.metadata,
            )
        if not options.replace_tags:
            put = replace(put, tags=origin.tags)
        checksum = checksum_of_content(origin.data, None, put.checksum_algorithm, key)
        return self._add(key, origin.data, checksum, put)

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        """Yield pages of objects, in UTF-8 byte order."""
        entries = fold(self._versions.objects(prefix, options.start_after), prefix, options.delimiter)
        for objects, prefixes in pages(entries, options.page_size):
            yield ListPage(objects, prefixes)

    async def list_versions(
        self, prefix: str = "", options: ListOptions = LIST
    ) -> AsyncIterator[VersionPage]:
        """Yield pages of versions and delete markers, newest first for each key."""
        entries = fold(self._versions.all(prefix, options.start_after), prefix, options.delimiter)
        for versions, prefixes in pages(entries, options.page_size):
            yield VersionPage(versions, prefixes)

    async def create_multipart(self, key: str, options: PutOptions = PUT) -> str:
        """Begin a multipart upload."""
        _refuse(options, "create_multipart", key)
        upload_id = f"upload{next(self._serial)}"
        self._uploads[upload_id] = Upload(key, options, self._clock())
        return upload_id

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Body, options: PartOptions = PART
    ) -> PartInfo:
        """Write one part."""
        data = await _content(body)
        checksum = checksum_of_content(data, options.checksum, options.checksum_algorithm, key)
        return self._upload(key, upload_id, "put_part").add(number, data, checksum, self._clock())

    async def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source: CopySource,
        source_range: ByteRange,
        options: PartOptions = PART,
    ) -> PartInfo:
        """Write one part from a range of an object."""
        origin = self._source(source, "copy_part")
        span = resolve_range(source_range, origin.head.size, store=KIND, key=source.key)
        data = origin.data[span.start : span.end]
        checksum = checksum_of_content(data, None, options.checksum_algorithm, key)
        return self._upload(key, upload_id, "copy_part").add(number, data, checksum, self._clock())

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[PartInfo], options: PutOptions = PUT
    ) -> PutResult:
        """Make the object of its parts."""
        upload = self._upload(key, upload_id, "complete_multipart")
        data, etag, stored = upload.assemble(parts, self.capabilities.min_part_size)
        self._check_write(key, options, "complete_multipart")
        algorithm = options.checksum_algorithm or upload.options.checksum_algorithm
        checksum = checksum_of_content(data, options.checksum, algorithm, key)
        del self._uploads[upload_id]
        return self._add(key, data, checksum, upload.options, etag, stored)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Give the upload up."""
        upload = self._uploads.get(upload_id)
        if upload is not None and upload.key == key:
            del self._uploads[upload_id]

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[PartInfo]:
        """Yield the uploaded parts in order."""
        upload = self._upload(key, upload_id, "list_parts")
        for number in sorted(upload.parts):
            yield upload.parts[number][0]

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """Yield the uploads under way, by key."""
        for upload_id, upload in sorted(self._uploads.items(), key=lambda item: (item[1].key, item[0])):
            if upload.key.startswith(prefix):
                yield UploadInfo(
                    upload.key, upload_id, upload.initiated, upload.options.storage_class or "STANDARD"
                )

    async def get_tags(self, key: str, version_id: str = "") -> dict[str, str]:
        """Return the object's tags."""
        return dict(self._versions.find(key, version_id, "get_tags").tags)

    async def set_tags(self, key: str, tags: Mapping[str, str], version_id: str = "") -> None:
        """Replace the object's tags."""
        version = self._versions.find(key, version_id, "set_tags")
        version.tags = dict(tags)
        version.head = version.head._replace(tag_count=len(tags))

    async def get_acl(self, key: str, version_id: str = "") -> ObjectAcl:
        """Return owner and grants."""
        return self._versions.find(key, version_id, "get_acl").acl

    async def set_acl(self, key: str, acl: str | ObjectAcl, version_id: str = "") -> None:
        """Replace the ACL."""
        version = self._versions.find(key, version_id, "set_acl")
        version.acl = canned_acl(acl) if isinstance(acl, str) else acl

    async def attributes(self, key: str, version_id: str = "") -> ObjectAttributes:
        """Return size, ETag, checksums and parts."""
        version = self._versions.find(key, version_id, "attributes")
        head = version.head
        return ObjectAttributes(
            head.size,
            head.etag,
            head.storage_class,
            head.checksums,
            len(version.parts),
            version.parts,
            head.version_id,
            head.last_modified,
        )

    async def close(self) -> None:
        """Do nothing: a dictionary needs no closing."""

    def _read(self, key: str, options: GetOptions, operation: str) -> Version:
        if options.encryption is not None:
            raise unsupported(KIND, operation, key, "encryption")
        version = self._versions.find(key, options.version_id, operation)
        check_read(version.head, options, store=KIND, operation=operation)
        return version

    def _source(self, source: CopySource, operation: str) -> Version:
        if source.bucket not in {"", self.bucket}:
            raise unsupported(KIND, operation, source.key, "a source in another store")
        version = self._versions.find(source.key, source.version_id, operation)
        _check(version.head.etag, source.etag, "", operation, source.key)
        return version

    def _upload(self, key: str, upload_id: str, operation: str) -> Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise not_found(f"upload {upload_id} of {key}", operation, key)
        return upload

    def _check_write(self, key: str, options: PutOptions, operation: str) -> None:
        current = self._versions.current(key)
        etag = None if current is None else current.head.etag
        _check(etag, options.if_match, options.if_none_match, operation, key)

    def _add(
        self,
        key: str,
        data: bytes,
        checksum: Checksum | None,
        options: PutOptions,
        etag: str = "",
        parts: tuple[PartInfo, ...] = (),
    ) -> PutResult:
        checksums = () if checksum is None else (checksum,)
        head = self._versions.add(key, data, etag or md5(data).hexdigest(), checksums, options, parts)
        return PutResult(head.etag, head.version_id, head.checksums, head.last_modified)


async def _content(body: Body) -> bytes:
    return b"".join([bytes(chunk) async for chunk in chunks_of(body)])


def _check(etag: str | None, if_match: str, if_none_match: str, operation: str, key: str) -> None:
    check_write(
        etag, if_match=if_match, if_none_match=if_none_match, store=KIND, operation=operation, key=key
    )


def _refuse(options: PutOptions, operation: str, key: str) -> None:
    if options.encryption is not None:
        raise unsupported(KIND, operation, key, "encryption")
    if options.website_redirect:
        raise unsupported(KIND, operation, key, "website_redirect")


def _span_of_part(version: Version, number: int) -> ByteRange:
    sizes = [part.size for part in version.parts] or [version.head.size]
    if number > len(sizes):
        raise StoreError(
            f"{version.head.key} has no part {number}",
            store=KIND,
            operation="get",
            key=version.head.key,
            code="InvalidPartNumber",
        )
    start = sum(sizes[: number - 1])
    return ByteRange(start, start + sizes[number - 1])
