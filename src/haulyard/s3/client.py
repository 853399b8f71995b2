"""S3Client: one method for each REST call, over the layers (see `haulyard.s3.request`).

The layers raise what failed (`haulyard.errors`), so a method returns only what succeeded. What a single
call cannot know (whose write it was, where a listing ends) is the business of `haulyard.stores.s3`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from haulyard.checksums import checksum_of, compute, hasher
from haulyard.errors import ConfigError, S3Error
from haulyard.models import (
    ByteRange,
    CopyOptions,
    DeleteOptions,
    GetOptions,
    ListOptions,
    PartInfo,
    PartOptions,
    PutOptions,
    RestoreOptions,
)
from haulyard.models.body import BUFFERS, body_size
from haulyard.s3 import acl, attributes, batch, buckets, listing, multipart, objects, tagging
from haulyard.s3.answers import empty_range, parsed, span_of
from haulyard.s3.checksums import checksum_headers
from haulyard.s3.headers import account_headers, has_customer_key
from haulyard.s3.reading import NoBody, Resumption, S3Reader, verifiable

_FIRST_BYTE: Final = ByteRange(0, 1)
#: Statuses of a HEAD that have many reasons.
_UNEXPLAINED: Final = frozenset((400, 401, 403))

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from haulyard.models import (
        BucketInfo,
        Checksum,
        CopySource,
        DeleteItem,
        DeleteOutcome,
        ListPage,
        ObjectAcl,
        ObjectAttributes,
        ObjectHead,
        PresignedPost,
        PresignedUrl,
        PutResult,
        UploadInfo,
        VersionPage,
    )
    from haulyard.models.body import Body
    from haulyard.s3.credentials import Credentials
    from haulyard.s3.endpoint import Address
    from haulyard.s3.listing import ListParse
    from haulyard.s3.presign import PostPolicy
    from haulyard.s3.request import Request, Response, Send


class Addressing(Protocol):
    """What the ``sign`` layer knows and presigning needs."""

    def now(self) -> float:
        """Return the server's time, in seconds since the epoch."""
        ...

    def address(self, bucket: str) -> Address:
        """Return where ``bucket`` is reached."""
        ...


