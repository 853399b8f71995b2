"""Finds names that occur twice among any number of them, in bounded memory: by their hashes.

Two objects with one destination, or a destination that is the name of another object, may be any two of
hundreds of millions. So of every name its 64-bit hash is kept, sorted into buckets by its lowest bits; what
is more than fits in memory goes, bucket by bucket, to one file in the job's folder, which has no name and is
gone with the process however that ends. In the end each bucket is read on its own. Equal hashes are only a
suspicion: who acts on it compares the names.

Putting a hash into its bucket takes 0.2 µs, where sorting a quarter of a million of them takes 0.4 to 0.7 µs
each (measured).
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, Self

from haulyard.errors import JobError
from haulyard.jobs.model import PLAN_COLUMNS, Action, Conflict
from haulyard.jobs.planning.ordered import ORDERED
from haulyard.jobs.planning.suspects import Suspects
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: A bucket of a plan with 200 million destinations and as many keys has 400,000 hashes: 3 MiB.
_BUCKETS: Final = 1024
_MASK: Final = _BUCKETS - 1
#: Hashes of all kinds that are in memory at a time: 8 MiB.
_IN_MEMORY: Final = 1 << 20
#: Hashes that are compared at a time: as a set of Python's integers they take 80 bytes each.
_AT_A_TIME: Final = 1 << 18
_BYTES: Final = 8

#: Kinds of names.
_KEY, _DESTINATION, _PRESENT = 0, 1, 2
_KINDS: Final = 3
_ACTION: Final = PLAN_COLUMNS.index("action")
_NAME: Final = PLAN_COLUMNS.index("key")
_TO: Final = PLAN_COLUMNS.index("destination")
_CONFLICT: Final = PLAN_COLUMNS.index("conflict")
#: What `finish` makes of an acting row (and of one that was named twice: a conflict, but nothing to do).
_ACTING: Final = {Action.ACT, Action.FOLDER, Action.ORDERED, Action.CYCLE}


class Spill:
    """The hashes of a plan's names, in buckets. Close it, or use it as a context manager.

    ``directory`` is where the temporary file goes, once there are more hashes than fit in memory.
    Python's hashes of strings differ from process to process: a plan that is resumed calls `refill`.
    """

    def __init__(self, directory: str, *, in_memory: int = _IN_MEMORY) -> None:
        self._directory = directory
        self._limit = in_memory
        self._file: IO[bytes] | None = None
        self._buckets = [[array("q") for _ in range(_BUCKETS)] for _ in range(_KINDS)]
        # Bound once: looking them up for each hash would cost as much as the call.
        self._append = [[bucket.append for bucket in buckets] for buckets in self._buckets]
        self._held = 0
        # Of each run in the file: where it starts, and where in it each bucket of each kind ends.
        self._runs: list[tuple[int, array[int]]] = []
        self.lowest = ""
        """The first of all destinations in the order of their UTF-8, ``""`` without any."""
        self.highest = ""
        """The last of them."""
        self.destinations = 0
        """How many there are."""

    def add(self, keys: Sequence[str], destinations: Sequence[str]) -> None:
        """Take in a page of the plan, at 0.5 µs a row.

        ``keys`` are those of all listed objects, also of those that stay; nothing is lost by leaving them
        out where keys and destinations are names in two stores. ``destinations`` are those of the operations
        that act, without empty ones.

        Raises:
            JobError: The disk is full, or failed.
        """
        self._take(_KEY, keys)
        if destinations:
            self._take(_DESTINATION, destinations)
            first, last = min(destinations), max(destinations)
            self.lowest = min(self.lowest or first, first)
            self.highest = max(self.highest, last)
            self.destinations += len(destinations)

    def add_present(self, keys: Sequence[str]) -> None:
        """Take in keys of objects that are in the destination already."""
        self._take(_PRESENT, keys)

    def refill(self, shard_paths: Sequence[str]) -> None:
        """Take in what is in sealed shards: those of a plan that another process began.

        Ordered shards are passed over, for their rows are in the normal ones too.

        Raises:
            JobError: The disk is full, or a shard is damaged.
        """
        for page in _pages(shard_paths):
            self.add([row[_NAME] for row in page if row[_NAME]], _acting(page))

    def suspects(self, *, keys: bool = True) -> Suspects:
        """Return what occurs twice: among the destinations, or as a destination and an object that is there.

        ``keys`` says whether the listed objects are where the destinations are.

        Raises:
            JobError: The disk failed.
        """
        found = Suspects()
        there = [_KEY, _PRESENT] if keys else [_PRESENT]
        for bucket in range(_BUCKETS):
            destinations = self._bucket(_DESTINATION, bucket)
            if destinations:
                objects = array("q")
                for kind in there:
                    objects.extend(self._bucket(kind, bucket))
                _compare(destinations, objects, found)
        return found

    def repeated(self) -> Suspects:
        """Return what occurs twice among the keys.

        Raises:
            JobError: The disk failed.
        """
        found = Suspects()
        for bucket in range(_BUCKETS):
            _compare(self._bucket(_KEY, bucket), array("q"), found)
        return found

    def close(self) -> None:
        """Give the temporary file up; closing twice is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _take(self, kind: int, names: Sequence[str]) -> None:
        append = self._append[kind]
        for value in map(hash, names):
            append[value & _MASK](value)
        self._held += len(names)
        if self._held >= self._limit:
            self._write()

    def _write(self) -> None:
        """Write all that is in memory to the file, as one run."""
        ends = array("I")
        total = 0
        with self._translated():
            if self._file is None:
                self._file = TemporaryFile(dir=self._directory, prefix="spill-", buffering=0)  # noqa: SIM115 -- open until `close`
            start = self._runs[-1][0] + self._runs[-1][1][-1] * _BYTES if self._runs else 0
            parts = []
            for buckets in self._buckets:
                for bucket in buckets:
                    total += len(bucket)
                    ends.append(total)
                    parts.append(bucket.tobytes())
                    del bucket[:]
            _write_all(self._file.fileno(), b"".join(parts), start)
        self._runs.append((start, ends))
        self._held = 0

    def _bucket(self, kind: int, bucket: int) -> array[int]:
        """Return all hashes of a bucket, from the file and from memory."""
        values = array("q")
        at = kind * _BUCKETS + bucket
        with self._translated():
            for start, ends in self._runs:
                first = ends[at - 1] if at else 0
                size = (ends[at] - first) * _BYTES
                if size:
                    assert self._file is not None  # noqa: S101 -- runs are in it
                    values.frombytes(_read_all(self._file.fileno(), size, start + first * _BYTES))
        values.extend(self._buckets[kind][bucket])
        return values

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JobError(
                f"the temporary file of the plan in {self._directory} failed: {error.strerror or error}",
                hint="make room there, and run the same command again",
            ) from error


