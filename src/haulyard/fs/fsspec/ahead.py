"""Read-ahead for a file that is read from one thread while requests run in another.

A file is read from start to end, or here and there, and nobody says which. What is asked for is fetched as
it is. Where a read goes on where the last one ended, more is fetched with it, twice as much each time; once
that fills blocks, several of them are on their way while the reader works.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from fsspec.caching import BaseCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    #: Begins to fetch the bytes from ``start`` up to ``stop``.
    Begin = Callable[[int, int], Future[bytes]]

#: Bytes that are fetched at least: what comes along with the first request costs nothing.
LEAST: Final = 128 * 1024
#: Blocks that are on their way ahead of the reader, once he reads from start to end.
_AHEAD: Final = 4


class _Piece(NamedTuple):
    """Bytes from ``start`` up to ``stop``, here or on their way."""

    start: int
    stop: int
    data: Future[bytes]


class ReadAhead(BaseCache):  # type: ignore[misc]  # fsspec has no types
    """The cache of an open file, as fsspec has them; its name is ``ahead``.

    Args:
        block: Bytes of what is fetched ahead at a time.
        begin: Begins a request.
        size: Bytes of the file.
        first: What the file begins with, where that is known.
        largest: Bytes of a request at most, for what a read asks for; the block, where that is larger.

    Holds at most six blocks, or what one read asks for.
    """

    name: ClassVar[str] = "ahead"

    def __init__(self, block: int, begin: Begin, size: int, first: bytes = b"", largest: int = 0) -> None:
        super().__init__(block, self._at_once, size)
        self._begin = begin
        self._block = block
        self._largest = max(largest, block)
        self._pieces: deque[_Piece] = deque()
        self._window = min(LEAST, block)
        self._next = 0
        if first:
            self._pieces.append(_Piece(0, len(first), _done(first)))

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        """Return the bytes from ``start`` up to ``stop``, fewer only at the end of the file."""
        first, last = start or 0, min(self.size if stop is None else stop, self.size)
        if first >= last:
            return b""
        goes_on = first == self._next
        self._next = last
        self._let_go(first)
        self._window = min(self._window * 2 if goes_on else LEAST, self._block)
        self._ask(first, last, goes_on=goes_on)
        return self._taken(first, last)

    def close(self) -> None:
        """Give up what is on its way."""
        while self._pieces:
            self._pieces.pop().data.cancel()

    def _at_once(self, start: int, stop: int) -> bytes:
        return self._begin(start, stop).result()

    def _let_go(self, start: int) -> None:
        """Forget what does not lie around ``start``: all where it is elsewhere, else what is behind it."""
        pieces = self._pieces
        if pieces and not pieces[0].start <= start <= pieces[-1].stop:
            self.close()
        # One piece behind the reader stays, for those who step back a little.
        while len(pieces) > 1 and pieces[1].stop <= start:
            pieces.popleft()

    def _ask(self, start: int, stop: int, *, goes_on: bool) -> None:
        """Begin the requests for what is missing up to ``stop``, and for what will be wanted next."""
        at = self._pieces[-1].stop if self._pieces else start
        if goes_on:
            ahead = _AHEAD * self._block if self._window == self._block else self._window
            wanted = min(stop + ahead, self.size)
        else:
            wanted = min(max(stop, start + self._window), self.size)
        if at >= stop and not goes_on:
            return
        while at < wanted:
            end = min(at + self._block, wanted)
            if at < stop:
                end = max(end, min(at + self._largest, stop))
            # What only comes early is asked for in windows, as many small requests are slower than one.
            if at >= stop and end - at < self._window and end < self.size:
                return
            self._pieces.append(_Piece(at, end, self._begin(at, end)))
            at = end

    def _taken(self, start: int, stop: int) -> bytes:
        found = []
        for piece in self._pieces:
            if piece.stop <= start or piece.start >= stop:
                continue
            try:
                data = piece.data.result()
            except BaseException:
                self.close()
                raise
            low, high = max(start - piece.start, 0), min(stop, piece.stop) - piece.start
            found.append(data if (low, high) == (0, len(data)) else data[low:high])
        return found[0] if len(found) == 1 else b"".join(found)


def _done(data: bytes) -> Future[bytes]:
    from concurrent.futures import Future

    future: Future[bytes] = Future()
    future.set_result(data)
    return future
