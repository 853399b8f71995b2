"""What a shipper has open while it works: the lock, its state, the directory, and the store.

::

    .haul-ship/lock        held by the process that ships
    .haul-ship/state.db    see `haulyard.spool.shipped`
    .haul-ship/uploads/    of uploads in parts, see `haulyard.transfer.resume`
    .haul-ship/going/      files on their way out, see `haulyard.spool.letting_go`
    quarantine/            files that were given up, and ``reasons.jsonl``
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from haulyard.errors import HaulError, NotFound, PreconditionFailed, S3PermissionError, SpoolError
from haulyard.events import Warned
from haulyard.journal.lock import Lock
from haulyard.models import ListOptions, PutOptions
from haulyard.spool.carrying import Carrier
from haulyard.spool.finished import Lookout, Sight
from haulyard.spool.keys import suffixed
from haulyard.spool.letting_go import LettingGo, free_name
from haulyard.spool.shipped import State
from haulyard.spool.weather import is_outage, pause_after
from haulyard.transfer.guard import looking_at
from haulyard.transfer.resume import UploadRecord, forget_completed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.events import Emit
    from haulyard.spool.carrying import Manner
    from haulyard.spool.finished import Identity
    from haulyard.spool.letting_go import After
    from haulyard.stores.assemble import Connection
    from haulyard.stores.base import Store
    from haulyard.transfer.filters import Filter

FOLDER: Final = ".haul-ship"
QUARANTINE: Final = "quarantine"
REASONS: Final = "reasons.jsonl"
#: Keys beside the one of an abandoned upload that are asked for, where a conflict may have led there.
_BESIDE: Final = 10
#: Seconds: the first pause where the store does not answer at the start.
_BASE: Final = 1.0


class Premises:
    """All that is open; an async context manager.

    Args:
        path: The spool directory, absolute.
        connect: Opens a connection, each time with what credentials there are by then.
        bucket: Where files go.
        prefix: Below which; probes are made there.
        manner: How they are written.
        after: What becomes of them.
        move_to: Where they are moved.
        emit: Told of what a person should know.
        command: Who holds the lock, for others to read.
        destination: See `State`.
        is_patient: Wait for a store that does not answer.

    Raises (on entry):
        NotFound: There is no such directory.
        JobError: Somebody else ships it.
        SpoolError: The state cannot be written.
        HaulError: The store cannot be reached, or refuses.
    """

    def __init__(
        self,
        path: str,
        connect: Callable[[], Connection],
        bucket: str,
        prefix: str,
        manner: Manner,
        *,
        after: After,
        move_to: str,
        emit: Emit,
        command: str,
        destination: str,
        is_patient: bool = False,
    ) -> None:
        self.path = path
        self._connect = connect
        self._bucket = bucket
        self._prefix = prefix
        self._manner = manner
        self._after: After = after
        self._move_to = move_to
        self._emit = emit
        self._command = command
        self._destination = destination
        self._is_patient = is_patient
        self._connection: Connection | None = None
        #: Why the store is not reached yet; one line.
        self.trouble = "the store was not reached yet"
        self._opened = ExitStack()
        self._is_open = False

    async def __aenter__(self) -> Self:
        try:
            self._open(os.path.join(self.path, FOLDER))
            self._is_open = True
            await self._reach()
            await self._sweep()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        # What was completed without anybody hearing so is asked for while there is a connection.
        with suppress(HaulError):
            await forget_completed(self._manner.state_dir, self.store)
        await self._close()

    @property
    def kept(self) -> Mapping[str, Identity]:
        """The files that were shipped and stay, as long as that is what is wanted of them."""
        return self.state.kept if self._after == "keep" else {}

    def backlog(self, wanted: Filter) -> Sight:
        """Look at what waits for the store to be reached; nothing yet, where the directory is not open."""
        if not self._is_open:
            return Sight([], is_cut=False, files=0, bytes=0, oldest=0.0, young=0, due=None, links=[])
        return Lookout(self.directory, wanted, 0.0).look((), self.kept)

    async def reconnect(self) -> None:
        """Connect anew, with what credentials there are by now. Nothing may be under way.

        Raises:
            HaulError: They are refused, or the store is not reached; the connection is the one before.
        """
        connection = self._connect()
        try:
            await check_access(connection, self._bucket, self._prefix, self._emit)
            store = await connection.proved(self._bucket, below=self._prefix)
        except BaseException:
            await connection.close()
            raise
        before, self._connection = self._connection, connection
        self.store: Store = store
        self.carrier = Carrier(self.path, self.directory, store, self._manner, self._emit)
        if before is not None:
            await before.close()

    async def abandon(self, name: str) -> None:
        """Abort the upload in parts of a file that nobody will continue, if there is one.

        Raises:
            HaulError: That is not possible; it is tried again by the next start.
        """
        begun = self.state.begun.get(name)
        if begun is None or begun.store != self.store.identity:
            self.state.ended(name)
            return
        for number in range(_BESIDE if self._manner.on_conflict == "suffix" else 1):
            key = suffixed(begun.key, number)
            source, destination = os.path.join(self.path, name), f"{self.store.identity}/{key}"
            record = UploadRecord.open(self._manner.state_dir, source, destination)
            try:
                if record.upload_id:
                    await self.store.abort_multipart(key, record.upload_id)
                record.remove()
            finally:
                record.close()
        self.state.ended(name)

    async def put_new(self, key: str, data: bytes) -> bool:
        """Make a JSON object, and never overwrite: True if it is there now with these bytes, else False."""
        encryption = self._manner.put.encryption
        options = PutOptions(content_type="application/json", encryption=encryption)
        can_refuse = self.store.capabilities.conditional_put is True
        if can_refuse:
            options = replace(options, if_none_match="*")
        elif (held := await self._content(key)) is not None:
            return held == data
        try:
            await self.store.put(key, data, options)
        except PreconditionFailed:
            return await self._content(key) == data
        return True

    async def _content(self, key: str) -> bytes | None:
        try:
            looking = looking_at(self.store, self._manner.put.encryption)
            async with await self.store.get(key, looking) as reader:
                return await reader.read()
        except NotFound:
            return None

    def quarantine(self, name: str, key: str, error: BaseException, attempts: int) -> str:
        """Put a file aside with the reason, and return where it lies now. Raises OSError."""
        folder = os.path.join(self.path, QUARANTINE)
        os.makedirs(folder, exist_ok=True)
        # The list of reasons has its name to itself.
        free = free_name(folder, suffixed(name, 1) if name == REASONS else name)
        reason = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "file": free,
            "name": name,
            "key": key,
            "attempts": attempts,
            "error": str(error),
            "hint": getattr(error, "hint", ""),
        }
        line = json.dumps({field: value for field, value in reason.items() if value}).encode() + b"\n"
        with open(os.path.join(folder, REASONS), "ab") as file:
            file.write(line)
        target = os.path.join(folder, free)
        os.rename(name, target, src_dir_fd=self.directory)
        return target

    def _open(self, folder: str) -> None:
        try:
            self.directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(
                f"{self.path}: {error.strerror}",
                store="local",
                operation="ship",
                key=self.path,
                hint="name the directory of the rotated files",
            ) from None
        self._opened.callback(os.close, self.directory)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        except OSError as error:
            raise SpoolError(
                f"{folder} cannot be made: {error.strerror}",
                hint="make the spool directory writable for this user: the state of shipping lies in it",
            ) from None
        what = f"the spool directory {self.path}"
        opened = self._opened
        opened.enter_context(Lock.acquire(os.path.join(folder, "lock"), command=self._command, what=what))
        self.state = State(folder, self._destination, self._emit)
        opened.callback(self.state.close)
        self.letting_go = LettingGo(self.path, self.directory, self._after, self._move_to)
        opened.callback(self.letting_go.close)
        if self.state.kept:
            self.state.forget(self.state.kept.keys() - set(os.listdir(self.path)))
        for name in self.letting_go.recover():
            self._emit(Warned(f"{os.path.join(self.path, name)} was on its way out when shipping was killed"))

    async def _reach(self) -> None:
        """Connect; who is patient waits for a store that does not answer."""
        for failures in count(1):
            try:
                await self.reconnect()
            except HaulError as error:
                if not (self._is_patient and is_outage(error)):
                    raise
                pause = pause_after(failures, _BASE)
                self.trouble = str(error)
                self._emit(Warned(f"{error}; again in {pause:.1f} s", error.hint))
                await asyncio.sleep(pause)
            else:
                return

    async def _sweep(self) -> None:
        """Abort the uploads of files that are no longer there."""
        there = set(os.listdir(self.path)) if self.state.begun else set()
        for name, begun in list(self.state.begun.items()):
            if begun.store == self.store.identity and name not in there:
                await self.abandon(name)

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self._opened.close()


async def check_access(connection: Connection, bucket: str, prefix: str, emit: Emit) -> None:
    """Find out whether credentials and bucket are right, without writing.

    Who may write and not list is told so, and goes on: the first file will show.

    Raises:
        S3AuthError: Credentials are missing, wrong or expired, or the clock is.
        NotFound: There is no such bucket.
        HaulError: The store cannot be reached.
    """
    store = connection.bucket(bucket)
    try:
        async for _ in store.list(prefix, ListOptions(page_size=1)):
            return
    except S3PermissionError as error:
        try:
            await store.head(f"{prefix}.haul-access")
        except NotFound:
            return
        except S3PermissionError:
            emit(
                Warned(
                    f"s3://{bucket}/{prefix} may not be listed: {error}", "the first file shows what else is"
                )
            )
