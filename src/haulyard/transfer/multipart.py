"""One large object as a multipart upload that can be killed at any moment and continued.

Where its parts come from is a `PartSource`: a file, the same service, another one. What is written down when
is `haulyard.transfer.resume`'s to say. The store is asked (ListParts) which of the noted parts it really has;
a part counts only where number, size and ETag are those that were noted.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from haulyard.checksums import combine, composite, digest_of, supports_full_object
from haulyard.errors import (
    AccessDenied,
    Conflict,
    HaulError,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    S3NetworkError,
    S3ServerError,
    SourceChanged,
)
from haulyard.events import BytesMoved, Warned
from haulyard.models import GetOptions, PutResult
from haulyard.stores.fate import TOKEN
from haulyard.transfer.resume import Intent, UploadRecord
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.events import Emit
    from haulyard.models import ByteRange, Checksum, Encryption, PartInfo, PutOptions
    from haulyard.stores.base import Store
    from haulyard.transfer.options import TransferOptions
    from haulyard.transfer.parts import PartPlan


#: After these there is nothing to continue: another run would begin anew.
_HOPELESS = (AccessDenied, Conflict, IntegrityError, NotFound, PreconditionFailed, SourceChanged)
#: Attempts to create an upload where answers are lost; each has its own retries inside.
_CREATIONS: Final = 5
#: After these nobody knows whether the store did what it was asked to.
_IN_DOUBT = (S3NetworkError, S3ServerError)


class PartTarget(NamedTuple):
    """The upload that parts are sent to."""

    store: Store
    key: str
    upload_id: str
    encryption: Encryption | None


class PartSource(Protocol):
    """What an upload is made of."""

    @property
    def name(self) -> str:
        """The source's full name, for events and for the record."""
        ...

    @property
    def identity(self) -> tuple[int | str, ...]:
        """What tells one content from the next; parts of one are never mixed with those of another."""
        ...

    @property
    def algorithm(self) -> str:
        """The checksum that is known of each part that was sent; ``none`` where there is none."""
        ...

    async def send(self, target: PartTarget, number: int, part: ByteRange) -> PartInfo:
        """Write one part; return what is known of it, with its checksum by ``algorithm``."""
        ...

    def check(self) -> None:
        """Raise SourceChanged where the source is seen not to be what it was."""
        ...


