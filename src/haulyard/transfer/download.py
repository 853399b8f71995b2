"""One object of a store into a local file, which appears under its name only when complete and verified.

Small objects come in one request. Large ones come in ranges, a few at a time, each bound to the object's
ETag, written where they belong in the hidden file; what has arrived is noted at that file's end, so that
the same command continues after a kill.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from haulyard.checksums import combine, comparable, hasher, supports_full_object, verify
from haulyard.errors import IntegrityError, NotFound, PreconditionFailed, SourceChanged
from haulyard.events import BytesMoved, TransferDone, TransferStarted
from haulyard.models import GetOptions
from haulyard.transfer.control import Control, write_at
from haulyard.transfer.items import prefix_of
from haulyard.transfer.parts import DEFAULT_PART_SIZE, plan_parts
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.models import ObjectHead
    from haulyard.stores.base import ObjectReader, Store
    from haulyard.stores.local import LocalStore
    from haulyard.stores.part_file import PartFile
    from haulyard.transfer.items import Item, Job
    from haulyard.transfer.options import TransferOptions

#: Bytes up to which an object is held whole before it is written: with 32 under way, 32 MiB.
_SMALL: Final = 1024 * 1024
#: Computed where the store states nothing that could be compared: what was begun is continued by it.
_DEFAULT_ALGORITHM: Final = "CRC64NVME"


class Downloader:
    """Moves objects of a store below a local root; call it with one job at a time or with many at once."""

    def __init__(self, source: Store, destination: LocalStore, options: TransferOptions, emit: Emit) -> None:
        self._source = source
        self._tree = destination.tree
        self._options = options
        self._emit = emit
        self._from = prefix_of(source)
        self._to = prefix_of(destination)
        self._limit = options.part_size or DEFAULT_PART_SIZE
        self._whole = GetOptions(encryption=options.source_encryption)

    async def __call__(self, job: Job) -> TransferDone:
        """Download one object; errors are raised, and then the target is as it was."""
        started = time.monotonic()
        item = job.item
        # Asked first, so that an impossible name costs no request.
        self._tree.check(job.destination)
        if item.size > self._limit:
            head, verified = await self._in_ranges(item, job.destination)
        else:
            async with await self._source.get(item.key, self._options_for(item)) as reader:
                head = reader.head
                small = head.size <= self._limit
                verified = await self._in_one(reader, job.destination) if small else ""
            if not small:
                self._emit(TransferStarted(self._from + item.key, self._to + job.destination, head.size))
                head, verified = await self._in_ranges(item, job.destination)
        return TransferDone(
            "download",
            self._from + item.key,
            self._to + job.destination,
            head.size,
            time.monotonic() - started,
            verified,
            source_etag=head.etag,
        )

    def _options_for(self, item: Item) -> GetOptions:
        if not item.version_id:
            return self._whole
        return GetOptions(version_id=item.version_id, encryption=self._options.source_encryption)

    async def _in_one(self, reader: ObjectReader, target: str) -> str:
        """Read an object of at most one part, whose checksum the reader verifies as it goes."""
        head = reader.head
        data = await reader.read() if head.size <= _SMALL else None
        part = self._tree.create(target)
        try:
            if data is None:
                await _stream(reader, part)
            else:
                write_at(part.fd, data, 0)
        except BaseException as error:
            part.discard()
            if isinstance(error, OSError):
                raise self._tree.translated(error, "put", target) from error
            raise
        await self._commit(part, head)
        # A composite checksum says nothing of bytes that come in one piece.
        verified = any(checksum.kind == "FULL_OBJECT" for checksum in head.checksums)
        return "checksum" if verified else "size only"

    async def _in_ranges(self, item: Item, target: str) -> tuple[ObjectHead, str]:
        """Fetch a large object in ranges; one that is replaced meanwhile is fetched anew, once."""
        for is_last in (False, True):
            part = self._tree.create(target, keep=True)
            ranged = _RangedDownload(self._source, item, part, self._options, self._emit)
            try:
                head, verified = await ranged.fetch()
            except PreconditionFailed as error:
                part.discard()
                ranged.forget()
                if is_last:
                    raise self._replaced(item) from error
                continue
            except OSError as error:
                part.discard()
                raise self._tree.translated(error, "put", target) from error
            except BaseException as error:
                if ranged.is_worth_keeping(error):
                    part.keep()
                else:
                    part.discard()
                raise
            await self._commit(part, head)
            return head, verified
        raise AssertionError  # the second round returns or raises

    async def _commit(self, part: PartFile, head: ObjectHead) -> None:
        modified = head.last_modified
        mtime_ns = None if modified is None else int(modified.timestamp()) * 1_000_000_000
        if not self._options.durable:
            part.commit(mtime_ns, exclusive=self._options.no_clobber)
            return
        # Waiting for the disk takes milliseconds, in which the others go on.
        import asyncio

        await asyncio.to_thread(part.commit, mtime_ns, exclusive=self._options.no_clobber, durable=True)

    def _replaced(self, item: Item) -> SourceChanged:
        return SourceChanged(
            f"{self._from}{item.key} was replaced while it was read",
            operation="download",
            key=item.key,
            hint="wait until its writer has finished, then run the command again",
        )


class _RangedDownload:
    """A large object, in ranges, into one hidden file."""

    def __init__(
        self, source: Store, item: Item, part: PartFile, options: TransferOptions, emit: Emit
    ) -> None:
        self._source = source
        self._item = item
        self._name = prefix_of(source) + item.key
        self._part = part
        self._options = options
        self._emit = emit
        self._control: Control | None = None
        self._moved = 0

    async def fetch(self) -> tuple[ObjectHead, str]:
        """Fetch what is missing; return what the object is, and by what it was verified.

        The file then holds the object and nothing else.
        """
        options = self._options
        asked = GetOptions(version_id=self._item.version_id, encryption=options.source_encryption)
        head = await self._source.head(self._item.key, asked)
        plan = plan_parts(head.size, options.part_size)
        control = self._control = await Control.open(self._part.fd, head, plan, _algorithm_for(head))
        await self._fetch_missing(head, control)
        verified = _verify(head, self._name, control)
        control.close()
        return head, verified

    def is_worth_keeping(self, error: BaseException) -> bool:
        """Whether another run could continue after ``error`` what has arrived."""
        has_parts = self._control is not None and bool(self._control.digests)
        return has_parts and not isinstance(error, (IntegrityError, NotFound))

    def forget(self) -> None:
        """Take back what was said of bytes that have arrived."""
        self._emit(BytesMoved(self._name, -self._moved))

    async def _fetch_missing(self, head: ObjectHead, control: Control) -> None:
        missing = []
        # An object that was large when it was listed may be empty by now, and have no range.
        for number in range(1, control.plan.count + 1 if head.size else 1):
            if number in control.digests:
                self._count(control.size_of(number))
            else:
                missing.append(number)
        queue = iter(missing)

        async def work() -> None:
            for number in queue:
                await self._fetch_range(head, control, number)

        await run_workers(work, min(self._options.part_concurrency, len(missing)))

    async def _fetch_range(self, head: ObjectHead, control: Control, number: int) -> None:
        part_range = control.plan.range(number)
        options = GetOptions(
            range=part_range,
            if_match=head.etag,
            version_id=self._item.version_id,
            encryption=self._options.source_encryption,
            want_checksum=False,
        )
        state = hasher(control.algorithm)
        at = part_range.start
        async with await self._source.get(self._item.key, options) as reader:
            refuse_another(head, reader.head)
            async for chunk in reader.chunks():
                at += write_at(self._part.fd, chunk, at)
                state.update(chunk)
                self._count(len(chunk))
        control.finished(number, state.digest())

    def _count(self, count: int) -> None:
        self._moved += count
        self._emit(BytesMoved(self._name, count))


async def _stream(reader: ObjectReader, part: PartFile) -> None:
    at = 0
    async for chunk in reader.chunks():
        at += write_at(part.fd, chunk, at)


def _algorithm_for(head: ObjectHead) -> str:
    """Return what to compute of an object: what it can be compared with, if there is such a thing."""
    for checksum in head.checksums:
        if checksum.kind == "FULL_OBJECT" and supports_full_object(checksum.algorithm):
            return checksum.algorithm
    return _DEFAULT_ALGORITHM


def refuse_another(expected: ObjectHead, actual: ObjectHead) -> None:
    """Raise PreconditionFailed where a range is of another object: there are stores that ignore If-Match."""
    if (actual.etag, actual.size) != (expected.etag, expected.size):
        raise PreconditionFailed(
            f"{expected.key} was replaced while it was read", operation="get", key=expected.key
        )


def _verify(head: ObjectHead, name: str, control: Control) -> str:
    """Compare the whole with the object's checksum; return by what it was verified."""
    parts = ((digest, control.size_of(number)) for number, digest in sorted(control.digests.items()))
    actual = combine(control.algorithm, parts)
    expected = [known for known in head.checksums if comparable(known, actual)]
    for checksum in expected:
        if not verify(checksum, actual):
            raise IntegrityError(
                f"{name}: the {actual.algorithm} of what arrived is {actual.value}, "
                f"the store says {checksum.value}",
                operation="download",
                key=head.key,
                hint="run the command again; if it happens again the object is damaged in the store",
            )
    return "checksum" if expected else "size only"
