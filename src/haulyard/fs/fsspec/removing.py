"""The methods that remove objects, and make and remove buckets."""

from __future__ import annotations

from contextlib import aclosing
from glob import has_magic
from typing import TYPE_CHECKING, Any, cast

from fsspec.asyn import sync_wrapper

from haulyard.client.cancelling import cancelled_once
from haulyard.errors import NotFound
from haulyard.fs.fsspec.base import Target
from haulyard.fs.fsspec.errors import directory_error, exists_error, missing_error, os_errors
from haulyard.fs.fsspec.writing import WritingMethods
from haulyard.models import DeleteItem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from haulyard.models import VersionPage


class RemovingMethods(WritingMethods):
    """The methods that remove."""

    @os_errors
    @cancelled_once
    async def _rm_file(self, path: str, **_: Any) -> None:
        target = self._object(path)
        try:
            await self._delete(target.bucket, [target.key], target.version_id)
        finally:
            self._forget(path)

    @os_errors
    @cancelled_once
    async def _rm(
        self,
        path: str | list[str],
        recursive: bool = False,
        batch_size: int | None = None,  # noqa: ARG002 -- deletes go a thousand a request
        maxdepth: int | None = None,
        **_: Any,
    ) -> list[str]:
        self._ask_anew(path)
        removed: list[str] = []
        for each in [path] if isinstance(path, str) else path:
            if has_magic(self._strip_protocol(each)):
                found = await self._expand_path(each, recursive=recursive, maxdepth=maxdepth)
                removed += await self._remove_keys(list(map(self._target, found)))
                continue
            target = self._target(each)
            if recursive and maxdepth is None:
                removed += await self._remove_tree(each, target)
            elif recursive:
                found = await self._find(each, maxdepth=maxdepth)
                removed += await self._remove_keys(list(map(self._target, found)))
            elif not target.key:
                await self._remove_bucket(target.bucket)
            elif isinstance(path, str):
                await self._refuse_directory(each, target)
                removed += await self._remove_keys([target])
        if isinstance(path, list) and not recursive:
            named = [self._target(each) for each in path if not has_magic(each)]
            removed += await self._remove_keys([each for each in named if each.key])
        return removed

    async def _remove_tree(self, path: str, target: Target) -> list[str]:
        """Remove an object of that name, and all below it; of a bucket all versions, and the bucket."""
        target = target._replace(key=target.key.rstrip("/"))
        keys = [key async for key in self._keys_below(target)]
        if target.key and not keys:
            raise missing_error(path)
        removed = await self._remove_keys([Target(target.bucket, key) for key in keys])
        if target.key:
            await self._sweep(target, keys)
        else:
            await self._remove_versions(target.bucket)
            await self._remove_bucket(target.bucket)
        return removed

    async def _remove_keys(self, targets: Sequence[Target]) -> list[str]:
        """Remove objects, and return their paths."""
        by_bucket: dict[str, list[str]] = {}
        for target in targets:
            by_bucket.setdefault(target.bucket, []).append(target.key)
        for bucket, keys in by_bucket.items():
            await self._delete(bucket, keys)
        return [f"{bucket}/{key}" for bucket, keys in by_bucket.items() for key in keys]

    async def _sweep(self, target: Target, keys: Sequence[str]) -> None:
        """Remove the directories that a store goes on listing when nothing is left in them.

        SeaweedFS does so. Deleting their keys, the deepest first, makes it forget them.
        """
        store = await self._proved(target.bucket, may_write=False)
        if store.capabilities.ordered_listing:
            # Its directories are none of their own: they would stand in the way of the order.
            return
        directories = {f"{target.key}/"}
        for key in keys:
            parent = key.rpartition("/")[0]
            while len(parent) > len(target.key):
                directories.add(f"{parent}/")
                parent = parent.rpartition("/")[0]
        by_depth: dict[int, list[str]] = {}
        for name in directories:
            by_depth.setdefault(name.count("/"), []).append(name)
        for depth in sorted(by_depth, reverse=True):
            await self._delete(target.bucket, by_depth[depth])

    async def _refuse_directory(self, path: str, target: Target) -> None:
        """Raise where a path that is to be removed by itself is a directory, or nothing."""
        if target.key.endswith("/"):
            return
        if (await self._info(path, refresh=True))["type"] == "directory":
            raise directory_error(path, "it is a directory: remove it with recursive=True")

    async def _keys_below(self, target: Target) -> AsyncIterator[str]:
        """Yield the key itself, if there is such an object, and all keys below it, markers too."""
        if target.key and await self._head(target.key, target) is not None:
            yield target.key
        prefix = f"{target.key}/" if target.key else ""
        async with aclosing(self._pages(target.bucket, prefix)) as pages:
            async for page in pages:
                for each in page:
                    yield each.key

    async def _delete(self, bucket: str, keys: Sequence[str], version_id: str = "") -> None:
        """Delete keys, a thousand a request.

        Raises:
            HaulError: The error of the first that could not be deleted; the others were.
        """
        if not keys:
            return
        store = self._store(bucket)
        try:
            outcomes = await store.delete_many([DeleteItem(key, version_id) for key in keys])
        finally:
            self._listings.forget({f"{bucket}/{key}".rstrip("/") for key in keys})
        error = next((each.error for each in outcomes if each.error is not None), None)
        if error is not None:
            raise error

    async def _remove_versions(self, bucket: str) -> None:
        """Remove what a bucket with versions keeps of objects that were removed."""
        store = self._store(bucket)
        if not store.capabilities.versions:
            return
        async with aclosing(cast("AsyncGenerator[VersionPage]", store.list_versions())) as pages:
            async for page in pages:
                await store.delete_many([DeleteItem(each.key, each.version_id) for each in page.versions])

    async def _remove_bucket(self, bucket: str) -> None:
        try:
            await self._here().session.connection().client.delete_bucket(bucket)
        finally:
            self._listings.refresh()

    # Directories, which are buckets or nothing

    @os_errors
    @cancelled_once
    async def _mkdir(self, path: str, create_parents: bool = True, region_name: str = "", **_: Any) -> None:  # noqa: ARG002 -- fsspec's signature
        """Make a bucket; what lies in one needs nothing to be made.

        A bucket is made by its own name alone: one that was mistyped in a path would be a new one.
        """
        target = self._target(path)
        if not target.bucket:
            raise ValueError("the root is there already: name a bucket")
        client = self._here().session.connection().client
        if target.key:
            await self._reach(target.bucket)
            return
        try:
            await client.head_bucket(target.bucket)
        except NotFound:
            region = region_name or self._given.settings.region
            try:
                await client.create_bucket(target.bucket, region)
            finally:
                self._listings.refresh()
            return
        raise exists_error(path)

    @os_errors
    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make sure that a path can be written to; no bucket is made (`fsspec.open` calls this for any)."""
        target = self._target(path)
        if not target.bucket:
            raise ValueError("the root is there already: name a bucket")
        await self._reach(target.bucket)
        if not (target.key or exist_ok):
            raise exists_error(path)

    @os_errors
    @cancelled_once
    async def _rmdir(self, path: str) -> None:
        target = self._target(self._strip_protocol(path))
        if not target.key:
            await self._remove_bucket(target.bucket)
            return
        keys = []
        async for key in self._keys_below(target):
            keys.append(key)
            if len(keys) > 1:
                break
        if not keys:
            raise missing_error(path)
        if keys != [f"{target.key}/"]:
            raise exists_error(path, "there is something in it: remove it with rm(recursive=True)")
        await self._delete(target.bucket, keys)

    rmdir = sync_wrapper(_rmdir)
