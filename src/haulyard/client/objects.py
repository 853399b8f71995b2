"""The calls on single objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from haulyard.client.arguments import Properties, byte_range, check_bytes, check_texts, put_options
from haulyard.client.cancelling import cancelled_once
from haulyard.client.session import Calls
from haulyard.errors import NotFound
from haulyard.models import DeleteItem, DeleteOptions, DeleteOutcome, GetOptions, RestoreOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from haulyard.client.arguments import Range
    from haulyard.models import Encryption, ObjectAcl, ObjectHead, PutResult
    from haulyard.models.body import Buffer


class ObjectCalls(Calls):
    """Read, write, describe and delete single objects."""

    async def get(
        self,
        uri: str,
        *,
        range: Range | None = None,  # noqa: A002 -- the name that everybody looks for
        version_id: str = "",
        if_match: str = "",
        encryption: Encryption | None = None,
    ) -> bytes:
        """Return the content of an object, or of ``range`` of it, in memory.

        What does not fit into memory is read by `open` or `download`. A body that breaks off is resumed, and
        its checksum is verified.

        Args:
            uri: ``s3://bucket/key``.
            range: Bytes ``(start, end)``, ``end`` excluded and None for the end of the object; a negative
                start with the end None means the last bytes.
            version_id: A version instead of the current object.
            if_match: Only if the object has this ETag.
            encryption: The SSE-C key that it was written with.

        Raises:
            NotFound: There is no such object.
            PreconditionFailed: ``if_match`` does not hold.
            S3Error: Any other refusal; its hint says what to do.

        Example:
            >>> await client.get("s3://demo/hello.txt", range=(0, 5))
            b'hello'
        """
        place = self._session.object(uri, version_id)
        options = GetOptions(
            range=byte_range(range), if_match=if_match, version_id=place.version_id, encryption=encryption
        )
        async with await place.store.get(place.key, options) as reader:
            return await reader.read()

    @cancelled_once
    async def put(
        self,
        uri: str,
        data: Buffer,
        *,
        if_match: str = "",
        if_none_match: str = "",
        **properties: Unpack[Properties],
    ) -> PutResult:
        """Write bytes as an object of at most 5 GiB, in one request, with a checksum that the store verifies.

        Larger content, or one that is made piece by piece, is written by `open` or `upload`.

        Args:
            uri: ``s3://bucket/key``.
            data: The content: bytes, not text.
            if_match: Replace only the object with this ETag.
            if_none_match: ``"*"``: create only, never replace. Conditions are sent to endpoints that were
                proved to honour them; others are refused with Unsupported.
            properties: Content type (guessed from the key unless given), metadata, tags …; see `Properties`.

        Raises:
            PreconditionFailed: A condition does not hold; nothing was written.
            Unsupported: The endpoint ignores conditions.
            S3Error: Any other refusal.

        Example:
            >>> result = await client.put("s3://demo/hello.txt", b"hello, world", metadata={"made-by": "me"})
            >>> result.etag
            'e4d7f1b4ed2e42d15898f4b27b019da4'
        """
        check_bytes(data)
        place = self._session.object(uri)
        options = put_options(properties, place.key)
        if if_match or if_none_match:
            place = await self._session.proved(place)
            options = replace(options, if_match=if_match, if_none_match=if_none_match)
        return await place.store.put(place.key, data, options)

    async def head(
        self, uri: str, *, version_id: str = "", encryption: Encryption | None = None
    ) -> ObjectHead:
        """Describe an object: size in bytes, times, ETag, checksums, metadata …, without reading it.

        Raises:
            NotFound: There is no such object.

        Example:
            >>> (await client.head("s3://demo/hello.txt")).size
            12
        """
        place = self._session.object(uri, version_id)
        return await place.store.head(
            place.key, GetOptions(version_id=place.version_id, encryption=encryption)
        )

    async def exists(self, uri: str) -> bool:
        """Say whether there is an object, or a bucket where ``uri`` names one.

        Raises:
            S3PermissionError: The store does not tell.

        Example:
            >>> await client.exists("s3://demo/nothing-here")
            False
        """
        place = self._session.place(uri)
        try:
            if place.key:
                await place.store.head(place.key)
            else:
                await self._session.connection().client.head_bucket(place.store.bucket)
        except NotFound:
            return False
        return True

    @cancelled_once
    async def delete(self, uri: str, *, version_id: str = "", if_match: str = "") -> DeleteOutcome:
        """Delete an object, or a version of it; one that is not there counts as deleted.

        Args:
            uri: ``s3://bucket/key``.
            version_id: This version, for ever. Without it, a bucket with versions keeps the object below a
                delete marker, whose id the outcome tells.
            if_match: Only if the object has this ETag (on endpoints that were proved to honour it).

        Raises:
            PreconditionFailed: ``if_match`` does not hold; nothing was deleted.
            Unsupported: The endpoint ignores the condition.

        Example:
            >>> (await client.delete("s3://demo/hello.txt")).error is None
            True
        """
        place = self._session.object(uri, version_id)
        if if_match:
            place = await self._session.proved(place)
        options = DeleteOptions(version_id=place.version_id, if_match=if_match)
        return await place.store.delete(place.key, options)

    @cancelled_once
    async def delete_many(self, uris: Iterable[str]) -> list[DeleteOutcome]:
        """Delete objects, a thousand a request, and return the outcome of each in the order of ``uris``.

        An outcome whose ``error`` is None is one of an object that is gone, or never was. What lies below a
        prefix is deleted by `delete_tree`, whose memory does not grow with the number.

        Raises:
            S3Error: A request failed as a whole; errors of single keys are in their outcomes.

        Example:
            >>> outcomes = await client.delete_many(["s3://demo/a", "s3://demo/b"])
            >>> [outcome.error for outcome in outcomes]
            [None, None]
        """
        places = [self._session.object(uri) for uri in uris]
        outcomes: dict[int, DeleteOutcome] = {}
        buckets: dict[str, list[int]] = {}
        for number, place in enumerate(places):
            buckets.setdefault(place.store.bucket, []).append(number)
        for numbers in buckets.values():
            items = [DeleteItem(places[number].key, places[number].version_id) for number in numbers]
            store = places[numbers[0]].store
            outcomes.update(zip(numbers, await store.delete_many(items), strict=True))
        return [outcomes[number] for number, _ in enumerate(places)]

    async def get_tags(self, uri: str, *, version_id: str = "") -> dict[str, str]:
        """Return the tags of an object.

        Raises:
            NotFound: There is no such object.
        """
        place = self._session.object(uri, version_id)
        return await place.store.get_tags(place.key, place.version_id)

    @cancelled_once
    async def set_tags(self, uri: str, tags: Mapping[str, str], *, version_id: str = "") -> None:
        """Replace the tags of an object, at most ten; an empty mapping removes them.

        Raises:
            NotFound: There is no such object.
            ConfigError: Something else than texts.

        Example:
            >>> await client.set_tags("s3://demo/hello.txt", {"team": "data"})
            >>> await client.get_tags("s3://demo/hello.txt")
            {'team': 'data'}
        """
        check_texts("tags", tags)
        place = self._session.object(uri, version_id)
        await place.store.set_tags(place.key, tags, place.version_id)

    async def get_acl(self, uri: str, *, version_id: str = "") -> ObjectAcl:
        """Return owner and grants of an object.

        Raises:
            NotFound: There is no such object.
        """
        place = self._session.object(uri, version_id)
        return await place.store.get_acl(place.key, place.version_id)

    @cancelled_once
    async def set_acl(self, uri: str, acl: str | ObjectAcl, *, version_id: str = "") -> None:
        """Replace the ACL of an object, by a canned one (``private``, ``public-read`` …) or by grants.

        Raises:
            NotFound: There is no such object.
            S3Error: The bucket has ACLs disabled, as new buckets of AWS have.
        """
        place = self._session.object(uri, version_id)
        await place.store.set_acl(place.key, acl, place.version_id)

    async def restore(
        self, uri: str, *, days: int | None = 1, tier: str = "Standard", version_id: str = ""
    ) -> bool:
        """Ask for an archived object to be brought back; False where it was asked for or back already.

        Args:
            uri: ``s3://bucket/key``.
            days: How long the copy is kept; None for Intelligent-Tiering, which moves the object.
            tier: ``Expedited`` (minutes), ``Standard`` (hours) or ``Bulk`` (half a day, the cheapest).
            version_id: A version instead of the current object.

        Raises:
            NotFound: There is no such object.
            S3Error: The object is not archived.
        """
        place = self._session.object(uri, version_id)
        return await place.store.restore(place.key, RestoreOptions(days, tier, place.version_id))
