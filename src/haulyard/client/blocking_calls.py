"""The calls on objects, listings and buckets, without ``await``; what they do is said in their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack, overload

from haulyard.client.blocking_files import ObjectReader, ObjectWriter, UploadWriter, open_reader
from haulyard.client.files import key_alone, refuse_reading

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import timedelta

    from haulyard.client.arguments import Properties, Range
    from haulyard.client.async_client import AsyncClient
    from haulyard.client.portal import Portal
    from haulyard.client.results import CommonPrefix
    from haulyard.models import (
        BucketInfo,
        DeleteOutcome,
        Encryption,
        ObjectAcl,
        ObjectHead,
        ObjectInfo,
        ObjectVersion,
        PresignedPost,
        PresignedUrl,
        PutResult,
    )
    from haulyard.models.body import Buffer
    from haulyard.stores.access import Probe


class BlockingCalls:
    """A group of the calls of a `Client`, each of which is one call through the portal."""

    _client: AsyncClient
    _portal: Portal


class BlockingObjectCalls(BlockingCalls):
    """Objects, listings and buckets."""

    def get(
        self,
        uri: str,
        *,
        range: Range | None = None,  # noqa: A002 -- as in `AsyncClient.get`
        version_id: str = "",
        if_match: str = "",
        encryption: Encryption | None = None,
    ) -> bytes:
        """Return the content of an object, or of ``range`` of it; as `AsyncClient.get`."""
        return self._portal.call(
            self._client.get,
            uri,
            range=range,
            version_id=version_id,
            if_match=if_match,
            encryption=encryption,
        )

    def put(
        self,
        uri: str,
        data: Buffer,
        *,
        if_match: str = "",
        if_none_match: str = "",
        **properties: Unpack[Properties],
    ) -> PutResult:
        """Write bytes as an object, in one request; as `AsyncClient.put`."""
        return self._portal.call(
            self._client.put, uri, data, if_match=if_match, if_none_match=if_none_match, **properties
        )

    def head(self, uri: str, *, version_id: str = "", encryption: Encryption | None = None) -> ObjectHead:
        """Describe an object without reading it; as `AsyncClient.head`."""
        return self._portal.call(self._client.head, uri, version_id=version_id, encryption=encryption)

    def exists(self, uri: str) -> bool:
        """Say whether there is an object or a bucket; as `AsyncClient.exists`."""
        return self._portal.call(self._client.exists, uri)

    def delete(self, uri: str, *, version_id: str = "", if_match: str = "") -> DeleteOutcome:
        """Delete an object, or a version of it; as `AsyncClient.delete`."""
        return self._portal.call(self._client.delete, uri, version_id=version_id, if_match=if_match)

    def delete_many(self, uris: Iterable[str]) -> builtins.list[DeleteOutcome]:
        """Delete objects, and return the outcome of each in order; as `AsyncClient.delete_many`."""
        return self._portal.call(self._client.delete_many, uris)

    def get_tags(self, uri: str, *, version_id: str = "") -> dict[str, str]:
        """Return the tags of an object; as `AsyncClient.get_tags`."""
        return self._portal.call(self._client.get_tags, uri, version_id=version_id)

    def set_tags(self, uri: str, tags: Mapping[str, str], *, version_id: str = "") -> None:
        """Replace the tags of an object; as `AsyncClient.set_tags`."""
        return self._portal.call(self._client.set_tags, uri, tags, version_id=version_id)

    def get_acl(self, uri: str, *, version_id: str = "") -> ObjectAcl:
        """Return owner and grants of an object; as `AsyncClient.get_acl`."""
        return self._portal.call(self._client.get_acl, uri, version_id=version_id)

    def set_acl(self, uri: str, acl: str | ObjectAcl, *, version_id: str = "") -> None:
        """Replace the ACL of an object; as `AsyncClient.set_acl`."""
        return self._portal.call(self._client.set_acl, uri, acl, version_id=version_id)

    def restore(
        self, uri: str, *, days: int | None = 1, tier: str = "Standard", version_id: str = ""
    ) -> bool:
        """Ask for an archived object to be brought back; as `AsyncClient.restore`."""
        return self._portal.call(self._client.restore, uri, days=days, tier=tier, version_id=version_id)

    @overload
    def open(
        self,
        uri: str,
        mode: Literal["rb"] = "rb",
        *,
        range: Range | None = None,
        version_id: str = "",
        if_match: str = "",
        encryption: Encryption | None = None,
    ) -> ObjectReader: ...

    @overload
    def open(self, uri: str, mode: Literal["wb", "xb"], **properties: Unpack[Properties]) -> ObjectWriter: ...

    def open(
        self,
        uri: str,
        mode: Literal["rb", "wb", "xb"] = "rb",
        *,
        range: Range | None = None,  # noqa: A002 -- as in `AsyncClient.open`
        version_id: str = "",
        if_match: str = "",
        **properties: Unpack[Properties],
    ) -> ObjectReader | ObjectWriter:
        """Open an object as a binary file of the standard library; as `AsyncClient.open`.

        A reader has ``seek``: it is an `io.BufferedReader`, for `zipfile`, `csv` (by `io.TextIOWrapper`) and
        whatever else takes a file. A writer is an `io.BufferedWriter`.

        Example:
            >>> with client.open("s3://demo/hello.txt") as file:
            ...     file.seek(-5, 2), file.read()
            (7, b'world')
        """
        if mode == "rb":
            key = key_alone(properties)
            return open_reader(self._portal, self._client, uri, range, version_id, if_match, key)
        refuse_reading(range, version_id, if_match)
        writer = self._client.open(uri, mode, **properties)
        return ObjectWriter(UploadWriter(self._portal, writer, uri))

    # Listings

    @overload
    def list(
        self, uri: str, *, delimiter: Literal[""] = "", start_after: str = ""
    ) -> Iterator[ObjectInfo]: ...

    @overload
    def list(
        self, uri: str, *, delimiter: str, start_after: str = ""
    ) -> Iterator[ObjectInfo | CommonPrefix]: ...

    def list(
        self, uri: str, *, delimiter: str = "", start_after: str = ""
    ) -> Iterator[ObjectInfo | CommonPrefix]:
        """Yield the objects whose keys start with that of ``uri``; as `AsyncClient.list`."""
        return self._portal.iterate(self._client.list(uri, delimiter=delimiter, start_after=start_after))

    def list_versions(self, uri: str, *, start_after: str = "") -> Iterator[ObjectVersion]:
        """Yield versions and delete markers; as `AsyncClient.list_versions`."""
        return self._portal.iterate(self._client.list_versions(uri, start_after=start_after))

    def buckets(self) -> Iterator[BucketInfo]:
        """Yield the buckets of the caller; as `AsyncClient.buckets`."""
        return self._portal.iterate(self._client.buckets())

    # Buckets

    def make_bucket(self, uri: str, *, region: str = "", object_lock: bool = False) -> None:
        """Make a bucket; as `AsyncClient.make_bucket`."""
        return self._portal.call(self._client.make_bucket, uri, region=region, object_lock=object_lock)

    def remove_bucket(self, uri: str) -> None:
        """Remove a bucket that is empty; as `AsyncClient.remove_bucket`."""
        return self._portal.call(self._client.remove_bucket, uri)

    def check_access(self, uri: str, *, read_only: bool = False) -> builtins.list[Probe]:
        """Try every kind of call on a bucket; as `AsyncClient.check_access`."""
        return self._portal.call(self._client.check_access, uri, read_only=read_only)

    def presign(
        self,
        uri: str,
        *,
        method: Literal["GET", "PUT", "HEAD", "DELETE"] = "GET",
        expires_in: float | timedelta = 3600,
        version_id: str = "",
        **properties: Unpack[Properties],
    ) -> PresignedUrl:
        """Return a URL that does ``method`` without credentials; as `AsyncClient.presign`."""
        return self._portal.call(
            self._client.presign,
            uri,
            method=method,
            expires_in=expires_in,
            version_id=version_id,
            **properties,
        )

    def presign_post(
        self,
        uri: str,
        *,
        expires_in: float | timedelta = 3600,
        max_size: int = 0,
        **properties: Unpack[Properties],
    ) -> PresignedPost:
        """Return a form that uploads without credentials; as `AsyncClient.presign_post`."""
        return self._portal.call(
            self._client.presign_post, uri, expires_in=expires_in, max_size=max_size, **properties
        )
