"""Ranges of a file: which neighbours are fetched together, and a file of which only some ranges are there."""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from haulyard.models.body import Buffer


class Span(NamedTuple):
    """Bytes ``start`` up to, but not including, ``end``."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.end - self.start


def joined(spans: Iterable[Span], gap: int) -> list[Span]:
    """Return what covers ``spans`` in order, joining those that at most ``gap`` bytes lie between."""
    found: list[Span] = []
    for span in sorted(spans):
        if not span.size:
            continue
        if found and span.start - found[-1].end <= gap:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def missing(span: Span, held: Iterable[Span]) -> Span | None:
    """Return what of ``span`` none of ``held`` has, as one range; None where one has all of it.

    Only ranges that reach over an end of it count: what is missing in the middle of others is fetched again.
    """
    start, end = span
    for each in held:
        if each.start <= start < each.end:
            start = each.end
        if each.start < end <= each.end:
            end = each.start
    return Span(start, end) if start < end else None


class Sparse(io.RawIOBase):
    """A file of ``size`` bytes of which some ranges are there; reading anything else is an OSError.

    What is read of one range is not copied.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0
        self._starts: list[int] = []
        self._held: list[memoryview] = []

    def hold(self, start: int, data: Buffer) -> None:
        """Have the bytes that begin at ``start``."""
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._held.insert(at, memoryview(data))

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Reading begins anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1, /) -> Any:  # noqa: ANN401 -- a view, where io says bytes
        """Return ``size`` bytes, fewer at the end of the file.

        Raises:
            OSError: They are not there.
        """
        end = self._size if size < 0 else min(self._at + size, self._size)
        pieces: list[memoryview] = []
        at = self._at
        number = bisect_right(self._starts, at) - 1
        while at < end and 0 <= number < len(self._held):
            start, held = self._starts[number], self._held[number]
            piece = held[at - start : end - start]
            if not start <= at or not piece:
                break
            pieces.append(piece)
            at += len(piece)
            number += 1
        if at < end:
            raise OSError(f"bytes {at} to {end} were not fetched")
        self._at = end
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
