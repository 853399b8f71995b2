"""What a filesystem of fsspec remembers: listings, and what single objects were found to be.

`haulyard.fs.cache.Cache` with a lock around it, as fsspec's users call from several threads, and with the
entries of a listing found by their names. That something is not in a listing is never taken as known.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from haulyard.fs.cache import Cache, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from haulyard.fs.fsspec.entries import Entry

#: Bytes that all of it may take, and what one entry does (its dictionary, name, ETag and time).
_BYTES: Final = 64 * 1024**2
_ENTRY: Final = 900
_name_of = itemgetter("name")


class Listings:
    """Listings by directory, and entries by path.

    Args:
        expiry: Seconds that they are remembered; None for ever, 0 not at all.
        max_paths: How many listings there may be; None for as many as 64 MiB hold.
    """

    def __init__(self, expiry: float | None, max_paths: int | None) -> None:
        self._cache: Cache[Entry] = Cache(
            max_bytes=_BYTES,
            max_entries=max_paths or 1_000_000,
            ttl=float("inf") if expiry is None else expiry,
            weight=_ENTRY,
        )
        self._lock = threading.Lock()
        #: Whether anything was ever asked; who only writes has nothing to forget.
        self._is_used = False

    def entry(self, path: str) -> Entry | None:
        """Return a copy of what is known of a path; None where the store has to be asked."""
        if not self._is_used:
            return None
        with self._lock:
            found = self._cache.node(path)
            if found is None:
                siblings = self._cache.listing(path.rpartition("/")[0])
                found = _named(siblings, path) if siblings else None
        return None if found is None else dict(found)

    def kinds(self, path: str) -> frozenset[str]:
        """Return what a path is known to be: ``file``, ``directory``, both; nothing where it is not known."""
        with self._lock:
            siblings = self._cache.listing(path.rpartition("/")[0])
            if siblings:
                return frozenset(each["type"] for each in _of_name(siblings, path))
            found = self._cache.node(path)
        # That there is an object says nothing of what is below its name.
        return frozenset(("directory",)) if found and found["type"] == "directory" else frozenset()

    def listing(self, path: str) -> list[Entry] | None:
        """Return copies of what is known to lie in a directory, in the order of their names."""
        with self._lock:
            found = self._cache.listing(path)
        return None if found is None else list(map(dict, found))

    @contextmanager
    def asking(self, path: str, *, listing: bool) -> Iterator[Question]:
        """Ask the store about a path, or for a listing, inside this context, and keep its answer."""
        self._is_used = True
        context = self._cache.listing_of(path) if listing else self._cache.reading(path)
        with self._lock:
            reading = context.__enter__()
        try:
            yield Question(self, reading)
        finally:
            with self._lock:
                context.__exit__(None, None, None)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget what was written to, and all listings that it might be in."""
        if not self._is_used:
            return
        with self._lock:
            for path in paths:
                self._cache.forget(path)

    def refresh(self, path: str = "") -> None:
        """Forget a path and all below it; ``""`` for everything."""
        with self._lock:
            self._cache.refresh(path)

    def _keep(self, reading: Reading[Entry], entry: Entry) -> None:
        with self._lock:
            reading.keep(dict(entry))

    def _keep_all(self, reading: Reading[Entry], entries: Sequence[Entry]) -> None:
        with self._lock:
            reading.keep_all(tuple(map(dict, entries)))

    def _keep_tree(self, reading: Reading[Entry], tree: dict[str, list[Entry]]) -> None:
        with self._lock:
            # Whatever is written below the root outdates the reading of the root.
            if reading.is_outdated:
                return
            for path, entries in tree.items():
                with self._cache.listing_of(path) as each:
                    each.keep_all(tuple(map(dict, sorted(entries, key=_name_of))))


class Question:
    """A question to the store, whose answer is kept unless something was written meanwhile."""

    def __init__(self, listings: Listings, reading: Reading[Entry]) -> None:
        self._listings = listings
        self._reading = reading

    def keep(self, entry: Entry) -> None:
        """Remember what a path is."""
        self._listings._keep(self._reading, entry)

    def keep_all(self, entries: Sequence[Entry]) -> None:
        """Remember a listing, which is in the order of its names."""
        self._listings._keep_all(self._reading, entries)

    def keep_tree(self, tree: dict[str, list[Entry]]) -> None:
        """Remember the listings of all directories below the one that was asked for."""
        self._listings._keep_tree(self._reading, tree)


def _named(siblings: Sequence[Entry], path: str) -> Entry | None:
    """Return the entry of a name; the file, where a directory has the same."""
    same = _of_name(siblings, path)
    return next((each for each in same if each["type"] == "file"), same[0] if same else None)


def _of_name(siblings: Sequence[Entry], path: str) -> list[Entry]:
    at = bisect_left(siblings, path, key=_name_of)
    return [each for each in siblings[at : at + 2] if each["name"] == path]
