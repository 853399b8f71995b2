"""A directory as a store: keys are paths below it, objects are files."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Final, Self

from haulyard.checksums import checksum_of, hasher
from haulyard.errors import NotFound, SourceChanged, StoreError
from haulyard.events import ignore
from haulyard.models import (
    ByteRange,
    DeleteOptions,
    DeleteOutcome,
    ListPage,
    ObjectAttributes,
    ObjectHead,
    PutOptions,
    PutResult,
)
from haulyard.stores.base import COPY, DELETE, GET, LIST, PUT, Capabilities
from haulyard.stores.bodies import CHUNK, check_content, chunks_of
from haulyard.stores.conditions import check_read, check_write, resolve_range
from haulyard.stores.optional import OptionalOperations, unsupported
from haulyard.stores.pages import fold, pages
from haulyard.stores.tree import Tree
from haulyard.stores.walk import Walk, etag_of, modified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from haulyard.events import Emit
    from haulyard.models import (
        Checksum,
        CopyOptions,
        CopySource,
        DeleteItem,
        GetOptions,
        ListOptions,
        ObjectInfo,
    )
    from haulyard.models.body import Body
    from haulyard.stores.part_file import PartFile

_KIND: Final = "local"
_CAPABILITIES: Final = Capabilities(
    conditional_put=True,
    conditional_copy=True,
    conditional_delete=True,
    conditional_batch_delete=True,
    batch_delete=True,
    ordered_listing=True,
    max_put_size=sys.maxsize,
)
#: What of `PutOptions` a file cannot keep: everything that is not about its content.
_LOST: Final = tuple(
    field.name for field in fields(PutOptions) if not field.name.startswith(("checksum", "if_"))
)


class LocalReader:
    """A file, or a range of it, being read.

    A file that is replaced under its name goes on being read as it was; one that is written to while it is
    read raises SourceChanged.
    """

    def __init__(self, tree: Tree, head: ObjectHead, span: ByteRange, fd: int) -> None:
        self.head = head
        self.range = span
        self._tree = tree
        self._fd = fd
        self._at = span.start

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes, 1 MiB at a time."""
        try:
            while chunk := self._next(CHUNK):
                yield chunk
        finally:
            await self.close()

    async def read(self) -> bytes:
        """Return what was not yet read."""
        parts = [chunk async for chunk in self.chunks()]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _next(self, size: int) -> bytes:
        left = (self.range.end or 0) - self._at
        if self._fd < 0 or not left:
            return b""
        try:
            chunk = os.pread(self._fd, min(size, left), self._at)
        except OSError as error:
            raise self._tree.translated(error, "get", self.head.key) from error
        self._at += len(chunk)
        if (not chunk or len(chunk) == left) and etag_of(os.fstat(self._fd)) != self.head.etag:
            raise SourceChanged(
                f"{self._tree.root}/{self.head.key} was written to while it was read",
                store=_KIND,
                operation="get",
                bucket=self._tree.root,
                key=self.head.key,
                hint="run the command again when nothing writes to the file",
            )
        return chunk


