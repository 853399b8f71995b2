"""The methods that read: whole objects, ranges of many, and files of this machine made of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import is_exception

from haulyard.errors import NotFound, PreconditionFailed, StoreError
from haulyard.events import BytesMoved
from haulyard.fs.fsspec.entries import headed
from haulyard.fs.fsspec.errors import directory_error, os_error, os_errors
from haulyard.fs.fsspec.listing import ListingMethods
from haulyard.fs.fsspec.options import checked_concurrency
from haulyard.fs.fsspec.ranges import GAP, Joined, Wanted, joined
from haulyard.fs.fsspec.workers import each_of
from haulyard.fs.ranged import Ranges, in_ranges
from haulyard.models import ByteRange, GetOptions
from haulyard.stores.local import LocalStore
from haulyard.transfer.download import Downloader
from haulyard.transfer.items import Item, Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsspec.callbacks import Callback

    from haulyard.events import Event
    from haulyard.fs.fsspec.base import Target
    from haulyard.fs.fsspec.entries import Entry

#: Objects above it are read in several ranges at a time, of this size, so many at once.
LARGE: Final = 16 * 1024**2
_CUT: Final = Ranges(8 * 1024**2, 8)
#: How often ranges of one object are read anew because it was replaced between them.
_ROUNDS: Final = 3


class _Request(NamedTuple):
    """Ranges of an object that are read together."""

    path: str
    target: Target
    span: Joined


class ReadingMethods(ListingMethods):
    """The methods that read."""

    @os_errors
    async def _cat_file(
        self,
        path: str,
        start: int | None = None,
        end: int | None = None,
        version_id: str | None = None,
        **_: Any,
    ) -> bytes:
        target = self._object(path, version_id)
        if start is None and end is None:
            return await self._whole(target)
        span = await self._span(path, start, end)
        if span.end is not None and span.end <= span.start:
            return b""
        return await self._part(target, span)

    async def _whole(self, target: Target) -> bytes:
        store = self._store(target.bucket)
        options = GetOptions(version_id=target.version_id, encryption=self._customer_key)
        async with await store.get(target.key, options) as reader:
            if reader.head.size <= LARGE:
                return await reader.read()
            return b"".join([piece async for piece in in_ranges(store, reader, options, _CUT)])

    async def _part(self, target: Target, span: ByteRange, if_match: str = "") -> bytes:
        """Return a range of an object; behind the end of any file there is nothing."""
        store = self._store(target.bucket)
        options = self._ranged(target, span, if_match)
        try:
            async with await store.get(target.key, options) as reader:
                size = (reader.range.end or 0) - reader.range.start
                if size <= LARGE:
                    return await reader.read()
                return b"".join([piece async for piece in in_ranges(store, reader, options, _CUT)])
        except StoreError as error:
            if error.code == "InvalidRange":
                return b""
            raise

    def _ranged(self, target: Target, span: ByteRange, if_match: str = "") -> GetOptions:
        return GetOptions(
            range=span,
            if_match=if_match,
            version_id=target.version_id,
            encryption=self._customer_key,
            want_checksum=False,
        )

    @os_errors
    async def _bound(self, target: Target, span: ByteRange, etag: str) -> bytes:
        """Return a range of the object with this ETag; of whatever there is, where that is empty."""
        return await self._part(target, span, etag)

    @os_errors
    async def _opened(self, path: str, target: Target, least: int) -> tuple[bytes, Entry]:
        """Return what an object is and, where that takes a request, the bytes that it begins with."""
        name = self._strip_protocol(path)
        known = None if self.version_aware else self._listings.entry(name)
        if known is not None and known["type"] == "file":
            return b"", known
        options = self._ranged(target, ByteRange(0, least))
        try:
            async with await self._store(target.bucket).get(target.key, options) as reader:
                return await reader.read(), headed(name, reader.head)
        except NotFound as error:
            if error.code != "NoSuchBucket" and await self._is_prefix(target):
                raise directory_error(path, "it is a directory") from error
            raise

    async def _span(self, path: str, start: int | None, end: int | None) -> ByteRange:
        """Return the bytes from ``start`` up to ``end``, either of which may count from the end."""
        if start is not None and start < 0 and end is None:
            return ByteRange(start)
        if (start or 0) < 0 or (end or 0) < 0:
            # Of an older object's size other bytes would follow.
            size = (await self._info(path, refresh=True))["size"]
            start, end, _ = slice(start, end).indices(size)
        return ByteRange(start or 0, end)

    async def _cat(
        self,
        path: str | list[str],
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> bytes | dict[str, bytes | Exception]:
        paths = await self._expand_path(path, recursive=recursive)
        if recursive:
            # What was expanded has directories in it, which have no content.
            paths = [each for each in paths if await self._isfile(each)]

        async def read(each: str) -> bytes:
            return await self._cat_file(each, **kwargs)

        found = await each_of(paths, read, self._workers(batch_size), stop=on_error == "raise")
        if len(paths) == 1 and isinstance(path, str) and paths[0] == self._strip_protocol(path):
            return found[0]  # type: ignore[return-value]  # an error, where errors are to be returned
        return {
            name: data
            for name, data in zip(paths, found, strict=True)
            if on_error != "omit" or not is_exception(data)
        }

    # Ranges of many objects

    @os_errors
    async def _cat_ranges(
        self,
        paths: list[str],
        starts: int | Sequence[int | None] | None,
        ends: int | Sequence[int | None] | None,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[bytes | Exception]:
        if not isinstance(paths, list):
            raise TypeError("paths has to be a list")
        firsts = list(starts) if isinstance(starts, Iterable) else [starts] * len(paths)
        lasts = list(ends) if isinstance(ends, Iterable) else [ends] * len(paths)
        if not len(paths) == len(firsts) == len(lasts):
            raise ValueError("paths, starts and ends have to be of one length")
        wanted: dict[str, list[Wanted]] = {}
        alone: list[int] = []
        found: list[bytes | Exception] = [b""] * len(paths)
        for index, (path, start, end) in enumerate(zip(paths, firsts, lasts, strict=True)):
            if end is None or end < 0 or (start or 0) < 0:
                alone.append(index)
            elif end > (start or 0):
                wanted.setdefault(path, []).append(Wanted(start or 0, end, index))
        gap = GAP if max_gap is None else max_gap
        workers = self._workers(batch_size)
        rounds = _ROUNDS
        while wanted and rounds:
            rounds -= 1
            wanted = await self._fetch(wanted, gap, workers, found, is_last=not rounds)

        async def read(index: int) -> bytes:
            return await self._cat_file(paths[index], firsts[index], lasts[index])

        for index, data in zip(alone, await each_of(alone, read, workers), strict=True):
            found[index] = data
        if on_error != "return" and (error := next(filter(is_exception, found), None)):
            raise error
        return found

    async def _fetch(
        self,
        wanted: dict[str, list[Wanted]],
        gap: int,
        workers: int,
        found: list[bytes | Exception],
        *,
        is_last: bool,
    ) -> dict[str, list[Wanted]]:
        """Read ranges into ``found``; return those of objects that were replaced while they were read."""
        requests = [
            _Request(path, self._object(path), span)
            for path, ranges in wanted.items()
            for span in joined(ranges, gap)
        ]
        etags: dict[str, set[str]] = {path: set() for path in wanted}

        async def read(request: _Request) -> None:
            span = request.span
            data = await self._read_request(request, etags[request.path])
            if len(span.parts) == 1:
                found[span.parts[0].owner] = data
                return
            for part in span.parts:
                found[part.owner] = data[part.start - span.start : part.end - span.start]

        results = await each_of(requests, read, workers)
        for request, result in zip(requests, results, strict=True):
            if isinstance(result, Exception):
                for part in request.span.parts:
                    found[part.owner] = result
        torn = {path: ranges for path, ranges in wanted.items() if len(etags[path]) > 1}
        if is_last:
            for path, ranges in torn.items():
                for part in ranges:
                    found[part.owner] = _replaced(path)
        return torn

    @os_errors
    async def _read_request(self, request: _Request, etags: set[str]) -> bytes:
        """Return the bytes of one request, and tell of which content they are."""
        target = request.target
        span = ByteRange(request.span.start, request.span.end)
        options = self._ranged(target, span)
        try:
            async with await self._store(target.bucket).get(target.key, options) as reader:
                etags.add(reader.head.etag)
                return await reader.read()
        except StoreError as error:
            if error.code == "InvalidRange":
                return b""
            raise

    def _workers(self, batch_size: int | None) -> int:
        """Return how many calls run at a time."""
        return batch_size or self.batch_size or self._given.settings.concurrency

    # Files of this machine

    @os_errors
    async def _get_file(
        self,
        rpath: str,
        lpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        version_id: str | None = None,
        max_concurrency: int | None = None,
        **_: Any,
    ) -> None:
        if os.path.isdir(lpath):
            return
        parts = checked_concurrency(max_concurrency)
        target = self._object(rpath, version_id)
        store = self._store(target.bucket)
        moved = 0

        def tell(event: Event) -> None:
            nonlocal moved
            if isinstance(event, BytesMoved):
                moved += event.size
                callback.relative_update(event.size)

        directory, name = os.path.split(os.path.abspath(lpath))
        local = LocalStore(directory)
        try:
            download = Downloader(store, local, self._transfer_options(max_concurrency=parts), tell)
            done = await download(Job(Item(target.key, version_id=target.version_id), name))
        finally:
            await local.close()
        callback.set_size(done.size)
        callback.relative_update(done.size - moved)


def _replaced(path: str) -> Exception:
    error = PreconditionFailed(
        f"{path} was replaced again and again while ranges of it were read",
        operation="cat_ranges",
        key=path,
        hint="read it once its writer pauses",
    )
    translated = os_error(error, path)
    translated.__cause__ = error
    return translated
