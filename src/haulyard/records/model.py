"""The values that go between the modules of this room.

A record's *address* is its object, the offset of the block that it is in, and its row there, from 0. Blocks
begin where the grid of the format says, not where reads happened to end: a record has the same address in
every run, and so has the Idempotency-Key that is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Format = Literal["csv", "tsv", "jsonl", "json", "parquet"]
Compression = Literal["", "gzip", "zstd", "bz2"]

#: Of a record that is kept with its failure, so many bytes at most.
KEPT_RECORD: Final = 64 * 1024
#: Of an answer that is kept with a failure, so many bytes at most.
KEPT_ANSWER: Final = 1024


class SourceObject(NamedTuple):
    """One object that is read: ``id`` counts from 1 in the order of reading; ``size`` in bytes."""

    id: int
    key: str
    size: int
    etag: str
    version_id: str = ""


class Address(NamedTuple):
    """Where a record is: ``object`` is the id of a `SourceObject`.

    ``offset`` is that of its block's first record: in bytes (of the inflated, recoded text), in rows for
    Parquet. ``row`` counts from 0 within the block.
    """

    object: int
    offset: int
    row: int

    def __str__(self) -> str:
        return f"{self.object}-{self.offset}-{self.row}"


class Flaw(NamedTuple):
    """Why a record cannot be read.

    ``line`` counts from 1 (0 where there are no lines), ``offset`` is that of the record itself in bytes
    (rows for Parquet), ``raw`` its beginning, at most `KEPT_RECORD` bytes.
    """

    line: int
    offset: int
    reason: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Block:
    """Records that follow each other in one object.

    ``rows`` has each as one JSON value (UTF-8, without a line feed), ``b""`` where there is a `Flaw` instead.
    ``line`` is the number of the first record's line, 0 where there are none. ``end`` is the offset behind
    the last record, from which the next block begins, and ``end_line`` the number of its line.
    """

    object: int
    offset: int
    line: int
    rows: Sequence[bytes]
    end: int
    end_line: int = 0
    flaws: Mapping[int, Flaw] = field(default_factory=dict)


class Letter(NamedTuple):
    """A dead letter: a record that was not delivered, and why.

    ``part`` counts the calls that a transform made of one record, from 0. ``kind`` is ``malformed``,
    ``transform``, ``rejected`` (the API's own no) or ``failed`` (tried until it was given up). ``status`` is
    0 where no answer came; ``at`` in POSIX seconds.
    """

    address: Address
    part: int
    kind: str
    reason: str
    record: bytes
    line: int = 0
    attempts: int = 0
    status: int = 0
    answer: bytes = b""
    at: float = 0.0
