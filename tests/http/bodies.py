"""Bodies that are streamed, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Source:
    """Some pieces of content, of the size that they have or another one that is announced.

    ``opened`` and ``closed`` count how often it was read, ``failure`` is raised behind the last piece.
    """

    def __init__(self, *pieces: bytes, size: int | None = None, failure: Exception | None = None) -> None:
        self.content = b"".join(pieces)
        self.size = len(self.content) if size is None else size
        self.opened = 0
        self.closed = 0
        self._pieces = pieces
        self._failure = failure

    async def open(self) -> AsyncIterator[bytes]:
        self.opened += 1
        try:
            for piece in self._pieces:
                yield piece
            if self._failure is not None:
                raise self._failure
        finally:
            self.closed += 1
