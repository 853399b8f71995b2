"""The calls that list, a page at a time: what they hold does not grow with what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from haulyard.client.results import CommonPrefix
from haulyard.client.session import Calls
from haulyard.models import ListOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import BucketInfo, ObjectInfo, ObjectVersion


class ListingCalls(Calls):
    """List buckets, objects and versions."""

    @overload
    def list(
        self, uri: str, *, delimiter: Literal[""] = "", start_after: str = ""
    ) -> AsyncIterator[ObjectInfo]: ...

    @overload
    def list(
        self, uri: str, *, delimiter: str, start_after: str = ""
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]: ...

    async def list(
        self, uri: str, *, delimiter: str = "", start_after: str = ""
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield the objects whose keys start with the key of ``uri``, in the store's order.

        Args:
            uri: ``s3://bucket`` or ``s3://bucket/prefix``. A prefix matches in the middle of names, too:
                ``s3://b/data`` finds ``database.txt``; end it in a slash for what lies below it.
            delimiter: Fold keys that have it behind the prefix into one `CommonPrefix` each; with ``"/"`` a
                listing looks like that of a directory.
            start_after: Only keys behind this one.

        Raises:
            NotFound: There is no such bucket. A prefix without objects yields nothing.

        Example:
            >>> [info.key async for info in client.list("s3://demo/logs/")]
            ['logs/2024/a.log', 'logs/2025/b.log']
            >>> [entry async for entry in client.list("s3://demo/logs/", delimiter="/")]
            [CommonPrefix(prefix='logs/2024/'), CommonPrefix(prefix='logs/2025/')]
        """
        place = self._session.place(uri)
        options = ListOptions(delimiter=delimiter, start_after=start_after)
        async for page in place.store.list(place.key, options):
            for prefix in page.prefixes:
                yield CommonPrefix(prefix)
            for info in page.objects:
                yield info

    async def list_versions(self, uri: str, *, start_after: str = "") -> AsyncIterator[ObjectVersion]:
        """Yield versions and delete markers of all keys that start with that of ``uri``, newest first by key.

        Raises:
            NotFound: There is no such bucket.

        Example:
            >>> [version.is_latest async for version in client.list_versions("s3://demo/logs/")]
            [True, True]
        """
        place = self._session.place(uri)
        async for page in place.store.list_versions(place.key, ListOptions(start_after=start_after)):
            for version in page.versions:
                yield version

    async def buckets(self) -> AsyncIterator[BucketInfo]:
        """Yield the buckets of the caller.

        Example:
            >>> "demo" in [bucket.name async for bucket in client.buckets()]
            True
        """
        client = self._session.connection().client
        token = ""
        while True:
            parsed = await client.list_buckets(token=token)
            for bucket in parsed.page:
                yield bucket
            if not parsed.is_truncated or parsed.next_token in {"", token}:
                return
            token = parsed.next_token
