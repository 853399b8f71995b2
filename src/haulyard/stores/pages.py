"""Pages of a listing, made of entries that are in order already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


Entry = TypeVar("Entry", bound=_Keyed)


def fold(entries: Iterable[Entry], prefix: str, delimiter: str) -> Iterator[Entry | str]:
    """Yield entries, but those with ``delimiter`` behind ``prefix`` as their common prefix, once each."""
    last = ""
    for entry in entries:
        end = entry.key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield entry
        elif (common := entry.key[: end + len(delimiter)]) != last:
            last = common
            yield common


def pages(entries: Iterable[Entry | str], size: int) -> Iterator[tuple[list[Entry], list[str]]]:
    """Yield entries and common prefixes, ``size`` of both together at a time; no empty page."""
    page: list[Entry] = []
    prefixes: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            prefixes.append(entry)
        else:
            page.append(entry)
        if len(page) + len(prefixes) >= size:
            yield page, prefixes
            page, prefixes = [], []
    if page or prefixes:
        yield page, prefixes
