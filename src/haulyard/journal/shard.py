"""A sealed shard: its plan, read in checked batches, and its log, a verified chain that grows durably.

How the file looks is said in `haulyard.journal.building`. One process at a time has it open for work; others
may read it meanwhile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import anyio

from haulyard.errors import JobError
from haulyard.journal import log, meta
from haulyard.journal.damage import damaged, foreign_errors
from haulyard.journal.lock import Holder, Lock, holder_of
from haulyard.journal.log import Entry, Phases
from haulyard.journal.opening import connect_reader, connect_writer
from haulyard.journal.plan_rows import PlanRows
from haulyard.journal.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ["Entry", "Phases", "Shard"]

_TALLY = "tally"
_FINISHED = "finished"


class Shard:
    """One shard, open; ``path`` is its file.

    An entry is a sequence ``(item, phase, at, details)`` that JSON can hold, `Entry` or a plain list; it must
    not be changed after it was handed over.
    """

    def __init__(
        self, path: str, reader: sqlite3.Connection, lock: Lock | None, writer: Writer | None
    ) -> None:
        self.path = path
        self._reader = reader
        self._lock = lock
        self._writer = writer
        self._plan = PlanRows(reader, path, meta.read(reader, path))

    @classmethod
    def open(cls, path: str, *, owner: str, read_only: bool = False) -> Shard:
        """Open a sealed shard for work, or only for reading.

        For work it is locked (``owner`` is the command that others are told), what a crash left is recovered
        by SQLite, and the whole chain of the log is verified. ``read_only`` takes no lock, writes nothing and
        verifies what is read when it is read.

        Raises:
            JobError: It is locked by another process, missing or damaged, or cannot be opened.
        """
        if read_only:
            return cls._opened(path, None)
        lock = Lock.acquire(path + ".lock", command=owner, what=path)
        try:
            return cls._opened(path, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _opened(cls, path: str, lock: Lock | None) -> Shard:
        # Read first: what is no shard stays as it is.
        reader = connect_reader(path)
        try:
            shard = cls(path, reader, lock, None)
            if lock:
                connection = connect_writer(path)
                try:
                    shard._writer = Writer(connection, path, log.verified_end(reader, path))
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            reader.close()
            raise
        return shard

    @staticmethod
    def holder(path: str) -> Holder | None:
        """Return who has the shard open for work at this moment, None if nobody has."""
        return holder_of(path + ".lock")

    @property
    def count(self) -> int:
        """The number of plan rows; their ids are 1 to ``count``."""
        return self._plan.count

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a plan row's columns, ``id`` first."""
        return self._plan.columns

    def meta(self, name: str) -> str | None:
        """Return a text that was kept with the shard, None if there is none. Raises JobError if damaged."""
        return meta.read(self._reader, self.path).get(name)

    def rows(self, after: int = 0, where: str = "") -> Iterator[list[tuple[Any, ...]]]:
        """Yield plan rows with an id above ``after``, in id order, up to 1,000 at a time.

        Each page is one batch, whose seal is checked before anything of it is yielded. ``where`` is an SQL
        condition on the plan's columns; it saves rows, not the check.

        Raises:
            JobError: A batch is damaged; the message names its rows.
        """
        return self._plan.pages(after, where)

    def row(self, item: int) -> tuple[Any, ...]:
        """Return one plan row. Raises JobError if there is none, or its batch is damaged."""
        return self._plan.row(item)

    def entries(self) -> Iterator[Entry]:
        """Yield the log from its beginning, as it is when it is read; memory does not grow with it.

        Raises:
            JobError: The chain is broken; the message names the commit.
        """
        return log.entries(self._reader, self.path)

    def last_phases(self) -> Phases:
        """Return the last phase of every item, at one byte a plan row. Raises JobError if damaged."""
        return log.last_phases(self._reader, self.path, self.count)

    def tally(self) -> dict[str, Any] | None:
        """Return what `finish` was given, None if it was not called, or more was recorded since.

        Raises:
            JobError: The shard is damaged where that is kept.
        """
        values = meta.read(self._reader, self.path)
        if _TALLY not in values:
            return None
        with foreign_errors(self.path):
            last = self._reader.execute("SELECT max(seq) FROM log").fetchone()[0] or 0
        if values.get(_FINISHED) != str(last):
            return None
        try:
            return dict(json.loads(values[_TALLY]))
        except (ValueError, TypeError) as error:
            raise damaged(self.path, "in its tally") from error

    async def record(self, *entries: Sequence[Any]) -> None:
        """Write entries, in one commit, and return once they are on the disk with all noted before them.

        Raises:
            JobError: They cannot be, now or since an earlier failure; the caller must not act on them.
        """
        await self._writing().record(entries)

    def note(self, entry: Sequence[Any]) -> None:
        """Have an entry written, in order, with the next commit or within a few hundredths of a second.

        Memory is bounded: where 10,000 entries wait, this blocks until they are being written.

        Raises:
            JobError: Something noted or recorded before could not be written.
        """
        self._writing().note(entry)

    async def flush(self) -> None:
        """Return once all that was noted is on the disk. Raises JobError."""
        await self._writing().record(())

    async def finish(self, tally: Mapping[str, Any]) -> None:
        """Write down what the shard came to, so that nobody need read it again for that.

        It holds until the next entry is recorded.

        Raises:
            JobError: It cannot be written.
        """
        writer = self._writing()
        await writer.record(())
        text = json.dumps(tally, separators=(",", ":"))
        await writer.record((), {_TALLY: text, _FINISHED: str(writer.link.seq)})

    async def close(self) -> None:
        """Write what was noted, take the WAL into the file, and let others have the shard.

        Twice is harmless.

        Raises:
            JobError: Something that was noted could not be written.
        """
        # Its thread may need a while for the checkpoint; the lock must outlast it.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.release)

    def release(self) -> None:
        """Do the same as `close` where there is no event loop."""
        writer, self._writer = self._writer, None
        self._reader.close()
        if writer:
            writer.close()
        if self._lock:
            self._lock.release()
        if writer and writer.failure:
            raise writer.failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except JobError:
            # What ends the block has said so already.
            if error is None:
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except JobError:
            if error is None:
                raise

    def _writing(self) -> Writer:
        if self._writer is None:
            raise JobError(f"{self.path} is not open for work", hint="open it without read_only")
        return self._writer
