"""What there is: `info`, `ls`, `find` and what else asks for names, sizes and times."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from fsspec.asyn import sync_wrapper
from fsspec.utils import tokenize

from haulyard.errors import AccessDenied, NotFound, S3PermissionError
from haulyard.fs.explaining import refusal
from haulyard.fs.fsspec.base import FileSystemBase, Target
from haulyard.fs.fsspec.buckets import into_bucket
from haulyard.fs.fsspec.entries import bucket_entry, directory, etag_of, headed, listed, versioned
from haulyard.fs.fsspec.errors import directory_error, missing_error, os_errors
from haulyard.models import GetOptions, ListOptions
from haulyard.transfer.spread import PAGE, Span, SpreadListing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from datetime import datetime

    from haulyard.fs.fsspec.entries import Entry
    from haulyard.models import ListPage, ObjectInfo

#: Objects of a `find` up to which it is remembered, directory by directory, so that opening them needs no
#: request for their sizes.
_REMEMBERED: Final = 10_000
#: Seconds for a page below which one after the other is the fastest (`benchmarks/fs_find.py`: listing by
#: prefixes took the embedded store on two cores twice as long). AWS takes 50 to 100 ms.
_NEAR: Final = 0.03
_FOLDED: Final = ListOptions(delimiter="/")
#: Without a delimiter: SeaweedFS lists directories as prefixes that nothing is left in.
_FIRST: Final = ListOptions(page_size=1)
_name_of = itemgetter("name")


class ListingMethods(FileSystemBase):
    """The methods that describe and list."""

    @os_errors
    async def _info(
        self, path: str, *, refresh: bool = False, version_id: str | None = None, **_: Any
    ) -> Entry:
        name = self._strip_protocol(path)
        target = self._object(name, version_id) if version_id else self._target(name)
        if not target.bucket:
            return directory("")
        # A listing knows no versions.
        if not (refresh or self.version_aware) and (known := self._listings.entry(name)):
            return known
        if not target.key:
            await self._here().session.connection().client.head_bucket(target.bucket)
            return {**directory(name), "StorageClass": "BUCKET"}
        with self._listings.asking(name, listing=False) as question:
            found = await self._head(name, target)
            if found is None:
                if not await self._is_prefix(target):
                    raise missing_error(path)
                found = directory(name)
            if not target.version_id:
                question.keep(found)
        return found

    async def _head(self, name: str, target: Target) -> Entry | None:
        """Return the entry of an object; None where there is none of that name."""
        options = GetOptions(version_id=target.version_id, encryption=self._customer_key)
        store = self._store(target.bucket)
        try:
            head = await store.head(target.key, options)
        except NotFound:
            return None
        except S3PermissionError as error:
            raise await refusal(store, error, target.key) from None
        return headed(name, head)

    async def _is_prefix(self, target: Target) -> bool:
        """Say whether there is anything below a directory."""
        if target.version_id:
            return False
        prefix = target.key.rstrip("/") + "/"
        async with aclosing(self._store(target.bucket).list(prefix, _FIRST)) as pages:  # type: ignore[type-var]  # a listing is a generator, which the port does not say
            async for page in pages:
                return bool(page.objects)
        return False

    async def _exists(self, path: str, **kwargs: Any) -> bool:
        try:
            await self._info(path, **kwargs)
        except FileNotFoundError:
            return False
        return True

    @os_errors
    async def _isdir(self, path: str) -> bool:
        name = self._strip_protocol(path)
        target = self._target(name)
        if not target.bucket:
            return True
        if kinds := self._listings.kinds(name):
            # There may be an object of the same name, too.
            return "directory" in kinds
        try:
            if not target.key:
                return (await self._info(path))["type"] == "directory"  # type: ignore[no-any-return]  # fsspec has no types
            return await self._is_prefix(target)
        except (NotFound, FileNotFoundError):
            return False

    @os_errors
    async def _isfile(self, path: str) -> bool:
        name = self._strip_protocol(path)
        target = self._target(name)
        if not target.key or path.endswith("/"):
            return False
        if known := self._listings.entry(name):
            return bool(known["type"] == "file")
        return await self._head(name, target) is not None

    @os_errors
    async def _ls(
        self, path: str, detail: bool = False, *, refresh: bool = False, versions: bool = False, **_: Any
    ) -> list[Entry] | list[str]:
        name = self._strip_protocol(path)
        target = self._target(name)
        if versions:
            entries = await self._versions(target)
        elif not target.bucket:
            entries = await self._buckets(refresh=refresh)
        else:
            entries = await self._level(name, target, refresh=refresh)
            if not entries and target.key:
                found = await self._head(name, target)
                if found is None and not await self._is_prefix(target):
                    raise missing_error(path)
                entries = [] if found is None else [found]
        return entries if detail else [entry["name"] for entry in entries]

    async def _level(
        self, name: str, target: Target, *, start: str = "", refresh: bool = False
    ) -> list[Entry]:
        """Return what lies in a directory and begins with ``start``, without the directory's own marker."""
        known = None if refresh or start else self._listings.listing(name)
        if known is not None:
            return known
        prefix = f"{target.key}/" if target.key else ""
        entries: list[Entry] = []
        with self._listings.asking(name, listing=True) as question:
            async for page in self._store(target.bucket).list(prefix + start, _FOLDED):
                entries += listed(target.bucket, (each for each in page.objects if each.key != prefix))
                entries += (directory(f"{target.bucket}/{each[:-1]}") for each in page.prefixes)
            entries.sort(key=_name_of)
            if entries and not start:
                question.keep_all(entries)
        return entries

    async def _buckets(self, *, refresh: bool = False) -> list[Entry]:
        """Return the caller's buckets; none where he may not list them, as others may still be reached."""
        known = None if refresh else self._listings.listing("")
        if known is not None:
            return known
        with self._listings.asking("", listing=True) as question:
            client = self._here().session.connection().client
            entries: list[Entry] = []
            token = ""
            try:
                while True:
                    parsed = await client.list_buckets(token=token)
                    entries += map(bucket_entry, parsed.page)
                    if not parsed.is_truncated or parsed.next_token in {"", token}:
                        break
                    token = parsed.next_token
            except AccessDenied:
                return []
            entries.sort(key=_name_of)
            question.keep_all(entries)
        return entries

    @into_bucket
    async def _reach(self, bucket: str) -> None:
        """Raise where there is no such bucket, or it must not be reached."""
        await self._here().session.connection().client.head_bucket(bucket)

    async def _versions(self, target: Target, *, exact: bool = False) -> list[Entry]:
        """Return all versions in a directory, or of one key."""
        if not self.version_aware:
            raise ValueError("versions need a filesystem with version_aware=True")
        prefix = target.key if exact or not target.key else f"{target.key}/"
        options = ListOptions(delimiter="" if exact else "/")
        entries: list[Entry] = []
        async for page in self._store(target.bucket).list_versions(prefix, options):
            found = (each for each in page.versions if not exact or each.key == target.key)
            entries += versioned(target.bucket, found)
        return entries

    # Trees

    @os_errors
    async def _find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        *,
        detail: bool = False,
        prefix: str | None = "",
        **_: Any,
    ) -> list[str] | dict[str, Entry]:
        prefix = prefix or ""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        name = self._strip_protocol(path)
        target = self._target(name)
        if not target.bucket:
            if maxdepth != 1:
                raise ValueError("find in all buckets at once: name a bucket, or give maxdepth=1")
            entries = [each for each in await self._buckets() if each["name"].startswith(prefix)]
            entries = entries if withdirs else []
        elif maxdepth is None:
            entries = await self._tree(name, target, prefix, withdirs=withdirs)
        else:
            entries = await self._levels(name, target, prefix, maxdepth, withdirs=withdirs)
        if not prefix and target.key:
            if not entries and (found := await self._head(name, target)):
                entries = [found]
            elif entries and withdirs:
                entries.insert(0, directory(name))
        elif withdirs and target.bucket and not prefix:
            entries.insert(0, directory(name))
        if detail:
            return {entry["name"]: entry for entry in entries}
        return [entry["name"] for entry in entries]

    async def _tree(self, name: str, target: Target, start: str, *, withdirs: bool) -> list[Entry]:
        """Return all objects below a directory whose paths in it begin with ``start``, by name."""
        below = f"{target.key}/" if target.key else ""
        entries: list[Entry] = []
        with self._listings.asking(name, listing=True) as question:
            async with aclosing(self._pages(target.bucket, below + start)) as pages:
                async for page in pages:
                    entries += listed(target.bucket, page)
            # Markers stand for directories, and are none of their files.
            if any(map(_is_marker, entries)):
                markers = [each["name"] for each in entries if _is_marker(each)]
                entries = [each for each in entries if not _is_marker(each)]
            else:
                markers = []
            entries.sort(key=_name_of)
            directories = {}
            if withdirs or (not start and len(entries) <= _REMEMBERED):
                directories = _directories(name, entries, markers)
            if not start and len(entries) <= _REMEMBERED:
                question.keep_tree(_by_directory(name, entries, directories))
        if withdirs and directories:
            entries = sorted([*entries, *directories.values()], key=_name_of)
        return entries

    async def _pages(self, bucket: str, prefix: str) -> AsyncGenerator[list[ObjectInfo]]:
        """Yield the objects with a prefix, a page at a time, in no certain order.

        A store that answers at once is asked for one page after the other; where each takes its time, several
        are asked for at once.
        """
        began = time.perf_counter()
        pages = cast("AsyncGenerator[ListPage]", self._store(bucket).list(prefix))
        async with aclosing(pages):
            first = await anext(pages)
            is_near = time.perf_counter() - began < _NEAR
            yield first.objects
            if len(first.objects) < PAGE or is_near:
                async for page in pages:
                    yield page.objects
                return
        store = await self._proved(bucket, prefix, may_write=False)
        workers = self._given.settings.concurrency
        if store.capabilities.ordered_listing:
            rest = [Span(prefix, first.objects[-1].key)]
            listing = SpreadListing(store, prefix, workers=workers, start=rest)
            seen = frozenset[str]()
        else:
            # Only all of it can be spread; what was yielded is passed over.
            listing = SpreadListing(store, prefix, workers=workers)
            seen = frozenset(each.key for each in first.objects)
        async with aclosing(listing.pages()) as spread:
            async for objects in spread:
                yield [each for each in objects if each.key not in seen] if seen else objects

    async def _levels(
        self, name: str, target: Target, start: str, depth: int, *, withdirs: bool
    ) -> list[Entry]:
        """Return what lies at most ``depth`` levels below a directory, by name."""
        entries = await self._level(name, target, start=start)
        if depth > 1:
            inner = [each["name"] for each in entries if each["type"] == "directory"]
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._levels(each, self._target(each), "", depth - 1, withdirs=withdirs)
                    )
                    for each in inner
                ]
            for task in tasks:
                entries += task.result()
        if not withdirs:
            entries = [each for each in entries if each["type"] == "file"]
        entries.sort(key=_name_of)
        return entries

    @os_errors
    async def _du(
        self, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **_: Any
    ) -> int | dict[str, int]:
        found = await self._find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: entry["size"] for name, entry in found.items()}  # type: ignore[union-attr]  # detail=True gives a dictionary
        return sum(sizes.values()) if total else sizes

    async def _walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], object] | None = None,
        *,
        below: str | Callable[[OSError], object] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[tuple[str, Any, Any]]:
        """Walk a tree; ``on_error`` is ``raise``, ``omit`` or a function that is called with the error.

        Without it what is not there is left out, and every other error is raised: a tree that could not be
        listed is no empty one. ``below`` is how fsspec's own recursion, which forgets it, is told.
        """
        if self._strip_protocol(path) in {"", "*"}:
            raise ValueError("walk through all buckets at once: name a bucket")
        on_error = below or on_error or _raise_unless_missing
        async for each in super()._walk(path, maxdepth, topdown, on_error, below=on_error, **kwargs):
            yield each

    async def _glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        if self._strip_protocol(path).startswith("*"):
            raise ValueError("glob through all buckets at once: name a bucket")
        return await super()._glob(path, maxdepth, **kwargs)

    # What is known of one path

    async def _checksum(self, path: str, *, refresh: bool = False) -> int:
        info = await self._info(path, refresh=refresh)
        if info["type"] == "directory":
            return int(tokenize(info), 16)
        etag = etag_of(info).partition("-")[0]
        return int(etag, 16) if etag and set(etag) <= set("0123456789abcdef") else int(tokenize(etag), 16)

    async def _modified(self, path: str, version_id: str | None = None, *, refresh: bool = False) -> datetime:
        info = await self._info(path, version_id=version_id, refresh=refresh)
        if info["type"] == "directory":
            raise directory_error(path, "a directory has no time")
        return info["LastModified"]  # type: ignore[no-any-return]  # fsspec has no types

    checksum = sync_wrapper(_checksum)
    modified = sync_wrapper(_modified)

    def created(self, path: str) -> datetime:
        """Return when the object was written, which is when all of it was made."""
        return self.modified(path)  # type: ignore[no-any-return]  # likewise

    def ukey(self, path: str) -> str:
        """Return a text that changes with the content of a path."""
        info = self.info(path)
        return str(tokenize(info["name"], info["size"], etag_of(info)))


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_marker(entry: Entry) -> bool:
    return bool(entry["name"][-1] == "/")


def _directories(root: str, entries: list[Entry], markers: list[str]) -> dict[str, Entry]:
    """Return the directories below ``root`` that lead to these objects, or have a marker."""
    found: dict[str, Entry] = {}
    last = ""
    for name in [entry["name"] for entry in entries] + markers:
        parent = name.rpartition("/")[0].rstrip("/")
        if parent == last:
            continue
        last = parent
        while len(parent) > len(root) and parent not in found:
            found[parent] = directory(parent)
            parent = parent.rpartition("/")[0].rstrip("/")
    return found


def _by_directory(root: str, entries: list[Entry], directories: dict[str, Entry]) -> dict[str, list[Entry]]:
    """Return what lies in each directory."""
    tree: dict[str, list[Entry]] = {name: [] for name in (root, *directories)}
    for entry in (*entries, *directories.values()):
        inside = tree.get(entry["name"].rpartition("/")[0])
        # What no path leads to (a//b) is in no listing.
        if inside is not None:
            inside.append(entry)
    return {name: inside for name, inside in tree.items() if inside}
