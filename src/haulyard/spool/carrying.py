"""One file into a store, never over something else, and the proof that the store holds it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from haulyard.checksums import checksum_of, compute, digest_of, etag_is_md5, hasher
from haulyard.errors import (
    AccessDenied,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    SourceChanged,
    StoreError,
)
from haulyard.models import ByteRange, GetOptions, PutOptions
from haulyard.spool.finished import Identity
from haulyard.spool.keys import suffixed, type_of
from haulyard.spool.writers import has_writer
from haulyard.transfer.file_parts import FileParts
from haulyard.transfer.files import SourceFile
from haulyard.transfer.guard import looking_at
from haulyard.transfer.multipart import MultipartUpload
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.parts import fits_one_put, plan_parts

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.models import Checksum, ObjectHead
    from haulyard.spool.finished import Candidate
    from haulyard.stores.base import Store

OnConflict = Literal["fail", "suffix"]

#: Bytes up to which a file is read once and held, as in `haulyard.transfer.upload`.
_SMALL: Final = 256 * 1024
_SOURCE: Final = "local"


@dataclass(frozen=True, slots=True)
class Manner:
    """How files are written.

    ``put`` is what every object gets; content type and encoding follow the name where it leaves them open.
    ``source`` and ``host`` go into the metadata. ``state_dir`` holds what an interrupted upload in parts
    needs. ``part_size`` in bytes, 0 chooses. ``algorithm`` is the checksum that uploads carry.
    """

    put: PutOptions
    source: str
    host: str
    state_dir: str
    on_conflict: OnConflict = "fail"
    part_size: int = 0
    algorithm: str = "CRC64NVME"


class Carried(NamedTuple):
    """A file that the store provably holds. Whoever gets it closes ``file``."""

    file: SourceFile
    descriptor: int
    identity: Identity
    key: str
    sha256: str
    etag: str
    version_id: str
    is_new: bool
    """False where the store held the same content under the key before."""


class Gone(Exception):
    """The file is no longer there, which is nobody's fault."""


