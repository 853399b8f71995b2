"""Kept answers: JSON Lines that grow in the job's folder, and go where they are wanted segment by segment.

::

    {"object": "in/a.csv", "etag": "…", "offset": 262144, "row": 12, "part": 0, "status": 200,
     "answer": {…}, "at": "2026-03-01T03:00:00.125Z"}

A segment is a file ``responses/00001.jsonl``, only appended to. Its length is part of each commit, and the
file is synced before that: what a crash leaves behind the committed length is cut off, so that an answer is
there exactly if its record is marked as ended. A segment of 64 MiB, and the last one of a run, is closed;
then it is delivered as ``NAME-00001.jsonl`` or ``.parquet``, and forgotten here once a commit says so. A
delivery that was killed is made again, and replaces the same object.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import anyio.to_thread
import orjson

from haulyard.journal import durable
from haulyard.journal.damage import damaged, unwritable
from haulyard.records.answers_parquet import to_parquet
from haulyard.records.telling import moment, told
from haulyard.records.uploading import upload_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from haulyard.errors import JobError
    from haulyard.journal.folder import JobFolder
    from haulyard.records.ledger import Ledger
    from haulyard.records.model import Address, SourceObject
    from haulyard.stores.base import Store
    from haulyard.transfer.options import TransferOptions

AnswerFormat = Literal["jsonl", "parquet"]

#: Bytes of a segment, to within what comes with one commit.
SEGMENT: Final = 64 * 1024**2
_FILE: Final = re.compile(r"(\d{5,})\.(?:jsonl|parquet)").fullmatch


class Responses:
    """The answers of one job.

    `add` and `take` belong to the event loop, `sync` to the thread that commits: `take`, `sync`, and then the
    commit that has what `take` returned. Only one commit at a time is under way.

    Args:
        directory: Where segments are; it is made with the first.
        committed: Tells what the last commit says, None for nothing.
        source: Tells an object by its id.
        segment: Bytes after which one is closed.
    """

    def __init__(
        self,
        directory: str,
        committed: Callable[[], Mapping[str, Any] | None],
        source: Callable[[int], SourceObject],
        *,
        segment: int = SEGMENT,
    ) -> None:
        self._directory = directory
        self._committed = committed
        self._source = source
        self._segment = segment
        self._delivered = 0
        # Of the segments after those that are delivered; the last one grows.
        self._lengths = [0]
        if (state := committed()) is not None:
            self._delivered, self._lengths = int(state["delivered"]), list(map(int, state["lengths"]))
        self._forgotten = self._delivered
        self._lines: list[bytes] = []
        self._pending: tuple[int, Sequence[bytes]] = (0, ())
        self._told: tuple[int, dict[str, object]] = (0, {})
        self._is_ending = False

    @classmethod
    def open(cls, folder: JobFolder, ledger: Ledger, *, segment: int = SEGMENT) -> Self:
        """Go on from the last commit: what came after it is cut off, what was delivered is removed.

        Raises:
            JobError: Answers that were kept are not there any more; or the directory cannot be written.
        """
        directory = os.path.join(folder.path, "responses")
        try:
            responses = cls(directory, lambda: ledger.answers, ledger.source, segment=segment)
        except (LookupError, TypeError, ValueError) as error:
            raise damaged(ledger.path, "in its state 'answers'") from error
        responses._recover()
        return responses

    def add(self, address: Address, part: int, status: int, body: bytes, at: float) -> None:
        """Keep an answer; it goes with the next commit."""
        number, named = self._told
        if number != address.object:
            source = self._source(address.object)
            named = {"object": source.key, "etag": source.etag.strip('"')}
            self._told = (address.object, named)
        line = {
            **named,
            "offset": address.offset,
            "row": address.row,
            "part": part,
            "status": status,
            "answer": told(body),
            "at": moment(at),
        }
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def end_segment(self) -> None:
        """Close the segment that grows, at the end of a run; the next commit says so."""
        self._is_ending = True

    def take(self) -> dict[str, Any]:
        """Return what the next commit says; it includes the answers that were added since the last one."""
        self._pending, self._lines = (self._delivered + len(self._lengths), self._lines), []
        self._lengths[-1] += sum(map(len, self._pending[1]))
        if self._lengths[-1] >= (1 if self._is_ending else self._segment):
            self._lengths.append(0)
        self._is_ending = False
        return {"delivered": self._delivered, "lengths": list(self._lengths)}

    def sync(self, taken: Mapping[str, Any]) -> None:
        """Bring what was taken to the disk; the commit may follow.

        Raises:
            JobError: It cannot be written, or somebody else wrote there; nothing may be committed.
        """
        self.settle()
        number, added = self._pending
        self._pending = (0, ())
        if not added:
            return
        path = self._path(number)
        try:
            os.makedirs(self._directory, exist_ok=True)
            is_new = not os.path.exists(path)
            with open(path, "ab") as file:
                file.write(b"".join(added))
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            if is_new:
                durable.fsync_directory(self._directory)
                durable.fsync_directory(os.path.dirname(self._directory))
        except OSError as error:
            raise unwritable(path, error.strerror) from error
        if size != taken["lengths"][number - taken["delivered"] - 1]:
            raise damaged(path, "somebody else wrote there")

    def settle(self) -> None:
        """Remove what the last commit says is delivered; the next `sync` would do that, too."""
        delivered = int((self._committed() or {"delivered": 0})["delivered"])
        for number in range(self._forgotten + 1, delivered + 1):
            for path in (self._path(number), self._path(number, "parquet")):
                with suppress(OSError):
                    os.unlink(path)
        self._forgotten = max(self._forgotten, delivered)

    @property
    def due(self) -> int:
        """How many segments can be delivered: the last commit says that they are closed."""
        if (said := self._committed()) is None:
            return 0
        return int(said["delivered"]) + len(said["lengths"]) - 1 - self._delivered

    async def deliver(
        self,
        store: Store,
        prefix: str,
        name: str,
        *,
        form: AnswerFormat = "jsonl",
        options: TransferOptions | None = None,
    ) -> int:
        """Put what is due into a store, as ``<prefix><name>-00001.<form>`` …; return how many segments.

        The next commit says that they are delivered. It may run beside commits, once at a time.

        Raises:
            JobError: A segment is not what was committed, or there is no room for its Parquet file.
            StoreError: The store does not take it; it is delivered another time.
            ConfigError: pyarrow is not installed.
        """
        count = 0
        while self.due > 0:
            number = self._delivered + 1
            path = self._path(number)
            if _size(path) != self._lengths[0]:
                raise self._missing(path)
            if form == "parquet":
                path = await anyio.to_thread.run_sync(to_parquet, path)
            await upload_file(path, store, f"{prefix}{name}-{number:05}.{form}", options=options)
            self._delivered = number
            del self._lengths[0]
            count += 1
        return count

    def _recover(self) -> None:
        last = self._delivered + len(self._lengths)
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            names = []
        try:
            for name in names:
                found = _FILE(name)
                number = int(found[1]) if found else 0
                if found and not (self._delivered < number <= last and name.endswith(".jsonl")):
                    os.unlink(os.path.join(self._directory, name))
            for number, length in enumerate(self._lengths, self._delivered + 1):
                self._cut(self._path(number), length)
        except OSError as error:
            raise unwritable(self._directory, error.strerror) from error

    def _cut(self, path: str, length: int) -> None:
        size = _size(path)
        if size < length:
            raise self._missing(path)
        if size > length:
            os.truncate(path, length)
            durable.fsync_file(path)

    def _missing(self, path: str) -> JobError:
        return damaged(path, "answers that were kept are not there any more")

    def _path(self, number: int, form: str = "jsonl") -> str:
        return os.path.join(self._directory, f"{number:05}.{form}")


def _size(path: str) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
