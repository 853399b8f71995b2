"""One large file as a multipart upload that can be killed at any moment and continued.

What is written down when is `haulyard.transfer.resume`'s to say. The store is asked (ListParts) which of the
noted parts it really has; a part counts only where number, size and ETag are those that were noted.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from haulyard.checksums import checksum_of, combine, composite, supports_full_object
from haulyard.errors import (
    AccessDenied,
    Conflict,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    SourceChanged,
)
from haulyard.events import BytesMoved, Warned
from haulyard.models import PartInfo, PartOptions, PutResult
from haulyard.stores.fate import TOKEN
from haulyard.transfer.parts import plan_parts
from haulyard.transfer.resume import Intent, UploadRecord
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.models import Checksum, PutOptions
    from haulyard.stores.base import Store
    from haulyard.transfer.files import SourceFile
    from haulyard.transfer.options import TransferOptions


#: After these there is nothing to continue: another run would begin anew.
_HOPELESS = (AccessDenied, Conflict, IntegrityError, PreconditionFailed, SourceChanged)


class MultipartUpload:
    """The upload of one file under one key.

    ``emit`` is told of bytes as parts are finished, those of an earlier run included.
    """

    def __init__(
        self,
        file: SourceFile,
        store: Store,
        key: str,
        put: PutOptions,
        options: TransferOptions,
        emit: Emit,
    ) -> None:
        self._file = file
        self._store = store
        self._key = key
        self._asked = self._put = put
        self._options = options
        self._emit = emit
        self._plan = plan_parts(file.size, options.part_size, store.capabilities)

    async def run(self) -> PutResult:
        """Upload what is missing, complete, and return what the store says of the object.

        An error or a cancellation leaves the upload and its record for the next run, save where that could
        not continue either: then the upload is aborted.
        """
        name = f"{self._store.identity}/{self._key}"
        self._record = UploadRecord.open(self._options.state_dir, self._file.name, name)
        try:
            result = await self._take_up()
            if result is None:
                await self._send_parts()
                result = await self._complete()
        except _HOPELESS:
            await self._give_up()
            raise
        else:
            self._record.remove()
            return result
        finally:
            self._record.close()

    async def _take_up(self) -> PutResult | None:
        """Continue the upload of an earlier run or create one; return the result of a completed one."""
        record = self._record
        wanted = self._intent()
        intent = record.intent
        if intent is not None and record.upload_id:
            if intent.same_upload(wanted):
                self._put = self._with_token(intent.token)
                if await self._find_parts():
                    return None
                if (result := await self._completed_before(intent)) is not None:
                    return result
            else:
                await self._store.abort_multipart(self._key, record.upload_id)
        elif intent is not None:
            await self._name_orphans()
        self._put = self._with_token(wanted.token)
        record.begin(wanted)
        record.created(await self._store.create_multipart(self._key, self._put))
        return None

    async def _find_parts(self) -> bool:
        """Keep of the noted parts those that the store has; False where it does not know the upload."""
        record = self._record
        try:
            held = {part.number: part async for part in self._store.list_parts(self._key, record.upload_id)}
        except NotFound:
            return False
        record.parts = {
            number: part
            for number, part in record.parts.items()
            if number in held and (held[number].etag, held[number].size) == (part.etag, part.size)
        }
        return True

    async def _name_orphans(self) -> None:
        """Name uploads of the key that a killed run may have created: nothing proves whose they are."""
        async for upload in self._store.list_uploads(self._key):
            if upload.key != self._key:
                continue
            url = f"{self._store.name}/{self._key}"
            begun = f"{upload.initiated:%Y-%m-%d %H:%M:%S}"
            self._emit(
                Warned(
                    f"an upload of {url} begun {begun} is still open: {upload.upload_id}",
                    f"If nobody continues it: haul uploads abort {url} --upload-id {upload.upload_id}",
                )
            )

    async def _completed_before(self, intent: Intent) -> PutResult | None:
        """The upload is gone: completed by a call whose answer was lost, or aborted by somebody."""
        try:
            head = await self._store.head(self._key)
        except NotFound:
            return None
        if head.size != self._file.size or head.metadata.get(TOKEN) != intent.token:
            return None
        return PutResult(head.etag, head.version_id, head.checksums, head.last_modified)

    async def _send_parts(self) -> None:
        """Upload the missing parts, a few at a time; the first error stops the others."""
        missing = []
        for number in range(1, self._plan.count + 1):
            done = self._record.parts.get(number)
            if done is not None:
                self._emit(BytesMoved(self._file.name, done.size))
            else:
                missing.append(number)
        queue = iter(missing)

        async def work() -> None:
            for number in queue:
                await self._send_part(number)

        await run_workers(work, min(self._options.part_concurrency, len(missing)))

    async def _send_part(self, number: int) -> None:
        algorithm = self._options.algorithm
        part_range = self._plan.range(number)
        digest = b""
        checksum: Checksum | None = None
        if algorithm != "none":
            digest = await self._file.digest(algorithm, part_range)
            checksum = checksum_of(algorithm, digest)
        options = PartOptions(checksum, "" if checksum else "none", self._put.encryption)
        body = self._file.slice(part_range)
        part = await self._store.put_part(self._key, self._record.upload_id, number, body, options)
        self._record.finished(PartInfo(number, part.etag, body.size, checksum), algorithm, digest)
        self._emit(BytesMoved(self._file.name, body.size))

    async def _complete(self) -> PutResult:
        self._file.check()
        record = self._record
        parts = [record.parts[number] for number in range(1, self._plan.count + 1)]
        whole = self._checksum_of_whole()
        options = self._put if whole is None else replace(self._put, checksum=whole)
        return await self._store.complete_multipart(self._key, record.upload_id, parts, options)

    def _checksum_of_whole(self) -> Checksum | None:
        algorithm = self._options.algorithm
        if algorithm == "none":
            return None
        plan = self._plan
        digests = [self._record.digests[number] for number in range(1, plan.count + 1)]
        if not supports_full_object(algorithm):
            return composite(algorithm, digests)
        sizes = [end - start for start, end in map(plan.range, range(1, plan.count + 1)) if end is not None]
        return combine(algorithm, zip(digests, sizes, strict=True))

    async def _give_up(self) -> None:
        if self._record.upload_id:
            await self._store.abort_multipart(self._key, self._record.upload_id)
        self._record.remove()

    def _intent(self) -> Intent:
        properties = blake2b(repr(self._asked).encode(), digest_size=16).hexdigest()
        return Intent(
            tuple(self._file.fingerprint), self._plan.part_size, properties, uuid.uuid4().hex, time.time()
        )

    def _with_token(self, token: str) -> PutOptions:
        algorithm = self._options.algorithm
        kind = ""
        if algorithm != "none":
            kind = "FULL_OBJECT" if supports_full_object(algorithm) else "COMPOSITE"
        return replace(
            self._asked,
            metadata={**self._asked.metadata, TOKEN: token},
            checksum_algorithm=algorithm,
            checksum_kind=kind,
        )
