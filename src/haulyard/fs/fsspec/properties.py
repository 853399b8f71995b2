"""What an object has besides its content: metadata, tags, versions, ACL, and URLs that let others read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from fsspec.asyn import sync_wrapper

from haulyard.client.cancelling import cancelled_once
from haulyard.fs.fsspec.buckets import into_bucket
from haulyard.fs.fsspec.copying import CopyingMethods
from haulyard.fs.fsspec.errors import os_errors
from haulyard.fs.fsspec.merging import Merger, Source
from haulyard.fs.fsspec.options import written_properties
from haulyard.fs.fsspec.workers import each_of
from haulyard.fs.fsspec.writing import encryption_kept
from haulyard.models import GetOptions
from haulyard.stores.bucket_settings import BucketSettings
from haulyard.stores.fate import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.fs.fsspec.base import Target
    from haulyard.fs.fsspec.entries import Entry
    from haulyard.models import ObjectHead

_METHODS = {"get_object": "GET", "put_object": "PUT", "head_object": "HEAD", "delete_object": "DELETE"}


class PropertyMethods(CopyingMethods):
    """The methods about metadata, tags, versions, ACLs and URLs."""

    @os_errors
    async def _metadata(self, path: str, **_: Any) -> dict[str, str]:
        """Return the metadata of an object, names in lower case."""
        head = await self._headed(self._object(path))
        return {name: value for name, value in head.metadata.items() if name != TOKEN}

    async def _getxattr(self, path: str, attr_name: str, **_: Any) -> str | None:
        """Return one value of an object's metadata; None where it has none of that name."""
        return (await self._metadata(path)).get(attr_name.replace("_", "-").lower())

    @os_errors
    @cancelled_once
    async def _setxattr(
        self, path: str, copy_kwargs: Mapping[str, Any] | None = None, **values: str | None
    ) -> None:
        """Set values of an object's metadata; None removes one.

        S3 does so by copying the object onto itself; what else it has it keeps, but for its ACL.
        """
        target = self._object(path)
        head = await self._headed(target)
        metadata = {name: value for name, value in head.metadata.items() if name != TOKEN}
        for name, value in values.items():
            plain = name.replace("_", "-").lower()
            if value is None:
                metadata.pop(plain, None)
            else:
                metadata[plain] = value
        kept: dict[str, Any] = {
            "content_type": head.content_type,
            "content_encoding": head.content_encoding,
            "content_disposition": head.content_disposition,
            "content_language": head.content_language,
            "cache_control": head.cache_control,
            "expires": head.expires,
            "storage_class": "" if head.storage_class == "STANDARD" else head.storage_class,
            "website_redirect": head.headers.get("x-amz-website-redirect-location", ""),
        }
        given = written_properties(copy_kwargs or {}, "copy_kwargs")
        encryption = encryption_kept(head)
        if encryption is not None and not any(
            each.startswith("sse") for each in (*given, *self._given.written)
        ):
            # Without it the copy would have the bucket's own.
            kept["sse"], kept["sse_kms_key_id"] = encryption.mode, encryption.kms_key_id
            kept["sse_bucket_key"] = encryption.bucket_key
        properties = {**kept, **given, "metadata": metadata}
        try:
            await self._copied(target, target._replace(version_id=""), None, moving=False, **properties)
        finally:
            self._forget(path)

    metadata = sync_wrapper(_metadata)
    getxattr = sync_wrapper(_getxattr)
    setxattr = sync_wrapper(_setxattr)

    # Tags

    @os_errors
    async def _get_tags(self, path: str) -> dict[str, str]:
        """Return the tags of an object."""
        target = self._object(path)
        return await self._store(target.bucket).get_tags(target.key, target.version_id)

    @os_errors
    @cancelled_once
    async def _put_tags(self, path: str, tags: Mapping[str, str], mode: Literal["o", "m"] = "o") -> None:
        """Replace the tags of an object (mode ``o``), or add to them (``m``)."""
        if mode not in {"o", "m"}:
            raise ValueError(f"mode={mode!r}: 'o' to replace the tags, 'm' to add to them")
        target = self._object(path)
        store = self._store(target.bucket)
        if mode == "m":
            tags = {**await store.get_tags(target.key, target.version_id), **tags}
        await store.set_tags(target.key, tags, target.version_id)

    get_tags = sync_wrapper(_get_tags)
    put_tags = sync_wrapper(_put_tags)

    # Access

    @os_errors
    @cancelled_once
    async def _chmod(self, path: str, acl: str, recursive: bool = False, **_: Any) -> None:
        """Give an object, or with ``recursive`` all below a path, a canned ACL (``private`` …)."""
        paths = await self._find(path) if recursive else [path]

        async def change(each: str) -> None:
            target = self._object(each)
            await self._store(target.bucket).set_acl(target.key, acl, target.version_id)

        await each_of(list(paths), change, self._workers(None), stop=True)

    @os_errors
    async def _url(self, path: str, expires: int = 3600, client_method: str = "get_object", **_: Any) -> str:
        """Return a URL that lets whoever holds it read an object, without credentials.

        It lives ``expires`` seconds. ``client_method`` is what it does: ``get_object``, ``put_object``,
        ``head_object`` or ``delete_object``.
        """
        if client_method not in _METHODS:
            raise ValueError(f"client_method={client_method!r}: one of {', '.join(_METHODS)}")
        target = self._object(path)
        store = self._store(target.bucket)
        return await store.presign(_METHODS[client_method], target.key, expires, version_id=target.version_id)

    chmod = sync_wrapper(_chmod)
    url = sync_wrapper(_url)

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        """Return a signed URL that lives ``expiration`` seconds."""
        return self.url(path, expires=expiration, **kwargs)  # type: ignore[no-any-return]  # fsspec has no types

    # Of several objects one

    @os_errors
    @into_bucket
    @cancelled_once
    async def _merge(self, path: str, filelist: Sequence[str], **properties: Any) -> dict[str, Any]:
        """Make one object of several, in their order; they stay.

        Those of 5 MiB and more are copied inside the store; smaller ones, and what they need of their
        neighbours to make a part, pass through this machine.
        """
        target = self._object(path)
        options = self._put_options(properties, target.key)
        workers = self._workers(None)

        async def ask(each: str) -> Source:
            source = self._object(each)
            return Source(self._store(source.bucket), await self._headed(source), source.version_id)

        asked = await each_of(filelist, ask, workers, stop=True)
        sources = [each for each in asked if not isinstance(each, Exception)]
        merger = Merger(self._store(target.bucket), target.key, sources, self._customer_key, workers)
        try:
            result = await merger.run(options)
        finally:
            self._forget(path)
        return {"ETag": f'"{result.etag}"', "VersionId": result.version_id or None}

    merge = sync_wrapper(_merge)

    # Versions, and uploads that nobody completed

    @os_errors
    async def _object_version_info(self, path: str, **_: Any) -> list[Entry]:
        """Return all versions of an object, the newest first."""
        return await self._versions(self._target(self._strip_protocol(path)), exact=True)

    @os_errors
    async def _is_bucket_versioned(self, bucket: str) -> bool:
        """Say whether a bucket keeps versions of what is written from now on."""
        return await self._settings_of(bucket).versioning() == "Enabled"

    @os_errors
    @cancelled_once
    async def _make_bucket_versioned(self, bucket: str, versioned: bool = True) -> None:
        """Let a bucket keep versions, or no more; those that there are stay."""
        await self._settings_of(bucket).set_versioning(enabled=versioned)

    def _settings_of(self, bucket: str) -> BucketSettings:
        return BucketSettings(self._here().session.connection(), self._target(bucket).bucket)

    @os_errors
    async def _list_multipart_uploads(self, bucket: str) -> list[dict[str, Any]]:
        """Return the uploads in a bucket that were neither completed nor given up."""
        return [
            {"Key": each.key, "UploadId": each.upload_id, "Initiated": each.initiated}
            async for each in self._store(self._target(bucket).bucket).list_uploads()
        ]

    @os_errors
    @cancelled_once
    async def _clear_multipart_uploads(self, bucket: str) -> None:
        """Give up all uploads in a bucket: their parts cost as much as objects do."""
        store = self._store(self._target(bucket).bucket)
        uploads = [(each.key, each.upload_id) async for each in store.list_uploads()]

        async def abort(upload: tuple[str, str]) -> None:
            await store.abort_multipart(*upload)

        await each_of(uploads, abort, self._workers(None), stop=True)

    is_bucket_versioned = sync_wrapper(_is_bucket_versioned)
    make_bucket_versioned = sync_wrapper(_make_bucket_versioned)
    object_version_info = sync_wrapper(_object_version_info)
    list_multipart_uploads = sync_wrapper(_list_multipart_uploads)
    clear_multipart_uploads = sync_wrapper(_clear_multipart_uploads)

    async def _headed(self, target: Target) -> ObjectHead:
        options = GetOptions(version_id=target.version_id, encryption=self._customer_key)
        return await self._store(target.bucket).head(target.key, options)
