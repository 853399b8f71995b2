"""A bucket as a store.

What a REST call leaves open is settled here: whose write it was when an answer got lost, where a listing
ends, which keys of a batch are to be tried again.
"""

from __future__ import annotations

import asyncio
import random as randomness
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from haulyard.errors import (
    AccessDenied,
    S3Conflict,
    S3Error,
    S3GenericError,
    S3NotFound,
)
from haulyard.models import DeleteOptions, GetOptions, ObjectAttributes
from haulyard.models.body import body_size
from haulyard.pacing.backoff import full_jitter
from haulyard.s3.listing import advance
from haulyard.stores.base import COPY, DELETE, GET, LIST, PART, PUT, RESTORE, Capabilities
from haulyard.stores.deletes import delete_many, delete_one
from haulyard.stores.fate import ROUNDS, is_assembled, is_copy, is_put, look, result_of, settled
from haulyard.stores.optional import unsupported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from haulyard.models import (
        ByteRange,
        CopyOptions,
        CopySource,
        DeleteItem,
        DeleteOutcome,
        ListOptions,
        ListPage,
        ObjectAcl,
        ObjectHead,
        PartInfo,
        PartOptions,
        PutOptions,
        PutResult,
        RestoreOptions,
        UploadInfo,
        VersionPage,
    )
    from haulyard.models.body import Body
    from haulyard.s3.client import S3Client
    from haulyard.s3.reading import S3Reader

_BASE_DELAY: Final = 0.1
"""Seconds; as in `haulyard.s3.layers.retry`."""

_NOT_OFFERED: Final = frozenset(("NotImplemented", "MethodNotAllowed"))
_DIRECTORY_BUCKET: Final = "--x-s3"


@lru_cache(maxsize=1024)
def default_capabilities(bucket: str, *, on_aws: bool) -> Capabilities:
    """Return what S3's protocol has; what a store that is not AWS's makes of it is yet to be proved (None).

    Directory buckets ("Differences for directory buckets") list in no order and have no versions, tags or
    ACLs.
    """
    directory = bucket.endswith(_DIRECTORY_BUCKET)
    proved = True if on_aws else None
    return Capabilities(
        conditional_put=proved,
        conditional_copy=proved,
        conditional_delete=proved,
        conditional_batch_delete=proved,
        versions=not directory,
        tags=not directory,
        acl=not directory,
        metadata=True,
        checksums=proved,
        restore=not directory,
        multipart=True,
        copy_part=True,
        batch_delete=True,
        presign=True,
        ordered_listing=False if directory else proved,
    )


