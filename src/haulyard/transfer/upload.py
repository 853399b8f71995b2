"""One local file into a store: in one request, or in parts that survive a kill.

The bytes are read twice, once to compute the checksum that goes into the header and once to send them, so
that nothing is held in memory and the store refuses whatever changed in between.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.checksums import checksum_of
from haulyard.errors import IntegrityError
from haulyard.events import TransferDone, TransferStarted
from haulyard.models import ByteRange
from haulyard.transfer.content_types import content_type_of
from haulyard.transfer.file_parts import FileParts
from haulyard.transfer.files import SourceFile
from haulyard.transfer.items import prefix_of
from haulyard.transfer.multipart import MultipartUpload
from haulyard.transfer.parts import DEFAULT_PART_SIZE, fits_one_put, plan_parts

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.models import PutOptions, PutResult
    from haulyard.stores.base import Store
    from haulyard.stores.local import LocalStore
    from haulyard.transfer.items import Job
    from haulyard.transfer.options import TransferOptions

#: Bytes up to which a file is read once and held: a second read would cost more than the memory.
_SMALL = 256 * 1024


class Uploader:
    """Moves files below a local root into a store; call it with one job at a time or with many at once."""

    def __init__(self, source: LocalStore, destination: Store, options: TransferOptions, emit: Emit) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._emit = emit
        self._from = prefix_of(source)
        self._to = prefix_of(destination)
        self._put_options: dict[str, PutOptions] = {}

    async def __call__(self, job: Job) -> TransferDone:
        """Upload one file; errors are raised, and then nothing lies under the destination's name."""
        started = time.monotonic()
        key = job.item.key
        tree = self._source.tree
        file = SourceFile(tree.open(key), f"{tree.root}/{key}")
        if job.item.size < 0 and file.size > DEFAULT_PART_SIZE:
            self._emit(TransferStarted(file.name, self._to + job.destination, file.size))
        try:
            result = await self._send(file, job.destination)
        except IntegrityError:
            # What the store refused as damaged is most often a file that was written to meanwhile.
            file.check()
            raise
        finally:
            file.close()
        return TransferDone(
            "upload",
            self._from + key,
            self._to + job.destination,
            file.size,
            time.monotonic() - started,
            "checksum" if result.checksums else "",
            result.etag,
            result.version_id,
            source_etag=file.etag,
        )

    async def _send(self, file: SourceFile, key: str) -> PutResult:
        options = self._options_for(key)
        if fits_one_put(file.size, self._options.part_size, self._destination.capabilities):
            return await self._in_one(file, key, options)
        return await MultipartUpload(
            FileParts(file, self._options.algorithm),
            self._destination,
            key,
            options,
            plan_parts(file.size, self._options.part_size, self._destination.capabilities),
            self._options,
            self._emit,
            workers=self._options.part_concurrency,
        ).run()

    async def _in_one(self, file: SourceFile, key: str, options: PutOptions) -> PutResult:
        algorithm = self._options.algorithm
        if file.size <= _SMALL:
            return await self._destination.put(key, file.read(), options)
        whole = ByteRange(0, file.size)
        if algorithm != "none":
            checksum = checksum_of(algorithm, await file.digest(algorithm, whole))
            options = replace(options, checksum=checksum)
        return await self._destination.put(key, file.slice(whole), options)

    def _options_for(self, key: str) -> PutOptions:
        """Return what the object gets; made once for each type, as it is the same for thousands."""
        content_type = self._options.put.content_type
        if not content_type and self._options.guess_content_type:
            content_type = content_type_of(key)
        options = self._put_options.get(content_type)
        if options is None:
            options = replace(
                self._options.put, content_type=content_type, checksum_algorithm=self._options.algorithm
            )
            if self._options.no_clobber and self._destination.capabilities.conditional_put is not False:
                options = replace(options, if_none_match="*")
            self._put_options[content_type] = options
        return options
