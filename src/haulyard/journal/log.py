"""The log of a shard: its entries, the chain that holds them together, and what they come to.

One row of ``log`` is one group commit::

    seq    1, 2, 3 … without a gap
    body   a JSON array of entries, each [item, phase, at, {details}]
    crc    zlib.crc32(body, zlib.crc32(b"<crc of the row before>:<seq>"))

where the row before the first one has the CRC-32 of the shard's ``id`` in ``meta``,

so that a row that was changed, lost, added or moved is found, but for rows lost at the very end: that is a
log as it was earlier, and what it does not say is asked of the store. Where the shard was closed in order,
even that is found: ``meta`` then has ``closed``, the last ``seq`` and its ``crc``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.journal import meta
from haulyard.journal.damage import damaged, foreign_errors

if TYPE_CHECKING:
    import sqlite3

LOG_DDL: Final = "CREATE TABLE log(seq INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL)"
CLOSED: Final = "closed"

#: Rows read at a time: no snapshot outlives it, so that readers never keep a writer's WAL from shrinking.
_PAGE = 64
_PHASES = 255


class Entry(NamedTuple):
    """What is said of an item: ``item`` is the id of a plan row, 0 stands for the run itself.

    ``at`` is in epoch seconds, to the millisecond.
    """

    item: int
    phase: str
    at: float
    details: Mapping[str, Any]


class Link(NamedTuple):
    """Where a chain ends: the number of its last commit, 0 for none, and that one's CRC."""

    seq: int
    crc: int

    def next(self, body: str) -> Link:
        """Return the link that follows with this body."""
        seq = self.seq + 1
        return Link(seq, zlib.crc32(body.encode(), zlib.crc32(b"%d:%d" % (self.crc, seq))))

    def __str__(self) -> str:
        return f"{self.seq}:{self.crc}"


def beginning(shard_id: str) -> Link:
    """Return what the chain of a shard hangs on: another shard's WAL does not fit."""
    return Link(0, zlib.crc32(shard_id.encode()))


def verified_end(connection: sqlite3.Connection, path: str) -> Link:
    """Return where the chain ends, having verified all of it.

    Raises:
        JobError: It is damaged.
    """
    end, _ = _ends(connection, path)
    for link, _ in _pages(connection, path):
        end = link
    return end


def entries(connection: sqlite3.Connection, path: str) -> Iterator[Entry]:
    """Yield all entries in the order in which they were written, verifying the chain.

    Raises:
        JobError: It is damaged; what was yielded before is good.
    """
    for seq, body in _commits(connection, path):
        try:
            decoded = [Entry._make(entry) for entry in _decoded(body)]
        except (ValueError, TypeError) as error:
            raise damaged(path, f"at commit {seq}") from error
        yield from decoded


def last_phases(connection: sqlite3.Connection, path: str, rows: int) -> Phases:
    """Return the last phase of every item.

    Raises:
        JobError: The log is damaged.
    """
    phases = Phases(rows)
    for seq, body in _commits(connection, path):
        try:
            phases.take(_decoded(body))
        except (ValueError, TypeError, IndexError) as error:
            raise damaged(path, f"at commit {seq}") from error
    return phases


class Phases(Mapping[int, str]):
    """The last phase of every item that has one: a mapping from id to phase, in id order.

    It takes one byte a row: ``codes[item]`` is 0 for none, else the number of a phase of which ``names`` has
    the name (``names[0]`` is ``""``). Item 0, the run itself, is among them.
    """

    def __init__(self, rows: int) -> None:
        self.codes = bytearray(rows + 1)
        self.names: list[str] = [""]
        self._numbers: dict[str, int] = {}

    def take(self, entries: list[Any]) -> None:
        """Take in the entries of one commit.

        Raises:
            ValueError, TypeError, IndexError: They are no entries of this shard.
        """
        codes, numbers = self.codes, self._numbers
        for item, phase, _, _ in entries:
            number = numbers.get(phase)
            if number is None:
                number = self._number(phase)
            if item < 0:
                raise IndexError(item)
            codes[item] = number

    def _number(self, phase: object) -> int:
        if not isinstance(phase, str) or not phase or len(self.names) > _PHASES:
            raise ValueError(phase)
        number = self._numbers[phase] = len(self.names)
        self.names.append(phase)
        return number

    def counts(self) -> dict[str, int]:
        """Return how many plan rows (the run itself is none) are in which phase; ``""`` those in none."""
        whole = {name: self.codes.count(number, 1) for number, name in enumerate(self.names)}
        return {name: count for name, count in whole.items() if count}

    def __getitem__(self, item: int) -> str:
        if 0 <= item < len(self.codes) and (number := self.codes[item]):
            return self.names[number]
        raise KeyError(item)

    def __iter__(self) -> Iterator[int]:
        return (item for item, number in enumerate(self.codes) if number)

    def __len__(self) -> int:
        return len(self.codes) - self.codes.count(0)


def _commits(connection: sqlite3.Connection, path: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the body of all commits in order, each verified."""
    for end, bodies in _pages(connection, path):
        yield from enumerate(bodies, end.seq - len(bodies) + 1)


def _pages(connection: sqlite3.Connection, path: str) -> Iterator[tuple[Link, list[str]]]:
    """Yield the bodies of some commits at a time, verified, and the link that they end with."""
    link, closed = _ends(connection, path)
    while True:
        with foreign_errors(path):
            page = connection.execute(
                "SELECT seq, body, crc FROM log WHERE seq > ? ORDER BY seq LIMIT ?", (link.seq, _PAGE)
            ).fetchall()
        if page:
            link = _verified(path, link, page, closed)
            yield link, [row[1] for row in page]
        if len(page) < _PAGE:
            break
    if link.seq < closed.seq:
        raise damaged(path, f"after commit {link.seq}: {closed.seq - link.seq} more had been written")


def _verified(path: str, link: Link, page: list[tuple[Any, ...]], closed: Link) -> Link:
    """Return the link that the page ends with. It is `Link.next`, over and over, at a third of the time."""
    seq, crc = link
    for number, body, stored in page:
        seq += 1
        try:
            crc = zlib.crc32(body.encode(), zlib.crc32(b"%d:%d" % (crc, seq)))
        except AttributeError:
            raise damaged(path, f"at commit {seq}") from None
        if crc != stored or seq != number or (seq == closed.seq and crc != closed.crc):
            raise damaged(path, f"at commit {seq}")
    return Link(seq, crc)


def _decoded(body: str) -> list[Any]:
    entries = json.loads(body)
    if not isinstance(entries, list):
        raise TypeError(body)
    return entries


def _ends(connection: sqlite3.Connection, path: str) -> tuple[Link, Link]:
    """Return where the chain begins, and how far it went when the shard was last closed."""
    values = meta.read(connection, path)
    if "id" not in values:
        raise damaged(path, "in its meta row 'id'")
    first = beginning(values["id"])
    seq, found, crc = values.get(CLOSED, str(first)).partition(":")
    if not (found and seq.isdecimal() and crc.isdecimal()):
        raise damaged(path, f"in its meta row {CLOSED!r}")
    return first, Link(int(seq), int(crc))