class S3Store:
    """One bucket, or an access point given by its ARN.

    Args:
        client: Whose layers reach the bucket; closing it is the business of who made it.
        bucket: Name or ARN.
        service: Equal for two clients between which the store can copy: endpoint and account.
        on_aws: The endpoint is AWS's own, so that its capabilities are known.
        capabilities: What is known of the endpoint otherwise.
        sleep: Waits some seconds.
    """

    kind = "s3"

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        service: str,
        on_aws: bool,
        capabilities: Capabilities | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.client = client
        self.bucket = bucket
        self.name = f"s3://{bucket}"
        self.service = service
        self.service = service
        self.identity = f"{service} {bucket}"
        self.capabilities = capabilities or default_capabilities(bucket, on_aws=on_aws)
        self._sleep = sleep

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        """Describe one object."""
        return await self.client.head_object(self.bucket, key, options)

    async def get(self, key: str, options: GetOptions = GET) -> S3Reader:
        """Open one object, or a range of it, for reading."""
        return await self.client.get_object(self.bucket, key, options)

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        """Write one object in one request."""
        self._check_size("put", key, body_size(body))
        if not (options.if_match or options.if_none_match):
            return await self.client.put_object(self.bucket, key, body, options)
        self._require("put", key, "a condition", offered=self.capabilities.conditional_put)

        async def write() -> PutResult:
            return await self.client.put_object(self.bucket, key, body, options)

        async def written() -> PutResult | None:
            head = await look(self.client, self.bucket, key, options.encryption)
            return result_of(head) if head and await is_put(head, body, options) else None

        return await settled(write, written, self._pause)

    async def delete(self, key: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        """Remove one object or version."""
        if options.if_match:
            self._require("delete", key, "a condition", offered=self.capabilities.conditional_delete)
        return await delete_one(self.client, self.bucket, key, options, self._pause)

    async def delete_many(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        """Remove any number of keys, 1,000 a call and several calls at a time."""
        if any(item.if_match for item in items):
            self._require("delete_many", "", "a condition", offered=self.capabilities.conditional_delete)
        return await delete_many(self.client, self.bucket, items, self.capabilities, self._pause)

    async def copy(self, source: CopySource, key: str, options: CopyOptions = COPY) -> PutResult:
        """Copy inside the store, in one request."""
        put = options.put
        if not source.bucket:
            source = replace(source, bucket=self.bucket)
        if not (put.if_match or put.if_none_match):
            return await self.client.copy_object(self.bucket, key, source, options)
        self._require("copy", key, "a condition", offered=self.capabilities.conditional_copy)

        async def write() -> PutResult:
            return await self.client.copy_object(self.bucket, key, source, options)

        async def written() -> PutResult | None:
            head = await look(self.client, self.bucket, key, put.encryption)
            asked = GetOptions(version_id=source.version_id, encryption=source.encryption)
            origin = await self.client.head_object(source.bucket, source.key, asked)
            return result_of(head) if head and is_copy(head, origin) else None

        return await settled(write, written, self._pause)

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        """Yield pages of objects."""
        token: str | None = ""
        while token is not None:
            parsed = await self.client.list_objects_v2(self.bucket, prefix, options, token)
            token = advance(token, parsed, operation="ListObjectsV2", bucket=self.bucket)
            yield parsed.page

    async def list_versions(
        self, prefix: str = "", options: ListOptions = LIST
    ) -> AsyncIterator[VersionPage]:
        """Yield pages of versions and delete markers."""
        self._require("list_versions", "", offered=self.capabilities.versions)
        token: tuple[str, str] | None = ("", "")
        while token is not None:
            parsed = await self.client.list_object_versions(self.bucket, prefix, options, token)
            token = advance(token, parsed, operation="ListObjectVersions", bucket=self.bucket)
            yield parsed.page

    async def create_multipart(self, key: str, options: PutOptions = PUT) -> str:
        """Begin a multipart upload."""
        return await self.client.create_multipart_upload(self.bucket, key, options)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Body, options: PartOptions = PART
    ) -> PartInfo:
        """Write one part."""
        return await self.client.upload_part(self.bucket, key, upload_id, number, body, options)

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
        if not source.bucket:
            source = replace(source, bucket=self.bucket)
        return await self.client.upload_part_copy(
            self.bucket, key, upload_id, number, source, source_range, options
        )

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[PartInfo], options: PutOptions = PUT
    ) -> PutResult:
        """Make the object of its parts.

        Where the answer was lost and the upload is gone, the object is ours only if its size and our token
        in its metadata (see `haulyard.stores.fate`), its checksum or its ETag say so.
        """
        if options.if_match or options.if_none_match:
            self._require("complete_multipart", key, "a condition", offered=self.capabilities.conditional_put)

        async def complete() -> PutResult:
            return await self.client.complete_multipart_upload(self.bucket, key, upload_id, parts, options)

        async def completed() -> PutResult | None:
            head = await look(self.client, self.bucket, key, options.encryption)
            return result_of(head) if head and is_assembled(head, parts, options) else None

        return await settled(complete, completed, self._pause)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Give the upload up, again as long as parts that were in flight turn up in it."""
        for attempt in range(1, ROUNDS + 1):
            try:
                await self.client.abort_multipart_upload(self.bucket, key, upload_id)
                page = await self.client.list_parts(self.bucket, key, upload_id)
            except S3NotFound as error:
                if error.code == "NoSuchBucket":
                    raise
                return
            except AccessDenied as error:
                # It was aborted, and looking at its parts takes a permission that the caller need not have.
                if error.operation == "ListParts":
                    return
                raise
            if not page.page:
                return
            await self._pause(attempt)
        raise S3Conflict(
            f"upload {upload_id} of {self.name}/{key} still gets parts",
            operation="AbortMultipartUpload",
            bucket=self.bucket,
            key=key,
            hint="another process is uploading to it; stop that, then abort it again",
        )

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[PartInfo]:
        """Yield the uploaded parts in order."""
        token: str | None = ""
        while token is not None:
            parsed = await self.client.list_parts(self.bucket, key, upload_id, token)
            token = advance(token, parsed, operation="ListParts", bucket=self.bucket)
            for part in parsed.page:
                yield part

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """Yield the uploads under way."""
        token: tuple[str, str] | None = ("", "")
        while token is not None:
            parsed = await self.client.list_multipart_uploads(self.bucket, prefix, token)
            token = advance(token, parsed, operation="ListMultipartUploads", bucket=self.bucket)
            for upload in parsed.page:
                yield upload

    async def get_tags(self, key: str, version_id: str = "") -> dict[str, str]:
        """Return the object's tags."""
        self._require("get_tags", key, offered=self.capabilities.tags)
        return await self.client.get_object_tagging(self.bucket, key, version_id)

    async def set_tags(self, key: str, tags: Mapping[str, str], version_id: str = "") -> None:
        """Replace the object's tags; an empty mapping removes them."""
        self._require("set_tags", key, offered=self.capabilities.tags)
        if tags:
            await self.client.put_object_tagging(self.bucket, key, tags, version_id)
        else:
            await self.client.delete_object_tagging(self.bucket, key, version_id)

    async def get_acl(self, key: str, version_id: str = "") -> ObjectAcl:
        """Return owner and grants."""
        self._require("get_acl", key, offered=self.capabilities.acl)
        return await self.client.get_object_acl(self.bucket, key, version_id)

    async def set_acl(self, key: str, acl: str | ObjectAcl, version_id: str = "") -> None:
        """Replace the ACL."""
        self._require("set_acl", key, offered=self.capabilities.acl)
        await self.client.put_object_acl(self.bucket, key, acl, version_id)

    async def restore(self, key: str, options: RestoreOptions = RESTORE) -> bool:
        """Ask for an archived object."""
        self._require("restore", key, offered=self.capabilities.restore)
        try:
            return await self.client.restore_object(self.bucket, key, options)
        except S3Conflict as error:
            if error.code == "RestoreAlreadyInProgress":
                return False
            raise

    async def attributes(self, key: str, version_id: str = "") -> ObjectAttributes:
        """Return size, ETag, checksums and parts; without parts where the store has only HEAD for it."""
        options = GetOptions(version_id=version_id)
        try:
            return await self.client.get_object_attributes(self.bucket, key, options)
        except S3Error as error:
            if error.code not in _NOT_OFFERED:
                raise
        head = await self.head(key, options)
        return ObjectAttributes(
            head.size,
            head.etag,
            head.storage_class,
            head.checksums,
            head.parts_count,
            version_id=head.version_id,
            last_modified=head.last_modified,
        )

    async def presign(
        self, method: str, key: str, expires: int, put: PutOptions = PUT, version_id: str = ""
    ) -> str:
        """Return a URL for GET, HEAD, PUT or DELETE.

        What ``put`` says is part of the signature: who uses the URL must send the same headers.
        """
        # Rare, and it needs the presigner.
        from haulyard.stores.presigning import METHODS, presigned_url

        if method.upper() not in METHODS:
            raise unsupported(self.kind, "presign", key, f"method {method!r}")
        signed = await presigned_url(self.client, method.upper(), self.bucket, key, expires, put, version_id)
        return signed.url

    async def close(self) -> None:
        """Do nothing: the connections are the client's, which other stores share."""

    def _require(self, operation: str, key: str, what: str = "", *, offered: bool | None) -> None:
        """Raise Unsupported where the store is known not to offer it; what is unproved is tried."""
        if offered is False:
            raise unsupported(self.kind, operation, key, what)

    def _check_size(self, operation: str, key: str, size: int) -> None:
        limit = self.capabilities.max_put_size
        if size > limit:
            raise S3GenericError(
                f"{self.name}/{key}: {size} bytes are more than the {limit} of a single write",
                operation=operation,
                bucket=self.bucket,
                key=key,
                code="EntityTooLarge",
                hint="write it in parts",
            )

    async def _pause(self, failures: int) -> None:
        await self._sleep(full_jitter(failures, _BASE_DELAY, random=randomness.random))
