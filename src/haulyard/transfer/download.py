"""One object of a store into a local file, which appears under its name only when complete and verified.

Small objects come in one request. Large ones come in ranges, a few at a time, each bound to the object's
ETag, written where they belong in the hidden file; what has arrived is noted at that file's end, so that
the same command continues after a kill.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from haulyard.checksums import combine, comparable, hasher, supports_full_object, verify
from haulyard.errors import IntegrityError, PreconditionFailed, SourceChanged
from haulyard.events import BytesMoved, TransferDone
from haulyard.models import GetOptions
from haulyard.transfer.control import Control
from haulyard.transfer.items import prefix_of
from haulyard.transfer.parts import DEFAULT_PART_SIZE, plan_parts
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.models import Checksum, ObjectHead
    from haulyard.stores.base import ObjectReader, Store
    from haulyard.stores.local import LocalStore
    from haulyard.stores.tree import PartFile
    from haulyard.transfer.items import Item, Job
    from haulyard.transfer.options import TransferOptions

#: Bytes up to which an object is held whole before it is written: with 32 under way, 32 MiB.
_SMALL = 1024 * 1024


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
                await self._stream(reader, part)
            else:
                _write(part.fd, data, 0)
        except BaseException as error:
            part.discard()
            if isinstance(error, OSError):
                raise self._tree.translated(error, "put", target) from error
            raise
        part.commit(_mtime_ns(head), exclusive=self._options.no_clobber)
        return "checksum" if head.checksums else "size only"

    async def _stream(self, reader: ObjectReader, part: PartFile) -> None:
        at = 0
        async for chunk in reader.chunks():
            _write(part.fd, chunk, at)
            at += len(chunk)

    async def _in_ranges(self, item: Item, target: str) -> tuple[ObjectHead, str]:
        """Fetch a large object in ranges; an object that is replaced meanwhile is fetched anew once."""
        for last in (False, True):
            part = self._tree.create(target, keep=True)
            try:
                return await _RangedDownload(self._source, item, part, self._options, self._emit).run()
            except PreconditionFailed as error:
                part.discard()
                if last:
                    raise SourceChanged(
                        f"{self._source.name}/{item.key} was replaced while it was read",
                        operation="download",
                        key=item.key,
                        hint="Wait until its writer has finished, then run the command again.",
                    ) from error
            except IntegrityError:
                part.discard()
                raise
            except OSError as error:
                part.discard()
                raise self._tree.translated(error, "put", target) from error
            finally:
                # What arrived stays for the next run where nothing above removed it.
                part.keep()
        raise AssertionError  # the second round returns or raises


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

    async def run(self) -> tuple[ObjectHead, str]:
        options = self._options
        asked = GetOptions(version_id=self._item.version_id, encryption=options.source_encryption)
        head = await self._source.head(self._item.key, asked)
        plan = plan_parts(head.size, options.part_size)
        algorithm = _algorithm_for(head, options.algorithm)
        control = Control.open(self._part.fd, head, plan, algorithm)
        try:
            await self._fetch(head, control)
        except BaseException:
            self._part.keep()
            raise
        verified = _verify(head, self._source.name, control)
        control.close()
        self._part.commit(_mtime_ns(head), exclusive=options.no_clobber)
        return head, verified

    async def _fetch(self, head: ObjectHead, control: Control) -> None:
        missing = []
        for number in range(1, control.plan.count + 1):
            if number in control.digests:
                part_range = control.plan.range(number)
                self._moved((part_range.end or 0) - part_range.start)
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
        state = hasher(control.algorithm) if control.algorithm else None
        at = part_range.start
        async with await self._source.get(self._item.key, options) as reader:
            async for chunk in reader.chunks():
                _write(self._part.fd, chunk, at)
                if state is not None:
                    state.update(chunk)
                at += len(chunk)
                self._moved(len(chunk))
        control.finished(number, state.digest() if state is not None else b"")

    def _moved(self, count: int) -> None:
        self._emit(BytesMoved(self._name, count))


def _write(fd: int, data: bytes | bytearray | memoryview, at: int) -> None:
    """Write all of ``data`` at offset ``at``; one call may take less, as on a disk that is nearly full."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, at)
        view = view[count:]
        at += count


def _algorithm_for(head: ObjectHead, default: str) -> str:
    """Return what to compute of an object: what it can be compared with, else the default for the report."""
    for checksum in head.checksums:
        if checksum.kind == "FULL_OBJECT" and supports_full_object(checksum.algorithm):
            return checksum.algorithm
    return default if supports_full_object(default) else ""


def _verify(head: ObjectHead, store: str, control: Control) -> str:
    """Compare the whole with the object's checksum; return by what it was verified."""
    algorithm = control.algorithm
    if not algorithm:
        return "size only"
    parts = ((digest, control.size_of(number)) for number, digest in sorted(control.digests.items()))
    actual = combine(algorithm, parts)
    expected: list[Checksum] = [known for known in head.checksums if comparable(known, actual)]
    for checksum in expected:
        if not verify(checksum, actual):
            raise IntegrityError(
                f"{store}/{head.key}: the {algorithm} of what arrived is {actual.value}, "
                f"the store says {checksum.value}",
                operation="download",
                key=head.key,
                hint="Run the command again; if it happens again the object is damaged in the store.",
            )
    return "checksum" if expected else "size only"


def _mtime_ns(head: ObjectHead) -> int | None:
    if head.last_modified is None:
        return None
    return int(head.last_modified.timestamp()) * 1_000_000_000