class MultipartUpload:
    """The upload of one object under one key, in the parts of ``plan``, ``workers`` of them at a time.

    ``is_marked`` leaves a write token in the metadata, by which an object whose completion nobody heard of is
    known to be ours. ``emit`` is told of bytes as parts are finished, those of an earlier run included.
    """

    def __init__(
        self,
        source: PartSource,
        store: Store,
        key: str,
        put: PutOptions,
        plan: PartPlan,
        options: TransferOptions,
        emit: Emit,
        *,
        is_marked: bool = True,
        workers: int,
    ) -> None:
        self._source = source
        self._store = store
        self._key = key
        self._asked = self._put = put
        self._plan = plan
        self._state_dir = options.state_dir
        self._emit = emit
        self._is_marked = is_marked
        self._workers = workers

    async def run(self) -> PutResult:
        """Upload what is missing, complete, and return what the store says of the object.

        An error or a cancellation leaves the upload and its record for the next run, save where that could
        not continue either: then the upload is aborted.
        """
        destination = f"{self._store.identity}/{self._key}"
        for is_last in (False, True):
            self._record = UploadRecord.open(self._state_dir, self._source.name, destination)
            try:
                return await self._attempt()
            except Conflict:
                # Somebody else was writing the key: S3 wants a new upload then, not a second completion.
                if is_last:
                    raise
            finally:
                self._record.close()
        raise AssertionError  # the second round returns or raises

    async def _attempt(self) -> PutResult:
        try:
            result = await self._take_up()
            if result is None:
                await self._send_parts()
                result = await self._complete()
        except HaulError as error:
            if isinstance(error, _HOPELESS) or not (self._record.upload_id or isinstance(error, _IN_DOUBT)):
                await self._give_up()
            raise
        self._record.remove()
        return result

    async def _take_up(self) -> PutResult | None:
        """Continue the upload of an earlier run or create one; return the result of a completed one."""
        record = self._record
        wanted = self._intent()
        intent = record.intent
        if intent is not None and record.upload_id:
            if intent.same_upload(wanted):
                self._put = self._marked(intent.token)
                if await self._find_parts():
                    return None
                if (result := await self._completed_before(intent)) is not None:
                    return result
            else:
                await self._store.abort_multipart(self._key, record.upload_id)
        elif intent is not None:
            # Killed between its creation and the writing down of its id: nothing proves which it is.
            await name_others(self._store, self._key, "", self._emit)
        self._put = self._marked(wanted.token)
        record.begin(wanted)
        record.created(await created(self._store, self._key, self._put, self._emit))
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

    async def _completed_before(self, intent: Intent) -> PutResult | None:
        """The upload is gone: completed by a call whose answer was lost, or aborted by somebody."""
        if not intent.token:
            return None
        try:
            head = await self._store.head(self._key, GetOptions(encryption=self._customer_key()))
        except NotFound:
            return None
        if head.size != self._plan.size or head.metadata.get(TOKEN) != intent.token:
            return None
        return PutResult(head.etag, head.version_id, head.checksums, head.last_modified)

    async def _send_parts(self) -> None:
        """Upload the missing parts, a few at a time; the first error stops the others."""
        missing = []
        for number in range(1, self._plan.count + 1):
            done = self._record.parts.get(number)
            if done is not None:
                self._emit(BytesMoved(self._source.name, done.size))
            else:
                missing.append(number)
        queue = iter(missing)
        target = PartTarget(self._store, self._key, self._record.upload_id, self._put.encryption)

        async def work() -> None:
            for number in queue:
                part = await self._source.send(target, number, self._plan.range(number))
                self._record.finished(part)
                self._emit(BytesMoved(self._source.name, part.size))

        await run_workers(work, min(self._workers, len(missing)))

    async def _complete(self) -> PutResult:
        self._source.check()
        record = self._record
        parts = [record.parts[number] for number in range(1, self._plan.count + 1)]
        options = replace(self._put, checksum=_checksum_of_whole(self._source.algorithm, parts))
        record.completing()
        return await self._store.complete_multipart(self._key, record.upload_id, parts, options)

    async def _give_up(self) -> None:
        """Abort the upload; where that fails its record stays, so that the next run tries again."""
        upload_id = self._record.upload_id
        if upload_id:
            try:
                await self._store.abort_multipart(self._key, upload_id)
            except HaulError as error:
                url = f"{self._store.name}/{self._key}"
                self._emit(
                    Warned(
                        f"the upload of {url} could not be aborted: {error}",
                        f"try again: {_abortion(url, upload_id)}",
                    )
                )
                return
        self._record.remove()

    def _intent(self) -> Intent:
        properties = blake2b(repr(self._asked).encode(errors="surrogateescape"), digest_size=16)
        if (encryption := self._customer_key()) is not None and encryption.customer_key is not None:
            # A Secret does not show itself in a repr, and parts under another key would be refused.
            properties.update(encryption.customer_key.reveal())
        token = uuid.uuid4().hex if self._is_marked else ""
        return Intent(
            self._source.identity,
            self._plan.part_size,
            properties.hexdigest(),
            token,
            self._store.identity,
            self._key,
        )

    def _customer_key(self) -> Encryption | None:
        encryption = self._asked.encryption
        return encryption if encryption is not None and encryption.mode == "SSE-C" else None

    def _marked(self, token: str) -> PutOptions:
        put, algorithm = self._asked, self._source.algorithm
        if token:
            put = replace(put, metadata={**put.metadata, TOKEN: token})
        if algorithm != "none":
            kind = "FULL_OBJECT" if supports_full_object(algorithm) else "COMPOSITE"
            put = replace(put, checksum_algorithm=algorithm, checksum_kind=kind)
        return put


async def created(store: Store, key: str, put: PutOptions, emit: Emit) -> str:
    """Create a multipart upload and return its id.

    Where the answer is lost another one is created, and what the first may have left behind is named.
    """
    is_in_doubt = False
    for attempt in range(1, _CREATIONS + 1):
        try:
            upload_id = await store.create_multipart(key, put)
        except S3NetworkError as error:
            if not error.sent or attempt == _CREATIONS:
                raise
            is_in_doubt = True
        else:
            if is_in_doubt:
                await name_others(store, key, upload_id, emit)
            return upload_id
    raise AssertionError  # the last round returns or raises


async def name_others(store: Store, key: str, ours: str, emit: Emit) -> None:
    """Name the open uploads of ``key`` other than ``ours``: nothing proves whose they are."""
    url = f"{store.name}/{key}"
    try:
        async for upload in store.list_uploads(key):
            if upload.key == key and upload.upload_id != ours:
                since = f"{upload.initiated:%Y-%m-%d %H:%M:%S} UTC"
                hint = f"if nobody continues it: {_abortion(url, upload.upload_id)}"
                emit(Warned(f"{url} has an upload open since {since}", hint))
    except HaulError as error:
        hint = f"ask somebody who may list them: haul uploads {url}"
        emit(Warned(f"an upload of {url} may be left open, and they cannot be listed: {error}", hint))


def _abortion(url: str, upload_id: str) -> str:
    from shlex import quote  # a millisecond for a rare sentence

    return f"haul uploads abort {quote(url)} --upload-id {quote(upload_id)}"


def _checksum_of_whole(algorithm: str, parts: Sequence[PartInfo]) -> Checksum | None:
    if algorithm == "none":
        return None
    known = [(digest_of(part.checksum), part.size) for part in parts if part.checksum is not None]
    if not supports_full_object(algorithm):
        return composite(algorithm, [digest for digest, _ in known])
    return combine(algorithm, known)
