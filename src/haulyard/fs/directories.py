"""Nodes and directories: what is there, what lies in it, making it and deleting it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from haulyard.client.cancelling import cancelled_once
from haulyard.errors import Conflict, NotFound, PreconditionFailed, S3PermissionError, UnsafeName
from haulyard.events import Warned
from haulyard.fs.conditions import ABSENT, explained
from haulyard.fs.explaining import refusal
from haulyard.fs.metrics import measured
from haulyard.fs.nodes import Cleaned, NewNode, NodeInfo, StorageStats
from haulyard.fs.paths import is_probe, plain
from haulyard.fs.writing import WriteCalls
from haulyard.models import DeleteOptions, ListOptions, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from haulyard.fs.config import FileProperties

_IN_DIRECTORY = ListOptions(delimiter="/")
#: Enough to tell an empty directory with a marker from one that has something in it.
_A_LOOK = ListOptions(page_size=2)


class DirectoryCalls(WriteCalls):
    """Describe, list, make and delete files and directories."""

    @measured
    async def get_node_info(self, path: str) -> NodeInfo:
        """Describe a file or a directory: size, time, ETag, content type, metadata and the like.

        Where a file and a directory have one name this is the file; a slash at the end means the directory.

        Raises:
            NotFound: There is neither.
            S3PermissionError: The store does not tell.
            S3CredentialsError: The credentials are wrong.
            UnsafeName: The path is none.

        Example:
            >>> (await provider.get_node_info("notes/today.txt")).size
            12
        """
        text, is_dir = plain(path, self._volume.prefix)
        cached = f"{text}/" if is_dir and text else text
        found = self._volume.cache.node(cached)
        if found is None:
            with self._volume.cache.reading(cached) as reading:
                found = await self._describe(text, is_dir=is_dir)
                reading.keep(found)
        return found

    @measured
    async def exists(self, path: str) -> bool:
        """Say whether there is a file or a directory; a slash at the end asks for a directory.

        Raises:
            NotFound: There is no such bucket.
            S3PermissionError: The store does not tell.
            UnsafeName: The path is none.
        """
        try:
            await self.get_node_info(path)
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return False
        return True

    @measured
    async def list_directory(self, path: str = "") -> list[NodeInfo]:
        """Return what lies in a directory, files and directories, sorted by name; it is in memory as a whole.

        A file and a directory of one name are two nodes. Keys that no path leads to (``a//b``, ``../a``),
        which others may have written, are left out and told as `haulyard.Warned`.

        Raises:
            NotFound: There is no such directory; the root is always there.
            UnsafeName: The path is none.

        Example:
            >>> [node.name for node in await provider.list_directory("notes")]
            ['archive', 'today.txt']
        """
        volume = self._volume
        text, _ = plain(f"{path}/", volume.prefix)
        found = volume.cache.listing(text)
        if found is None:
            with volume.cache.listing_of(text) as reading:
                found = tuple(await self._list(text))
                reading.keep_all(found)
        return list(found)

    async def scan(self, path: str = "") -> AsyncIterator[NodeInfo]:
        """Yield all files below a directory, however deep, in the store's order and in constant memory.

        Directories and their markers are not among them. Nothing is yielded where there is nothing.

        Raises:
            UnsafeName: The path is none.

        Example:
            >>> sum([node.size async for node in provider.scan("notes")])
            12
        """
        volume = self._volume
        below = volume.directory_key(path)
        odd = _Odd()
        async for page in volume.store.list(below):
            for info in page.objects:
                name = volume.path_of(info.key)
                if name is None:
                    odd.add(info.key, below)
                elif not info.key.endswith("/"):
                    yield volume.listed(info, name)
        odd.tell(self)

    @measured
    async def create_node(self, node: NewNode) -> NodeInfo:
        """Create an empty file, which must not exist, or a directory, which may.

        A directory without a marker (``directory_markers`` of the configuration) is nothing in the bucket: it
        exists while a file lies in it, and creating it only checks the name.

        Raises:
            PreconditionFailed: There is such a file.
            UnsafeName: The path is none, or a file's ends in a slash.

        Example:
            >>> (await provider.create_node(NewNode("notes/tomorrow.txt"))).size
            0
        """
        volume = self._volume
        if node.is_dir:
            return await self._create_directory(node.path)
        key = volume.file_key(node.path)
        given: FileProperties = {}
        if node.content_type:
            given["content_type"] = node.content_type
        if node.metadata:
            given["metadata"] = node.metadata
        if node.tags:
            given["tags"] = node.tags
        if (await volume.proved()).capabilities.conditional_put:
            return await self.write_file(node.path, b"", if_absent=True, **given)
        # The endpoint ignores conditions: a look before has to do, and another writer may come between.
        try:
            await volume.store.head(key, volume.reading)
        except NotFound:
            return await self.write_file(node.path, b"", **given)
        there = PreconditionFailed(
            f"{node.path} exists", store="s3", operation="create_node", bucket=volume.config.bucket, key=key
        )
        raise await explained(volume, there, key, wanted=ABSENT)

    @measured
    @cancelled_once
    async def delete_node(self, path: str, *, recursive: bool = False, if_match: str = "") -> None:
        """Delete a file or a directory. In a bucket with versions the older ones stay.

        Where a file and a directory have one name this is the file; a slash at the end means the directory.

        Args:
            path: Of the file or directory.
            recursive: Delete a directory with all that lies in it, 1,000 files a request.
            if_match: Only the file with this ETag.

        Raises:
            NotFound: There is neither.
            Conflict: The directory is not empty (code ``DirectoryNotEmpty``).
            PreconditionFailed: ``if_match`` does not hold; both ETags are in the error.
            Unsupported: The endpoint ignores ``if_match``, or could not be proved to honour it.
            TransferError: Some files of a directory could not be deleted; ``failures`` has them.
            UnsafeName: The path is none, or the root's.
        """
        volume = self._volume
        text, is_dir = plain(path, volume.prefix)
        if not text:
            raise UnsafeName(
                "the root is not deleted",
                store="s3",
                operation="delete_node",
                hint="delete what lies in it, one by one",
            )
        if not is_dir and await self._delete_file(text, if_match):
            return
        await self._delete_directory(text, recursive=recursive)

    @measured
    async def get_storage_stats(self) -> StorageStats:
        """Count all files of this filesystem and their bytes, by a listing of everything below the prefix.

        Raises:
            S3PermissionError: Listing is denied.
        """
        by_class: dict[str, Counter[str]] = {}
        markers = 0
        async for page in self._volume.store.list(self._volume.prefix):
            for info in page.objects:
                if is_probe(info.key):
                    continue
                if info.key.endswith("/"):
                    markers += 1
                    continue
                counts = by_class.setdefault(info.storage_class, Counter())
                counts["files"] += 1
                counts["bytes"] += info.size
        sums = {name: (counts["files"], counts["bytes"]) for name, counts in sorted(by_class.items())}
        files, size = (sum(each[at] for each in sums.values()) for at in (0, 1))
        return StorageStats(files, size, markers, sums)

    @measured
    @cancelled_once
    async def cleanup(self, *, uploads_older_than: timedelta | None = None) -> Cleaned:
        """Forget what is cached and, if asked to, give up uploads below the prefix that nobody finished.

        Args:
            uploads_older_than: Give up the uploads that began longer ago than this. Nothing tells whether
                their writer still works on them: choose more than any write takes.

        Raises:
            S3PermissionError: Listing or aborting uploads is denied.
        """
        volume = self._volume
        entries = volume.cache.stats.entries
        volume.cache.refresh()
        aborted: list[str] = []
        if uploads_older_than is not None:
            limit = datetime.now(UTC) - uploads_older_than
            async for upload in volume.store.list_uploads(volume.prefix):
                if upload.initiated < limit:
                    await volume.store.abort_multipart(upload.key, upload.upload_id)
                    aborted.append(upload.key[len(volume.prefix) :])
        return Cleaned(entries, tuple(aborted))

    def refresh(self, path: str = "") -> None:
        """Forget what is cached of a node and of all below it; by default, of everything.

        The next call asks the store. For changes that others made and announced; one's own are seen anyway.

        Raises:
            UnsafeName: The path is none.
        """
        self._volume.cache.refresh(plain(path, self._volume.prefix).text)

    async def _describe(self, text: str, *, is_dir: bool) -> NodeInfo:
        volume = self._volume
        if not is_dir:
            try:
                head = await volume.store.head(volume.prefix + text, volume.reading)
            except NotFound as error:
                if error.code == "NoSuchBucket":
                    raise
            except S3PermissionError as error:
                raise await refusal(volume.store, error, volume.prefix) from None
            else:
                return volume.described(head, text)
        if not text:
            return NodeInfo("", is_dir=True)
        key = f"{volume.prefix}{text}/"
        first = await self._look(key)
        if not first:
            raise self._nothing(text, "get_node_info")
        marker = first[0] if first[0].key == key else None
        modified = marker.last_modified if marker else None
        return NodeInfo(text, is_dir=True, modified=modified, etag=marker.etag if marker else "")

    async def _look(self, key: str) -> list[ObjectInfo]:
        """Return the first objects of a directory, none where it does not exist."""
        async for page in self._volume.store.list(key, _A_LOOK):
            if page.objects:
                return page.objects
        return []

    async def _list(self, text: str) -> list[NodeInfo]:
        volume = self._volume
        below = f"{volume.prefix}{text}/" if text else volume.prefix
        nodes: list[NodeInfo] = []
        odd = _Odd()
        async for page in volume.store.list(below, _IN_DIRECTORY):
            for prefix in page.prefixes:
                if (name := volume.path_of(prefix)) is None:
                    odd.add(prefix, below)
                else:
                    nodes.append(NodeInfo(name, is_dir=True))
            for info in page.objects:
                if (name := volume.path_of(info.key)) is None:
                    odd.add(info.key, below)
                elif info.key != below:
                    nodes.append(volume.listed(info, name))
        odd.tell(self)
        # A store that keeps directories may show one that is empty in this way, and in no other.
        if text and not nodes and not await self._look(below):
            raise self._nothing(f"{text}/", "list_directory")
        nodes.sort(key=lambda node: (node.path, node.is_dir))
        return nodes

    async def _create_directory(self, path: str) -> NodeInfo:
        volume = self._volume
        key = volume.directory_key(path)
        text = plain(path, volume.prefix).text
        if not (volume.config.directory_markers and text):
            return NodeInfo(text, is_dir=True)
        with volume.cache.writing(text):
            result = await volume.store.put(key, b"", volume.marker_options)
        return NodeInfo(text, is_dir=True, etag=result.etag, version_id=result.version_id)

    async def _delete_file(self, text: str, if_match: str) -> bool:
        """Delete a file; False where there is none of that name."""
        volume = self._volume
        key = volume.prefix + text
        try:
            await volume.store.head(key, volume.reading)
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return False
        store = await volume.conditional("delete") if if_match else volume.store
        with volume.cache.writing(text):
            try:
                await store.delete(key, DeleteOptions(if_match=if_match))
            except PreconditionFailed as error:
                raise await explained(volume, error, key, wanted=if_match) from error
        return True

    async def _delete_directory(self, text: str, *, recursive: bool) -> None:
        volume = self._volume
        key = f"{volume.prefix}{text}/"
        first = await self._look(key)
        if not first:
            raise self._nothing(text, "delete_node")
        with volume.cache.writing_below(text):
            if recursive:
                await volume.client.delete_tree(volume.uri(key))
            elif [info.key for info in first] == [key]:
                await volume.store.delete(key)
            else:
                raise Conflict(
                    f"directory {text} is not empty",
                    store="s3",
                    operation="delete_node",
                    bucket=volume.config.bucket,
                    key=key,
                    code="DirectoryNotEmpty",
                    hint="recursive=True deletes all that lies in it",
                )

    def _nothing(self, path: str, operation: str) -> NotFound:
        volume = self._volume
        what = "directory" if path.endswith("/") else "file or directory"
        return NotFound(
            f"there is no {what} {path.removesuffix('/')} in {volume.uri(volume.prefix)}",
            store="s3",
            operation=operation,
            bucket=volume.config.bucket,
            key=volume.prefix + path,
            code="NoSuchKey",
            hint="list_directory says what there is; upper and lower case count",
        )


class _Odd:
    """Keys of a listing that no path leads to: counted, the first of them named."""

    def __init__(self) -> None:
        self._count = 0
        self._first = ""

    def add(self, key: str, below: str) -> None:
        """Count a key, unless it is the directory's own marker, or ours and gone in a moment."""
        if key != below and not is_probe(key):
            self._first = self._first or key
            self._count += 1

    def tell(self, calls: DirectoryCalls) -> None:
        """Say so, if there were any."""
        if self._count:
            calls._volume.emit(  # noqa: SLF001 -- of this module
                Warned(
                    f"{self._count} keys are left out, for no path leads to them; the first: {self._first!r}",
                    "haul ls shows them, and AsyncClient reads and deletes them by their keys",
                )
            )