class Carrier:
    """Carries files of one directory into one store; any number of them at a time.

    Args:
        path: The directory, for messages.
        directory: Its descriptor.
        store: Where to; its capabilities are proved.
        manner: How.
        emit: Told of bytes, and of what a person should know.
    """

    def __init__(self, path: str, directory: int, store: Store, manner: Manner, emit: Emit) -> None:
        self._path = path
        self._directory = directory
        self._store = store
        self._manner = manner
        self._emit = emit
        self._looking = looking_at(store, manner.put.encryption)
        self._put_options: dict[tuple[str, str], PutOptions] = {}
        self._uploading = TransferOptions(
            part_size=manner.part_size, state_dir=manner.state_dir, algorithm=manner.algorithm
        )

    def is_large(self, size: int) -> bool:
        """Whether a file of so many bytes goes in parts."""
        return not fits_one_put(size, self._manner.part_size, self._store.capabilities)

    async def __call__(self, candidate: Candidate, key: str, at: float) -> Carried:
        """Carry one file to ``key``, or with ``suffix`` to the first key beside it that is free.

        ``at`` is the time that its metadata give, in epoch seconds.

        Raises:
            Gone: It is not there any more.
            SourceChanged: It is not what it was, or is being written.
            PreconditionFailed: The key holds other content.
            HaulError: It cannot be read, sent, or proved.
        """
        descriptor = self._open(candidate)
        file = SourceFile(descriptor, os.path.join(self._path, candidate.name))
        try:
            content = await self._read(file)
            options = self._options_for(candidate.name, content, at, is_large=self.is_large(file.size))
            placed = await self._placed(file, content, key, options)
            file.check()
        except BaseException:
            file.close()
            raise
        return Carried(file, descriptor, candidate.identity, *placed)

    def _open(self, candidate: Candidate) -> int:
        """Open the very file that was found, which nobody may be writing."""
        name = candidate.name
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, dir_fd=self._directory)
        except FileNotFoundError:
            raise Gone from None
        except OSError as error:
            raise self._unreadable(name, error) from error
        status = os.fstat(descriptor)
        is_same = stat.S_ISREG(status.st_mode) and Identity.of(status) == candidate.identity
        if is_same and not has_writer(descriptor):
            return descriptor
        os.close(descriptor)
        what = "is open for writing" if is_same else "is not what it was"
        raise SourceChanged(
            f"{os.path.join(self._path, name)} {what}", store=_SOURCE, operation="ship", key=name
        )

    def _unreadable(self, name: str, error: OSError) -> StoreError:
        # A link in its place has nothing to do with rights, but it was put there.
        kind = AccessDenied if isinstance(error, PermissionError) else StoreError
        return kind(
            f"{os.path.join(self._path, name)} cannot be read: {error.strerror}",
            store=_SOURCE,
            operation="ship",
            key=name,
            hint="make it a regular file that this user may read",
        )

    async def _read(self, file: SourceFile) -> _Content:
        algorithm = self._manner.algorithm
        if file.size <= _SMALL:
            data = file.read()
            checksum = None if algorithm == "none" else compute(algorithm, data)
            return _Content(hashlib.sha256(data).hexdigest(), checksum, data)
        sha256 = hashlib.sha256()
        other = None if algorithm == "none" else hasher(algorithm)
        async for piece in file.slice(ByteRange(0, file.size)).open():
            sha256.update(piece)
            if other is not None:
                other.update(piece)
            # A gigabyte takes a second, in which the other uploads want their turn.
            await asyncio.sleep(0)
        checksum = None if other is None else checksum_of(algorithm, other.digest())
        return _Content(sha256.hexdigest(), checksum)

    async def _placed(self, file: SourceFile, content: _Content, key: str, options: PutOptions) -> _Placed:
        """Write ``key``, or the first one beside it that is free or has this content."""
        if self._manner.on_conflict != "suffix":
            return await self._place(file, content, key, options)
        for number in count():
            with suppress(PreconditionFailed):
                return await self._place(file, content, suffixed(key, number), options)
        raise AssertionError  # one of the numbers is free

    async def _place(self, file: SourceFile, content: _Content, key: str, options: PutOptions) -> _Placed:
        """Write one key, unless it has this content already. Raises PreconditionFailed for other content."""
        is_large = self.is_large(file.size)
        can_refuse = self._store.capabilities.conditional_put is True
        if (is_large or not can_refuse) and (found := await self._found(file, content, key)):
            return found
        try:
            if is_large:
                await self._in_parts(file, key, options)
            else:
                body = file.slice(ByteRange(0, file.size)) if content.data is None else content.data
                await self._store.put(key, body, options)
        except PreconditionFailed:
            # It was there before; or our own earlier try has put it there, and nobody heard of it.
            if found := await self._found(file, content, key):
                return found
            raise
        except IntegrityError:
            # What the store refused as damaged is most often a file that was written to meanwhile.
            file.check()
            raise
        head = await self._store.head(key, self._looking)
        if not await self._holds(head, file, content):
            raise IntegrityError(
                f"{self._store.name}/{key} is not what was sent",
                operation="ship",
                bucket=self._store.bucket,
                key=key,
                hint="somebody else may have written it; the file stays where it is",
            )
        return _Placed(key, content.sha256, head.etag, head.version_id, is_new=True)

    async def _found(self, file: SourceFile, content: _Content, key: str) -> _Placed | None:
        """Return what the key holds where that is the file's content; None where it holds nothing."""
        try:
            head = await self._store.head(key, self._looking)
        except NotFound:
            return None
        if await self._holds(head, file, content):
            return _Placed(key, content.sha256, head.etag, head.version_id, is_new=False)
        raise PreconditionFailed(
            f"{self._store.name}/{key} holds other content than {file.name}",
            operation="ship",
            bucket=self._store.bucket,
            key=key,
            hint="it was not overwritten: give the file another name, or use --on-conflict suffix",
        )

    async def _in_parts(self, file: SourceFile, key: str, options: PutOptions) -> None:
        plan = plan_parts(file.size, self._manner.part_size, self._store.capabilities)
        await MultipartUpload(
            FileParts(file, self._manner.algorithm),
            self._store,
            key,
            options,
            plan,
            self._uploading,
            self._emit,
            workers=self._uploading.part_concurrency,
        ).run()

    async def _holds(self, head: ObjectHead, file: SourceFile, content: _Content) -> bool:
        """Whether an object has the bytes of the file: by its checksum, else by its ETag, else read again."""
        if head.size != file.size:
            return False
        for stated in head.checksums:
            if stated.kind == "FULL_OBJECT":
                return stated.value == (await self._checksum(file, content, stated.algorithm)).value
        if etag_is_md5(head):
            checksum = await self._checksum(file, content, "MD5")
            if digest_of(checksum).hex() == head.etag:
                return True
        return await self._reads_the_same(head, content.sha256)

    async def _checksum(self, file: SourceFile, content: _Content, algorithm: str) -> Checksum:
        if content.checksum is not None and content.checksum.algorithm == algorithm:
            return content.checksum
        return checksum_of(algorithm, await file.digest(algorithm, ByteRange(0, file.size)))

    async def _reads_the_same(self, head: ObjectHead, sha256: str) -> bool:
        state = hashlib.sha256()
        options = GetOptions(if_match=head.etag, encryption=self._looking.encryption)
        async with await self._store.get(head.key, options) as reader:
            async for chunk in reader.chunks():
                state.update(chunk)
        return state.hexdigest() == sha256

    def _options_for(self, name: str, content: _Content, at: float, *, is_large: bool) -> PutOptions:
        """Return what the object gets: one copy for each file, for thousands of them a second."""
        manner = self._manner
        kind = type_of(name)
        options = self._put_options.get(kind)
        if options is None:
            put = manner.put
            options = self._put_options[kind] = replace(
                put,
                content_type=put.content_type or kind[0],
                content_encoding=put.content_encoding or kind[1],
            )
        metadata = {
            **options.metadata,
            "uploaded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
            "source": manner.source,
            "host": manner.host,
            "sha256": content.sha256,
        }
        only_new = "*" if self._store.capabilities.conditional_put is True else ""
        if is_large:
            # Of parts the checksums are known one by one, and of the whole when they are all there.
            return replace(options, metadata=metadata, if_none_match=only_new)
        return replace(
            options,
            metadata=metadata,
            if_none_match=only_new,
            checksum=content.checksum,
            checksum_algorithm="" if content.checksum else "none",
        )


class _Content(NamedTuple):
    """What a file holds: its digest in hex, its checksum, and where it is small the bytes themselves."""

    sha256: str
    checksum: Checksum | None
    data: bytes | None = None


class _Placed(NamedTuple):
    key: str
    sha256: str
    etag: str
    version_id: str
    is_new: bool
