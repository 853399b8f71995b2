"""The methods that write and copy: from memory, from files of this machine, from other objects."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fsspec.asyn import sync_wrapper
from fsspec.callbacks import DEFAULT_CALLBACK

from haulyard.client.arguments import check_bytes
from haulyard.client.cancelling import cancelled_once
from haulyard.client.files import AsyncWriter
from haulyard.errors import NotFound, PreconditionFailed
from haulyard.events import BytesMoved
from haulyard.fs.fsspec.appending import AppendWriter
from haulyard.fs.fsspec.buckets import into_bucket
from haulyard.fs.fsspec.errors import exists_error, os_errors
from haulyard.fs.fsspec.options import checked_concurrency
from haulyard.fs.fsspec.reading import LARGE, ReadingMethods
from haulyard.fs.fsspec.transactions import Deferred
from haulyard.fs.fsspec.workers import each_of
from haulyard.models import ByteRange, Encryption, GetOptions
from haulyard.models.body import body_size
from haulyard.stores.fate import TOKEN
from haulyard.stores.local import LocalStore
from haulyard.transfer.items import Item, Job
from haulyard.transfer.parts import DEFAULT_PART_SIZE
from haulyard.transfer.upload import Uploader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsspec.callbacks import Callback

    from haulyard.events import Event
    from haulyard.fs.fsspec.base import Target
    from haulyard.models import ObjectHead, PutOptions, PutResult
    from haulyard.models.body import Buffer

#: Bytes of a file that are handed on at once where a transaction holds it back.
_PIECE = 1024 * 1024


class WritingMethods(ReadingMethods):
    """The methods that write."""

    @os_errors
    @into_bucket
    @cancelled_once
    async def _pipe_file(
        self,
        path: str,
        value: Buffer,
        mode: str = "overwrite",
        chunksize: int | None = None,
        **properties: Any,
    ) -> dict[str, Any]:
        check_bytes(value)
        target = self._object(path)
        options = self._put_options(properties, target.key, mode)
        if self._intrans:
            writer = await self._written_back(path, target, options)
            await writer.write(value)
            return {}
        store = self._store(target.bucket)
        if options.if_none_match:
            store = await self._proved(target.bucket, target.key)
        try:
            if body_size(value) <= LARGE:
                return _answer(await store.put(target.key, value, options))
            async with await self._writer(target, options, chunksize or 0) as writer:
                await writer.write(value)
            return _answer(writer.result)
        except PreconditionFailed as error:
            raise exists_error(path) from error
        finally:
            self._forget(path)

    async def _pipe(
        self,
        path: str | dict[str, Buffer],
        value: Buffer | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        items = list(path.items()) if isinstance(path, dict) else [(path, value)]

        async def write(item: tuple[str, Any]) -> dict[str, Any]:
            return await self._pipe_file(*item, **kwargs)

        return await each_of(items, write, self._workers(batch_size), stop=True)

    async def _put(self, lpath: Any, rpath: str | list[str], *args: Any, **kwargs: Any) -> Any:
        """Upload files; whether into a directory is asked of the store."""
        self._ask_anew(rpath)
        return await super()._put(lpath, rpath, *args, **kwargs)

    @os_errors
    @into_bucket
    @cancelled_once
    async def _put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        chunksize: int | None = None,
        max_concurrency: int | None = None,
        **properties: Any,
    ) -> None:
        if os.path.isdir(lpath):
            await self._makedirs(rpath, exist_ok=True)
            return
        target = self._object(rpath)
        options = self._put_options(properties, target.key, mode)
        parts = checked_concurrency(max_concurrency)
        size = os.path.getsize(lpath)
        callback.set_size(size)
        if self._intrans:
            await self._hold_file(lpath, rpath, options, callback)
            return
        store = self._store(target.bucket)
        if options.if_none_match:
            store = await self._proved(target.bucket, target.key)
        moved = 0

        def tell(event: Event) -> None:
            nonlocal moved
            if isinstance(event, BytesMoved):
                moved += event.size
                callback.relative_update(event.size)

        directory, name = os.path.split(os.path.abspath(lpath))
        local = LocalStore(directory)
        try:
            upload = Uploader(local, store, self._transfer_options(options, chunksize or 0, parts), tell)
            done = await upload(Job(Item(name, size), target.key))
        except PreconditionFailed as error:
            raise exists_error(rpath) from error
        finally:
            await local.close()
            self._forget(rpath)
        callback.relative_update(done.size - moved)

    @os_errors
    @cancelled_once
    async def _touch(
        self, path: str, truncate: bool = True, data: Buffer = b"", **properties: Any
    ) -> dict[str, Any]:
        """Write an empty object; an object has no time that could be set without writing it."""
        if not truncate and await self._exists(path, refresh=True):
            raise ValueError(f"{path!r} exists, and S3 sets no times: touch it with truncate=True")
        return await self._pipe_file(path, data, **properties)

    touch = sync_wrapper(_touch)

    # What is written piece by piece

    async def _writer(self, target: Target, options: PutOptions, part_size: int = 0) -> AsyncWriter:
        """Return the writer of an object, not entered yet."""
        uri = f"s3://{target.bucket}/{target.key}"
        return AsyncWriter(
            self._here().session, uri, options, part_size=part_size, grows=self._given.parts_grow
        )

    @os_errors
    async def _opened_writer(
        self, path: str, target: Target, mode: str, part_size: int, properties: dict[str, Any]
    ) -> tuple[AsyncWriter | AppendWriter, int | None]:
        """Return what writes an object, entered, and the size of what it appends to, if it does."""
        if mode == "xb" and await self._exists(path, refresh=True):
            raise exists_error(path)
        options = self._put_options(properties, target.key, "create" if mode == "xb" else "overwrite")
        head = await self._appended_to(target) if mode == "ab" else None
        if head is not None:
            return await self._appending(target, head, options, properties, part_size), head.size
        writer = await self._writer(target, options, part_size)
        await writer.__aenter__()
        return writer, None

    async def _appended_to(self, target: Target) -> ObjectHead | None:
        try:
            return await self._store(target.bucket).head(
                target.key, GetOptions(encryption=self._customer_key)
            )
        except NotFound:
            return None

    async def _appending(
        self,
        target: Target,
        head: ObjectHead,
        options: PutOptions,
        properties: dict[str, Any],
        part_size: int,
    ) -> AsyncWriter | AppendWriter:
        """Return what writes an object anew with more behind it; it keeps its properties."""
        options = kept_properties(head, options, properties)
        if head.tag_count and not options.tags:
            tags = await self._store(target.bucket).get_tags(target.key, head.version_id)
            options = replace(options, tags=tags)
        store = await self._proved(target.bucket, target.key)
        if store.capabilities.conditional_put:
            # Two that append at the same time would lose what one of them wrote.
            options = replace(options, if_match=head.etag)
        if head.size >= store.capabilities.min_part_size:
            return AppendWriter(store, head, options, part_size or DEFAULT_PART_SIZE)
        content = await self._part(target, ByteRange(0, head.size), head.etag) if head.size else b""
        writer = await self._writer(target, options, part_size)
        await writer.__aenter__()
        await writer.write(content)
        return writer

    async def _written_back(self, path: str, target: Target, options: PutOptions) -> AsyncWriter:
        """Return the open writer of an object that becomes visible when the transaction ends."""
        writer = await self._writer(target, options)
        await writer.__aenter__()
        self.transaction.files.append(Deferred(self, path, writer))
        return writer

    async def _hold_file(self, lpath: str, rpath: str, options: PutOptions, callback: Callback) -> None:
        writer = await self._written_back(rpath, self._object(rpath), options)
        with open(lpath, "rb", buffering=0) as file:  # noqa: ASYNC230 -- as all of this room reads files
            while piece := file.read(_PIECE):
                await writer.write(piece)
                callback.relative_update(len(piece))


def kept_properties(head: ObjectHead, options: PutOptions, given: Mapping[str, Any]) -> PutOptions:
    """Return the options of a write that keeps what an object has, but for what is ``given``."""
    metadata = {name: value for name, value in head.metadata.items() if name != TOKEN}
    typed = {"content_type", "ContentType"} & given.keys()
    storage_class = "" if head.storage_class == "STANDARD" else head.storage_class
    return replace(
        options,
        content_type=options.content_type if typed else head.content_type,
        content_encoding=options.content_encoding or head.content_encoding,
        content_disposition=options.content_disposition or head.content_disposition,
        content_language=options.content_language or head.content_language,
        cache_control=options.cache_control or head.cache_control,
        expires=options.expires or head.expires,
        website_redirect=options.website_redirect or head.headers.get("x-amz-website-redirect-location", ""),
        encryption=options.encryption or encryption_kept(head),
        metadata={**metadata, **options.metadata},
        storage_class=options.storage_class or storage_class,
    )


def encryption_kept(head: ObjectHead) -> Encryption | None:
    """Return the encryption of an object, for what is written in its place; None for the bucket's own."""
    # Without its key nobody could have read it, so that an SSE-C key is among the options.
    if head.encryption in {"", "SSE-C"}:
        return None
    bucket_key = head.headers.get("x-amz-server-side-encryption-bucket-key-enabled") == "true" or None
    return Encryption(head.encryption, kms_key_id=head.kms_key_id, bucket_key=bucket_key)


def _answer(result: PutResult) -> dict[str, Any]:
    """Return what s3fs returns of a write."""
    return {"ETag": f'"{result.etag}"', "VersionId": result.version_id or None}