class S3Client:
    """Every REST call of S3 that this project makes, on any bucket that the layers' credentials reach.

    Args:
        send: The layers, outermost first.
        signer: Addresses and the server's clock.
        credentials: Those to presign with; None for anonymous access.
        expected_owner: Account id that every bucket must belong to.
        request_payer: The caller pays (requester-pays buckets).
        checksum_algorithm: What bodies are sent with unless the options say another; ``none`` for none.
        validate_checksums: Ask for the checksum of what is read, and verify it.
        sleep: Waits some seconds before a body that broke off is resumed.
    """

    def __init__(
        self,
        send: Send,
        *,
        signer: Addressing,
        credentials: Callable[[], Awaitable[Credentials | None]],
        expected_owner: str = "",
        request_payer: bool = False,
        checksum_algorithm: str = "CRC64NVME",
        validate_checksums: bool = True,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._layers = send
        self._signer = signer
        self._credentials = credentials
        self._account = account_headers(request_payer=request_payer, expected_owner=expected_owner)
        self._algorithm = checksum_algorithm
        self._validate = validate_checksums
        self._resume = Resumption(self._send, sleep=sleep)

    # One object

    async def get_object(self, bucket: str, key: str, options: GetOptions) -> S3Reader:
        """Open an object, a version, a range or a part of it for reading."""
        asked = options.range
        if asked is not None and asked.end is not None and asked.end <= asked.start:
            raise empty_range(bucket, key, asked)
        request = objects.get_object(bucket, key, options)
        if not self._validate:
            request.headers.pop("x-amz-checksum-mode", None)
        try:
            response = await self._send(request)
        except S3Error as error:
            if error.code != "InvalidRange" or asked is None:
                raise
            return await self._open_nothing(bucket, key, options, error)
        try:
            head = objects.parse_head(key, response.status, response.headers)
            span = span_of(head, options, response)
        except BaseException:
            await response.close()
            raise
        whole = span.start == 0 and span.end == head.size
        expected = verifiable(head) if whole and self._validate else None
        return S3Reader(bucket, head, span, response, options, self._resume, expected)

    async def head_object(self, bucket: str, key: str, options: GetOptions) -> ObjectHead:
        """Describe an object."""
        if options.range is not None:
            options = replace(options, range=None)
        try:
            response = await self._call(objects.head_object(bucket, key, options))
        except S3Error as error:
            if error.status not in _UNEXPLAINED:
                raise
            raise await self._explained(bucket, key, options, error) from None
        return objects.parse_head(key, response.status, response.headers)

    async def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> PutResult:
        """Write an object of at most 5 GiB."""
        request = objects.put_object(bucket, key, body, options)
        if options.checksum is None:
            await self._add_checksum(request, body, options.checksum_algorithm)
        return objects.parse_put((await self._call(request)).headers)

    async def delete_object(self, bucket: str, key: str, options: DeleteOptions) -> DeleteOutcome:
        """Delete an object or a version."""
        response = await self._call(objects.delete_object(bucket, key, options))
        return objects.parse_delete(key, response.headers, options)

    async def delete_objects(self, bucket: str, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        """Delete at most 1,000 keys; each has its own outcome, in the order of ``items``."""
        request = batch.delete_objects(bucket, items)
        response = await self._call(request)
        return parsed(request, response, lambda body: batch.parse_delete_objects(request, body, items))

    async def copy_object(self, bucket: str, key: str, source: CopySource, options: CopyOptions) -> PutResult:
        """Copy an object of at most 5 GiB inside the store."""
        request = objects.copy_object(bucket, key, source, options)
        response = await self._call(request)
        return parsed(request, response, lambda body: objects.parse_copy(body, response.headers))

    async def restore_object(self, bucket: str, key: str, options: RestoreOptions) -> bool:
        """Ask for an archived object; False where it was restored already."""
        response = await self._call(objects.restore_object(bucket, key, options))
        return not objects.parse_restore(response.status)

    async def get_object_attributes(self, bucket: str, key: str, options: GetOptions) -> ObjectAttributes:
        """Ask for size, checksums and all parts of an object."""
        request = attributes.get_object_attributes(bucket, key, options)
        response = await self._call(request)
        read = partial(attributes.parse_attributes, response.headers)
        found = parsed(request, response, read)
        while marker := parsed(request, response, attributes.attributes_part_marker):
            request = attributes.get_object_attributes(bucket, key, options, part_marker=marker)
            response = await self._call(request)
            found = found._replace(parts=found.parts + parsed(request, response, read).parts)
        return found

    async def get_object_tagging(self, bucket: str, key: str, version_id: str = "") -> dict[str, str]:
        """Return the tags of an object."""
        request = tagging.get_object_tagging(bucket, key, version_id)
        return parsed(request, await self._call(request), tagging.parse_tagging)

    async def put_object_tagging(
        self, bucket: str, key: str, tags: Mapping[str, str], version_id: str = ""
    ) -> None:
        """Replace the tags of an object."""
        await self._call(tagging.put_object_tagging(bucket, key, tags, version_id))

    async def delete_object_tagging(self, bucket: str, key: str, version_id: str = "") -> None:
        """Remove the tags of an object."""
        await self._call(tagging.delete_object_tagging(bucket, key, version_id))

    async def get_object_acl(self, bucket: str, key: str, version_id: str = "") -> ObjectAcl:
        """Return owner and grants of an object."""
        request = acl.get_object_acl(bucket, key, version_id)
        return parsed(request, await self._call(request), acl.parse_acl)

    async def put_object_acl(
        self, bucket: str, key: str, access: ObjectAcl | str, version_id: str = ""
    ) -> None:
        """Replace the ACL of an object, by grants or by the name of a canned one."""
        await self._call(acl.put_object_acl(bucket, key, access, version_id))

    # Multipart uploads

    async def create_multipart_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        """Begin an upload in parts and return its id."""
        if not options.checksum_algorithm:
            options = replace(options, checksum_algorithm=self._algorithm)
        request = multipart.create_multipart_upload(bucket, key, options)
        return parsed(request, await self._call(request), multipart.parse_create_multipart_upload)

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PartOptions
    ) -> PartInfo:
        """Write one part."""
        request = multipart.upload_part(bucket, key, upload_id, number, body, options)
        if options.checksum is None:
            await self._add_checksum(request, body, options.checksum_algorithm)
        response = await self._call(request)
        return multipart.parse_upload_part(number, response.headers, body_size(body))

    async def upload_part_copy(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        source: CopySource,
        source_range: ByteRange,
        options: PartOptions,
    ) -> PartInfo:
        """Write one part from a range of an object of the store; the range has an end."""
        request = multipart.upload_part_copy(bucket, key, upload_id, number, source, source_range, options)
        size = (source_range.end or 0) - source_range.start
        return parsed(
            request,
            await self._call(request),
            lambda body: multipart.parse_upload_part_copy(number, body, size),
        )

    async def complete_multipart_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[PartInfo], options: PutOptions
    ) -> PutResult:
        """Make the object of its parts."""
        # A part of unknown size says 0; S3 compares the sum only where all are known.
        size = sum(part.size for part in parts) if all(part.size for part in parts) else None
        request = multipart.complete_multipart_upload(bucket, key, upload_id, parts, options, size=size)
        response = await self._call(request)
        return parsed(
            request,
            response,
            lambda body: multipart.parse_complete_multipart_upload(body, response.headers),
        )

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Give an upload up; parts in flight may survive it."""
        await self._call(multipart.abort_multipart_upload(bucket, key, upload_id))

    async def list_parts(
        self, bucket: str, key: str, upload_id: str, token: str = ""
    ) -> ListParse[list[PartInfo], str]:
        """Return a page of the parts that were written."""
        request = multipart.list_parts(bucket, key, upload_id, token=token)
        return parsed(request, await self._call(request), multipart.parse_list_parts)

    # Listings

    async def list_objects_v2(
        self, bucket: str, prefix: str, options: ListOptions, token: str = ""
    ) -> ListParse[ListPage, str]:
        """Return a page of objects."""
        request = listing.list_objects_v2(bucket, prefix, options, token=token)
        return parsed(request, await self._call(request), listing.parse_list_objects_v2)

    async def list_object_versions(
        self, bucket: str, prefix: str, options: ListOptions, token: tuple[str, str] = ("", "")
    ) -> ListParse[VersionPage, tuple[str, str]]:
        """Return a page of versions and delete markers."""
        request = listing.list_object_versions(bucket, prefix, options, token=token)
        return parsed(request, await self._call(request), listing.parse_list_object_versions)

    async def list_multipart_uploads(
        self, bucket: str, prefix: str = "", token: tuple[str, str] = ("", "")
    ) -> ListParse[list[UploadInfo], tuple[str, str]]:
        """Return a page of the uploads under way."""
        request = listing.list_multipart_uploads(bucket, prefix, token=token)
        return parsed(request, await self._call(request), listing.parse_list_multipart_uploads)

    async def list_buckets(
        self, prefix: str = "", region: str = "", token: str = ""
    ) -> ListParse[list[BucketInfo], str]:
        """Return a page of the caller's buckets; most stores give all of them in one."""
        request = listing.list_buckets(prefix=prefix, region=region, token=token)
        return parsed(request, await self._call(request), listing.parse_list_buckets)

    # Buckets

    async def create_bucket(
        self, bucket: str, region: str = "", *, acl: str = "", object_lock: bool = False
    ) -> None:
        """Make a bucket, in the region of the endpoint unless another is named."""
        await self._call(buckets.create_bucket(bucket, region, acl=acl, object_lock=object_lock))

    async def delete_bucket(self, bucket: str) -> None:
        """Delete an empty bucket."""
        await self._call(buckets.delete_bucket(bucket))

    async def head_bucket(self, bucket: str) -> str:
        """Return the region of a bucket that may be listed, ``""`` where the store does not say."""
        return buckets.parse_head_bucket((await self._call(buckets.head_bucket(bucket))).headers)

    # What others may do with it

    async def presign(self, request: Request, expires: int) -> PresignedUrl:
        """Return a URL that makes ``request``, for ``expires`` seconds (at most 7 days)."""
        # Start-up: few runs presign.
        from haulyard.s3.presign import presign

        self._protect_customer_key(request)
        address = self._signer.address(request.bucket)
        credentials = await self._signing_credentials()
        return presign(request, address, credentials, expires=expires, now=self._signer.now())

    async def presign_post(self, bucket: str, policy: PostPolicy, expires: int) -> PresignedPost:
        """Return a form that uploads into ``bucket`` as ``policy`` allows, for ``expires`` seconds."""
        from haulyard.s3.presign import presign_post  # see `presign`

        address = self._signer.address(bucket)
        credentials = await self._signing_credentials()
        now = self._signer.now()
        return presign_post(policy, bucket, address, credentials, expires=expires, now=now)

    async def _signing_credentials(self) -> Credentials:
        credentials = await self._credentials()
        if credentials is None:
            raise ConfigError(
                "anonymous access cannot presign", hint="presign with credentials, without --no-sign-request"
            )
        return credentials

    async def _send(self, request: Request) -> Response:
        self._protect_customer_key(request)
        if self._account and request.bucket and request.operation != "CreateBucket":
            request.headers.update(self._account)
        return await self._layers(request)

    async def _call(self, request: Request) -> Response:
        """Send a request whose answer is small and return it, read and closed."""
        async with await self._send(request) as response:
            return response

    async def _explained(self, bucket: str, key: str, options: GetOptions, error: S3Error) -> S3Error:
        """Return the error of a GET for that of a HEAD, whose answer has no body, and so no reason.

        A wrong key, a token that has expired and a missing permission look alike there.
        """
        try:
            async with await self._send(objects.get_object(bucket, key, replace(options, range=_FIRST_BYTE))):
                return error
        except S3Error as told:
            return told if told.status in _UNEXPLAINED else error

    def _protect_customer_key(self, request: Request) -> None:
        if has_customer_key(request.headers) and not self._signer.address(request.bucket).is_private:
            raise ConfigError(
                "an SSE-C key is not sent over plain http",
                hint="use an https endpoint: whoever listens could read the key",
            )

    async def _add_checksum(self, request: Request, body: Body, algorithm: str) -> None:
        algorithm = algorithm or self._algorithm
        if algorithm != "none":
            request.headers.update(checksum_headers(await content_checksum(body, algorithm)))

    async def _open_nothing(self, bucket: str, key: str, options: GetOptions, error: S3Error) -> S3Reader:
        """Return the reader of an empty object, of which S3 has no range at all; else raise ``error``."""
        if options.range is None or options.range.start > 0:
            raise error
        head = await self.head_object(bucket, key, options)
        if head.size:
            raise error
        return S3Reader(
            bucket, head, ByteRange(0, 0), NoBody(head.headers), options, self._resume, expected=None
        )


async def content_checksum(body: Body, algorithm: str) -> Checksum:
    """Return the checksum of a body, which is read for it once where it is not in memory."""
    if isinstance(body, BUFFERS):
        return compute(algorithm, body)
    state = hasher(algorithm)
    async for chunk in body.open():
        state.update(chunk)
    return checksum_of(algorithm, state.digest())
