"""What a filesystem remembers of its bucket: nodes and listings, bounded in bytes, entries and age.

One rule keeps it honest: nobody reads from it what was true before one of his own writes. A write forgets
what it may have changed when it ends, however it ends. A read that was under way at that moment may have been
answered before the write, so its answer is not kept. Nothing is put in by writes, and what is *not* there is
not remembered.

What others write is seen once ``ttl`` has passed, or at once after `Cache.refresh`.

Paths are plain: ``""`` for the root, ``a/b`` without slashes at either end. What is asked of a directory
only, and not of a file of that name, may be kept as the node ``a/b/``. Not for several threads.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

V = TypeVar("V")

#: Bytes of an entry without what it holds: its key, its place in the table, its age.
_OVERHEAD: Final = 400
#: Bytes of one node of a listing, as measured for `haulyard.fs.nodes.NodeInfo` with its texts and its time.
NODE_WEIGHT: Final = 600


class CacheStats(NamedTuple):
    """How a cache was used.

    ``outdated`` counts answers that were not kept because of a write meanwhile, ``evicted`` what had to make
    room. ``bytes`` is an estimate of what the entries take.
    """

    hits: int = 0
    misses: int = 0
    outdated: int = 0
    evicted: int = 0
    entries: int = 0
    bytes: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of questions that it answered, from 0.0 to 1.0."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class _Entry(NamedTuple):
    value: object
    until: float
    weight: int


class _Key(NamedTuple):
    path: str
    is_listing: bool


class Reading(Generic[V]):
    """A question to the store whose answer may be kept; made by `Cache.reading` and `Cache.listing_of`."""

    __slots__ = ("_cache", "_key", "_until", "is_outdated")

    def __init__(self, cache: Cache[V], key: _Key, until: float) -> None:
        self._cache = cache
        self._key = key
        self._until = until
        self.is_outdated = False
        """Whether something was written meanwhile, so that the answer may be older than that."""

    def keep(self, answer: V) -> None:
        """Remember the node that the store answered, unless the answer is outdated."""
        self._cache._keep(self, self._key, answer, self._until, 1)  # noqa: SLF001 -- of this module

    def keep_all(self, answer: tuple[V, ...]) -> None:
        """Remember the listing that the store answered, unless it is outdated."""
        self._cache._keep(self, self._key, answer, self._until, len(answer))  # noqa: SLF001 -- as above


class Cache(Generic[V]):
    """Nodes and listings of one filesystem, the least recently used of which make room for others.

    Args:
        max_bytes: What all entries may take; 0 remembers nothing.
        max_entries: How many there may be; a listing is one.
        ttl: Seconds from the question to the store until its answer is forgotten; 0 remembers nothing.
        weight: Bytes of one node.
        clock: Gives seconds, for its differences.

    Example:
        >>> found = cache.node("a/b")
        >>> if found is None:
        ...     with cache.reading("a/b") as reading:
        ...         found = await ask_the_store("a/b")
        ...         reading.keep(found)
        >>> with cache.writing("a/b"):
        ...     await write("a/b")
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_entries: int,
        ttl: float,
        weight: int = NODE_WEIGHT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._ttl = ttl
        self._weight = weight
        self._clock = clock
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._bytes = 0
        self._readings: dict[_Key, set[Reading[V]]] = {}
        self._hits = self._misses = self._outdated = self._evicted = 0
        self.is_on = max_bytes > 0 and max_entries > 0 and ttl > 0
        """Whether anything is remembered at all."""

    def node(self, path: str) -> V | None:
        """Return what is known of a node; None where the store has to be asked."""
        return self._find(_Key(path, is_listing=False))  # type: ignore[return-value]  # as it was kept

    def listing(self, path: str) -> tuple[V, ...] | None:
        """Return what is known to lie in a directory; None where the store has to be asked."""
        return self._find(_Key(path, is_listing=True))  # type: ignore[return-value]  # as it was kept

    def reading(self, path: str) -> _Question[V]:
        """Ask the store about a node inside this context, and `Reading.keep` its answer."""
        return _Question(self, _Key(path, is_listing=False))

    def listing_of(self, path: str) -> _Question[V]:
        """Ask the store what lies in a directory inside this context, and `Reading.keep_all` its answer."""
        return _Question(self, _Key(path, is_listing=True))

    @contextmanager
    def writing(self, *paths: str) -> Iterator[None]:
        """Write, delete or replace these files inside this context.

        At its end, and also where it fails, these nodes are forgotten, and the listings of what they lie in.
        """
        try:
            yield
        finally:
            for path in paths:
                self.forget(path)

    @contextmanager
    def writing_below(self, *paths: str) -> Iterator[None]:
        """Change anything in these directories inside this context."""
        try:
            yield
        finally:
            for path in paths:
                self.refresh(path)

    def forget(self, path: str) -> None:
        """Forget a node, and the listings of all directories that it lies in."""
        if not self.is_on:
            return
        self._drop(path)
        while path:
            path = path.rpartition("/")[0]
            self._drop(path)

    def refresh(self, path: str = "") -> None:
        """Forget a node and all that lies below it, so that the store is asked again; ``""`` for everything.

        The listings of the directories that it lies in are forgotten, too.
        """
        below = f"{path}/" if path else ""
        for key in [key for key in self._entries if key.path.startswith(below)]:
            self._remove(key)
        for key, readings in self._readings.items():
            if key.path.startswith(below):
                _outdate(readings)
        self.forget(path)

    @property
    def stats(self) -> CacheStats:
        """How it was used so far."""
        return CacheStats(
            self._hits, self._misses, self._outdated, self._evicted, len(self._entries), self._bytes
        )

    def _find(self, key: _Key) -> object | None:
        if not self.is_on:
            return None
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.until:
            self._hits += 1
            self._entries.move_to_end(key)
            return entry.value
        if entry is not None:
            self._remove(key)
        self._misses += 1
        return None

    def _keep(self, reading: Reading[V], key: _Key, value: object, until: float, nodes: int) -> None:
        if not self.is_on:
            return
        if reading.is_outdated:
            self._outdated += 1
            return
        weight = _OVERHEAD + sys.getsizeof(key.path) + nodes * self._weight
        if weight > self._max_bytes:
            return
        self._remove(key)
        self._entries[key] = _Entry(value, until, weight)
        self._bytes += weight
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._remove(next(iter(self._entries)))
            self._evicted += 1

    def _drop(self, path: str) -> None:
        keys = _Key(path, is_listing=False), _Key(path, is_listing=True), _Key(f"{path}/", is_listing=False)
        for key in keys:
            self._remove(key)
            if readings := self._readings.get(key):
                _outdate(readings)

    def _remove(self, key: _Key) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._bytes -= entry.weight

    def _begin(self, key: _Key) -> Reading[V]:
        # Its age counts from the question: from then on others may have written.
        reading = Reading(self, key, self._clock() + self._ttl)
        self._readings.setdefault(key, set()).add(reading)
        return reading

    def _end(self, key: _Key, reading: Reading[V]) -> None:
        readings = self._readings[key]
        readings.discard(reading)
        if not readings:
            del self._readings[key]


class _Question(Generic[V]):
    """The context of a `Reading`: as long as it lasts, writes are told to it."""

    __slots__ = ("_cache", "_key", "_reading")

    def __init__(self, cache: Cache[V], key: _Key) -> None:
        self._cache = cache
        self._key = key

    def __enter__(self) -> Reading[V]:
        self._reading = self._cache._begin(self._key)  # noqa: SLF001 -- of this module
        return self._reading

    def __exit__(self, *exc: object) -> None:
        self._cache._end(self._key, self._reading)  # noqa: SLF001 -- as above


def _outdate(readings: set[Reading[V]]) -> None:
    for reading in readings:
        reading.is_outdated = True