class LocalStore(OptionalOperations):
    """The files below ``root``, a directory that is made when it is first written to.

    Keys that cannot be files below it are refused (`UnsafeName`), see `haulyard.stores.tree`. Reading and
    listing follow symbolic links unless ``follow_symlinks`` is False, writing and deleting never do. What a
    listing leaves out (special files, names that are no UTF-8, links in a circle) is told to ``emit``.

    A file keeps no metadata, tags or checksums: asked for them, this store raises Unsupported. Deleting
    leaves empty directories. ``if_none_match="*"`` is atomic; ``if_match`` of a write is so among Haulyard's
    own processes, and that of a delete is looked at right before it: a file system cannot compare and act in
    one step.
    """

    kind = _KIND
    capabilities = _CAPABILITIES

    def __init__(
        self, root: str | os.PathLike[str], *, follow_symlinks: bool = True, emit: Emit = ignore
    ) -> None:
        self.tree: Final = Tree(root, follow_symlinks=follow_symlinks)
        self.bucket = self.tree.root
        self.name = f"file://{self.tree.root}"
        self._walk = Walk(self.tree.root, emit, follow_symlinks=follow_symlinks)

    @property
    def identity(self) -> str:
        """The real path of the root, which may be made or moved at any time."""
        return f"file://{os.path.realpath(self.tree.root)}"

    @property
    def service(self) -> str:
        """A directory copies within itself only."""
        return self.identity

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        """Describe one file."""
        return self._checked(key, self.tree.stat(key), options, "head")

    async def get(self, key: str, options: GetOptions = GET) -> LocalReader:
        """Open one file, or a range of it, for reading."""
        fd = self.tree.open(key)
        try:
            head = self._checked(key, os.fstat(fd), options, "get")
            span = resolve_range(options.range, head.size, store=_KIND, key=key)
        except StoreError:
            os.close(fd)
            raise
        return LocalReader(self.tree, head, span, fd)

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        """Write one file; its checksum, if given, is verified before it gets its name."""
        _refuse(options, "put", key)
        part = self.tree.create(key)
        try:
            self._check_write(part, options, "put")
            await self._fill(part, chunks_of(body), options.checksum)
            return self._commit(part, options)
        finally:
            part.discard()

    async def delete(self, key: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        """Remove one file."""
        if options.version_id or options.bypass_governance:
            raise unsupported(_KIND, "delete", key, "versions")
        if options.if_match:
            # The hidden file that writers hold as a lock is not made for this: a kill would leave it behind,
            # and where the file is gone by then nobody would ever come back for it.
            self.tree.refuse_writer(key)
            try:
                etag = etag_of(self.tree.stat(key))
            except NotFound:
                return DeleteOutcome(key)
            check_write(
                etag, if_match=options.if_match, if_none_match="", store=_KIND, operation="delete", key=key
            )
        self.tree.remove(key)
        return DeleteOutcome(key)

    async def delete_many(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        """Remove any number of files."""
        outcomes = []
        for item in items:
            try:
                options = DeleteOptions(version_id=item.version_id, if_match=item.if_match)
                outcomes.append(await self.delete(item.key, options))
            except StoreError as error:
                outcomes.append(DeleteOutcome(item.key, item.version_id, error=error))
        return outcomes

    async def copy(self, source: CopySource, key: str, options: CopyOptions = COPY) -> PutResult:
        """Copy a file of this store."""
        _refuse(options.put, "copy", key)
        if source.bucket not in {"", self.bucket} or source.version_id or source.encryption:
            raise unsupported(_KIND, "copy", source.key, "a source that is no file of this store")
        async with await self.get(source.key) as reader:
            check_write(
                reader.head.etag,
                if_match=source.etag,
                if_none_match="",
                store=_KIND,
                operation="copy",
                key=source.key,
            )
            part = self.tree.create(key)
            try:
                self._check_write(part, options.put, "copy")
                await self._fill(part, reader.chunks(), None)
                return self._commit(part, options.put)
            finally:
                part.discard()

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        """Yield pages of files, in UTF-8 byte order."""
        for objects, prefixes in pages(self._entries(prefix, options), options.page_size):
            yield ListPage(objects, prefixes)
            # A directory tree is read without waiting; others want their turn.
            await asyncio.sleep(0)

    async def attributes(self, key: str, version_id: str = "") -> ObjectAttributes:
        """Return size and ETag."""
        if version_id:
            raise unsupported(_KIND, "attributes", key, "versions")
        head = await self.head(key)
        return ObjectAttributes(head.size, head.etag, last_modified=head.last_modified)

    async def close(self) -> None:
        """Close the directories that were kept open."""
        self.tree.close()

    def _entries(self, prefix: str, options: ListOptions) -> Iterator[ObjectInfo | str]:
        if options.delimiter == "/":
            return self._walk.level(prefix, options.start_after)
        return fold(self._walk.files(prefix, options.start_after), prefix, options.delimiter)

    def _checked(self, key: str, status: os.stat_result, options: GetOptions, operation: str) -> ObjectHead:
        if options.version_id or options.part_number or options.encryption is not None:
            raise unsupported(_KIND, operation, key, "versions, parts or encryption")
        head = ObjectHead(key, status.st_size, modified(status), etag_of(status))
        check_read(head, options, store=_KIND, operation=operation)
        return head

    def _check_write(self, part: PartFile, options: PutOptions, operation: str) -> None:
        if not (options.if_match or options.if_none_match):
            return
        current = part.current()
        check_write(
            None if current is None else etag_of(current),
            if_match=options.if_match,
            if_none_match=options.if_none_match,
            store=_KIND,
            operation=operation,
            key=part.key,
        )

    async def _fill(
        self,
        part: PartFile,
        chunks: AsyncIterator[bytes] | AsyncIterator[memoryview],
        expected: Checksum | None,
    ) -> None:
        state = hasher(expected.algorithm) if expected else None
        async for chunk in chunks:
            if state:
                state.update(chunk)
            try:
                _write(part.fd, memoryview(chunk))
            except OSError as error:
                raise self.tree.translated(error, "put", part.key) from error
            # Writing does not wait; others want their turn, and a cancellation its chance.
            await asyncio.sleep(0)
        actual = checksum_of(expected.algorithm, state.digest()) if expected and state else None
        check_content(expected, actual, store=_KIND, key=part.key)

    def _commit(self, part: PartFile, options: PutOptions) -> PutResult:
        # Again, for the content may have taken long.
        self._check_write(part, options, "put")
        status = os.fstat(part.fd)
        part.commit(exclusive=options.if_none_match == "*")
        return PutResult(etag_of(status), last_modified=modified(status))


def _refuse(options: PutOptions, operation: str, key: str) -> None:
    if options is not PUT and (lost := [name for name in _LOST if getattr(options, name)]):
        raise unsupported(_KIND, operation, key, " and ".join(lost))


def _write(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]
