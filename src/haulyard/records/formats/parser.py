"""What makes blocks of text, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from haulyard.records.model import Block, Flaw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from haulyard.records.formats.cutting import Cut, Cutter, Text


class Parser(Protocol):
    """Makes blocks of text that is fed to it in any pieces; None in between is a moment to let others run.

    What a call returns has to be used up before the next call.
    """

    def feed(self, data: bytes) -> Iterator[Block | None]:
        """Take the text that follows, and yield the blocks that are complete."""
        ...

    def finish(self) -> Iterator[Block | None]:
        """Yield what is left; the text has ended."""
        ...


class Rows(NamedTuple):
    """Records that were understood, ``b""`` where there is a flaw instead."""

    rows: list[bytes]
    flaws: dict[int, Flaw]


class TextParser:
    """Makes blocks of records that are lines or runs of lines; ``understand`` makes rows of some of them."""

    def __init__(self, object_id: int, cutter: Cutter, understand: Callable[[Text], Rows]) -> None:
        self._object = object_id
        self._cutter = cutter
        self._understand = understand

    def feed(self, data: bytes) -> Iterator[Block | None]:
        """Take the text that follows, and yield the blocks that are complete."""
        return self._blocks(self._cutter.feed(data))

    def finish(self) -> Iterator[Block | None]:
        """Yield what is left."""
        return self._blocks(self._cutter.finish())

    def _blocks(self, cuts: Iterator[Cut | None]) -> Iterator[Block | None]:
        for cut in cuts:
            if cut is None:
                yield None
                continue
            rows: list[bytes] = []
            flaws: dict[int, Flaw] = {}
            for part in cut.parts:
                if isinstance(part, Flaw):
                    flaws[len(rows)] = part
                    rows.append(b"")
                    continue
                understood = self._understand(part)
                for row, flaw in understood.flaws.items():
                    flaws[len(rows) + row] = flaw
                rows += understood.rows
                yield None
            if rows:
                yield Block(self._object, cut.start.offset, cut.start.line, rows, *cut.end, flaws)
