"""The calls on buckets, and those that let others in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack

from haulyard.client.arguments import Properties, put_options, seconds_of
from haulyard.client.cancelling import cancelled_once
from haulyard.client.session import Calls
from haulyard.errors import ConfigError, HaulError
from haulyard.events import Warned
from haulyard.models import PutOptions
from haulyard.stores.presigning import form_fields, presigned_form, presigned_url

if TYPE_CHECKING:
    from datetime import timedelta

    from haulyard.models import PresignedPost, PresignedUrl
    from haulyard.stores.access import Probe


class BucketCalls(Calls):
    """Make and remove buckets, find out what is allowed in them, and sign URLs for others."""

    @cancelled_once
    async def make_bucket(self, uri: str, *, region: str = "", object_lock: bool = False) -> None:
        """Make a bucket.

        Args:
            uri: ``s3://bucket``, or its bare name.
            region: Where it is to lie; that of the client unless given.
            object_lock: Let its objects be locked, which no later setting allows.

        Raises:
            S3Conflict: There is one of that name already.

        Example:
            >>> await client.make_bucket("s3://fresh")
        """
        bucket = self._session.bucket(uri)
        region = region or self._session.settings.region
        await self._session.connection().client.create_bucket(bucket, region, object_lock=object_lock)

    @cancelled_once
    async def remove_bucket(self, uri: str) -> None:
        """Remove a bucket that is empty.

        Raises:
            NotFound: There is no such bucket.
            S3Conflict: There is something in it; `delete_tree` empties it.

        Example:
            >>> await client.remove_bucket("s3://fresh")
        """
        await self._session.connection().client.delete_bucket(self._session.bucket(uri))

    @cancelled_once
    async def check_access(self, uri: str, *, read_only: bool = False) -> list[Probe]:
        """Try every kind of call on a bucket, or below a prefix, and return what came of each.

        What is written for that lies below ``.haul-probe-…/`` and is removed again; with ``read_only``
        nothing is written.

        Raises:
            S3Error: No call could be made at all: no such bucket, wrong credentials, no answer.

        Example:
            >>> probes = await client.check_access("s3://demo/")
            >>> [probe.action for probe in probes if probe.outcome == "denied"]
            []
        """
        place = self._session.place(uri)
        connection = self._session.connection()
        below = place.key[: place.key.rfind("/") + 1]
        return await connection.check_access(place.store.bucket, below=below, read_only=read_only)

    async def presign(
        self,
        uri: str,
        *,
        method: Literal["GET", "PUT", "HEAD", "DELETE"] = "GET",
        expires_in: float | timedelta = 3600,
        version_id: str = "",
        **properties: Unpack[Properties],
    ) -> PresignedUrl:
        """Return a URL that lets whoever holds it do ``method`` on an object, without credentials.

        Args:
            uri: ``s3://bucket/key``.
            method: What the URL does.
            expires_in: Seconds that it lives, at most 7 days; with the credentials it dies sooner.
            version_id: A version instead of the current object.
            properties: For PUT: what the object gets. They are signed as ``headers`` of the result, which
                have to be sent as they are.

        Raises:
            ConfigError: ``expires_in`` is out of range, or an SSE-C key would be handed out.

        Example:
            >>> (await client.presign("s3://demo/hello.txt", expires_in=600)).url
            'http://.../demo/hello.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&...'
        """
        place = self._session.object(uri, version_id)
        await self._learn_region(place.store.bucket)
        options = _shareable(put_options(properties)) if properties else PutOptions()
        return await presigned_url(
            self._session.connection().client,
            method,
            place.store.bucket,
            place.key,
            seconds_of(expires_in),
            options,
            place.version_id,
        )

    async def presign_post(
        self,
        uri: str,
        *,
        expires_in: float | timedelta = 3600,
        max_size: int = 0,
        **properties: Unpack[Properties],
    ) -> PresignedPost:
        """Return a form with which a browser may upload an object, without credentials.

        Args:
            uri: ``s3://bucket/key``; a key that ends in a slash allows any key below it.
            expires_in: Seconds that the form lives, at most 7 days.
            max_size: Bytes that may be uploaded; 0 for S3's own limit.
            properties: What the object gets, as fields of the form.

        Raises:
            ConfigError: ``expires_in`` is out of range.

        Example:
            >>> form = await client.presign_post("s3://demo/uploads/", max_size=1_000_000)
            >>> form.fields["key"]
            'uploads/${filename}'
        """
        place = self._session.place(uri)
        await self._learn_region(place.store.bucket)
        return await presigned_form(
            self._session.connection().client,
            place.store.bucket,
            place.key,
            seconds_of(expires_in),
            fields=form_fields(_shareable(put_options(properties))),
            max_size=max_size,
        )

    async def _learn_region(self, bucket: str) -> None:
        """Find the bucket's region on AWS, without which a signature would not hold."""
        if self._session.settings.endpoint_url:
            return
        try:
            await self._session.connection().client.head_bucket(bucket)
        except HaulError as error:
            self._session.emit(
                Warned(
                    f"the bucket's region was not confirmed: {error}",
                    "The URL works if the client's region is the bucket's.",
                )
            )


def _shareable(options: PutOptions) -> PutOptions:
    if options.encryption is not None and options.encryption.customer_key is not None:
        raise ConfigError("a signed URL would hand the SSE-C key out", hint="leave encryption out")
    return options