def destinations_in(shard_paths: Sequence[str]) -> Iterator[list[str]]:
    """Yield the destinations that `Spill.refill` finds in sealed shards, a page at a time.

    Raises:
        JobError: A shard is damaged.
    """
    for page in _pages(shard_paths):
        yield _acting(page)


def _pages(shard_paths: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    for path in shard_paths:
        if not os.path.basename(path).startswith(ORDERED):
            with Shard.open(path, owner="plan", read_only=True) as shard:
                yield from shard.rows()


def _acting(page: list[tuple[Any, ...]]) -> list[str]:
    return [
        row[_TO] for row in page if row[_TO] and (row[_ACTION] in _ACTING or row[_CONFLICT] != Conflict.NONE)
    ]


def _compare(destinations: array[int], objects: array[int], found: Suspects) -> None:
    """Compare a bucket, in as many rounds as keep each within bounds, by bits that differ within it."""
    rounds = -(-(len(destinations) + len(objects)) // _AT_A_TIME)
    for turn in range(rounds):
        ours: Sequence[int] = destinations
        theirs: Sequence[int] = objects
        if rounds > 1:
            ours = [value for value in destinations if (value >> 10) % rounds == turn]
            theirs = [value for value in objects if (value >> 10) % rounds == turn]
        names = set(ours)
        if len(names) < len(ours):
            found.add(value for value, count in Counter(ours).items() if count > 1)
        found.add(names.intersection(theirs))


def _write_all(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _read_all(file: int, size: int, at: int) -> bytes:
    data = os.pread(file, size, at)
    if len(data) < size:
        raise OSError("it was cut short")
    return data
