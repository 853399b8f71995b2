"""Calls: which records go into one, and what is known of each. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from haulyard.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.errors import HaulError
    from haulyard.records.bodies import Encode
    from haulyard.records.ledger_rows import Kept
    from haulyard.records.model import Address, Flaw
    from haulyard.records.progress import BlockProgress


class Ticket:
    """A record of which a transform made several values: it has ended once all of them have.

    It is a row of a ``block``, or a dead ``letter``, which the last of them settles: after a kill before that
    all of them are sent again.
    """

    __slots__ = ("block", "left", "letter", "row")

    def __init__(self, block: BlockProgress | None, row: int, left: int, letter: Kept | None = None) -> None:
        self.block = block
        self.row = row
        self.left = left
        self.letter = letter

    def end(self) -> None:
        """Say that one of them has ended."""
        self.left -= 1
        if not self.left and self.block is not None:
            self.block.mark(self.row)


class Origin:
    """Where values of a call come from: rows of a block from ``address`` on, a part of one, or a letter."""

    __slots__ = ("_letter", "address", "block", "count", "part", "ticket")

    def __init__(
        self,
        address: Address,
        block: BlockProgress | None,
        count: int = 1,
        *,
        part: int = 0,
        ticket: Ticket | None = None,
        letter: Kept | None = None,
    ) -> None:
        self.address = address
        self.block = block
        self.count = count
        self.part = part
        self.ticket = ticket
        self._letter = letter

    @property
    def letter(self) -> Kept | None:
        """The dead letter that is settled with this, None where there is none."""
        if self.ticket is not None:
            return self.ticket.letter if self.ticket.left == 1 else None
        return self._letter

    def end(self) -> None:
        """Say that all of its records have come to their end."""
        if self.ticket is not None:
            self.ticket.end()
        elif self.block is not None:
            row = self.address.row
            if self.count == 1:
                self.block.mark(row)
            else:
                self.block.mark_rows(row, row + self.count)

    def cut(self, at: int, count: int) -> Origin:
        """Return the origin of ``count`` of its values, from number ``at`` on."""
        if count == self.count:
            return self
        address = self.address
        return Origin(address._replace(row=address.row + at), self.block, count)


class Call:
    """One call: ``values`` in the order of their ``origins``, the ``body`` made of them, its ``key``."""

    __slots__ = ("attempts", "body", "key", "origins", "values")

    def __init__(self, values: Sequence[bytes], origins: Sequence[Origin], body: bytes, key: str) -> None:
        self.values = values
        self.origins = origins
        self.body = body
        self.key = key
        self.attempts = 0

    def singles(self) -> Iterator[tuple[bytes, Origin]]:
        """Yield each value with where it comes from."""
        values = iter(self.values)
        for origin in self.origins:
            for at in range(origin.count):
                yield next(values), origin.cut(at, 1)


class Grouping:
    """Puts values together, ``size`` to a call; ``uid`` begins every key."""

    def __init__(self, encode: Encode, size: int, uid: str) -> None:
        self._encode = encode
        self._size = size
        self._uid = uid
        self._values: list[bytes] = []
        self._origins: list[Origin] = []

    def single(self, value: bytes, origin: Origin) -> Call:
        """Return a call of one value. Raises RecordError where no body can be made of it."""
        return self._call((value,), (origin,))

    def add(self, values: Sequence[bytes], origin: Origin) -> Iterator[Call]:
        """Yield the calls that are full with these values, which are neighbouring rows of one block."""
        at = 0
        while at < len(values):
            room = self._size - len(self._values)
            some = values[at : at + room]
            self._values += some
            self._origins.append(origin.cut(at, len(some)))
            at += len(some)
            if len(self._values) >= self._size:
                yield self._full()

    def rest(self) -> Iterator[Call]:
        """Yield the call that is not full, if there is one."""
        if self._values:
            yield self._full()

    def halves(self, call: Call) -> tuple[Call, Call]:
        """Return the call as two, to find out which of its records is refused."""
        pairs = list(call.singles())
        middle = len(pairs) // 2
        first, second = (
            self._call([value for value, _ in some], [origin for _, origin in some])
            for some in (pairs[:middle], pairs[middle:])
        )
        return first, second

    def _full(self) -> Call:
        values, self._values = self._values, []
        origins, self._origins = self._origins, []
        return self._call(values, origins)

    def _call(self, values: Sequence[bytes], origins: Sequence[Origin]) -> Call:
        first = origins[0]
        key = f"{self._uid}-{first.address}"
        if first.part:
            key = f"{key}.{first.part}"
        if len(values) > 1:
            key = f"{key}+{len(values)}{_others(origins)}"
        return Call(values, origins, self._encode(values), key)


def _others(origins: Sequence[Origin]) -> str:
    """Return what tells the records of a call from others that begin alike, ``""`` where all are neighbours.

    What was answered before a kill has gaps: the same first record and the same number may then mean others.
    """
    if len(origins) == 1:
        return ""
    runs: list[tuple[Address, int, int]] = []
    for origin in origins:
        if runs:
            address, part, count = runs[-1]
            if not (part or origin.part) and address._replace(row=address.row + count) == origin.address:
                runs[-1] = (address, 0, count + origin.count)
                continue
        runs.append((origin.address, origin.part, origin.count))
    if len(runs) == 1:
        return ""
    text = ",".join(f"{address}.{part}+{count}" for address, part, count in runs)
    return f"-{zlib.crc32(text.encode()):08x}"


def describe_flaw(flaw: Flaw) -> str:
    """Return why a record cannot be read and where it begins, for people."""
    return f"{flaw.reason} ({f'byte {flaw.offset}' if flaw.line else f'row {flaw.offset}'})"


def why_unread(error: HaulError) -> str:
    """Return why an object cannot be read to its end, and what helps where that is known, for people."""
    return f"{error} ({error.hint})" if isinstance(error, RecordError) and error.hint else str(error)


def why_not(error: Exception) -> str:
    """Return why no call could be made of a record, for people."""
    return str(error) if isinstance(error, RecordError) else f"{type(error).__name__}: {error}"
