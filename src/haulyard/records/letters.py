"""Dead letters as people and programs read them: one JSON object a line.

::

    {"id": 7, "address": {"object": "in/a.csv", "etag": "…", "offset": 262144, "row": 12}, "line": 3120,
     "part": 0, "kind": "rejected", "reason": "…", "attempts": 1, "status": 422, "record": {…},
     "answer": {…}, "at": "2026-03-01T03:00:00.125Z"}

``record`` and ``answer`` are JSON where they are that, else text. ``resolved`` says when a letter was
delivered after all.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson

from haulyard.errors import JobError
from haulyard.journal import durable
from haulyard.records.telling import moment, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.records.ledger import Kept, Ledger

#: Their file, in a job's folder and beside its report.
FILE: Final = "dead-letters.jsonl"


def fields_of(kept: Kept) -> dict[str, Any]:
    """Return a letter as `orjson.dumps` takes it."""
    letter, source = kept.letter, kept.source
    return {
        "id": kept.id,
        "address": {
            "object": source.key,
            "etag": source.etag.strip('"'),
            "offset": letter.address.offset,
            "row": letter.address.row,
        },
        "line": letter.line,
        "part": letter.part,
        "kind": letter.kind,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "status": letter.status,
        "record": told(letter.record),
        "answer": told(letter.answer),
        "at": moment(letter.at),
        **({"resolved": moment(kept.resolved)} if kept.resolved else {}),
    }


def line_of(kept: Kept) -> bytes:
    """Return a letter as a line."""
    return orjson.dumps(fields_of(kept), option=orjson.OPT_APPEND_NEWLINE)


def lines(ledger: Ledger, *, unresolved_only: bool = False) -> Iterator[bytes]:
    """Yield the letters as lines; memory does not grow with their number. Raises JobError if damaged."""
    for page in ledger.letters(unresolved_only=unresolved_only):
        yield from map(line_of, page)


def write_letters(ledger: Ledger, path: str, *, unresolved_only: bool = False) -> int:
    """Give ``path`` the letters as its content, in one step, and return how many there are.

    Raises:
        JobError: The ledger is damaged, or the file cannot be written; what was there before is untouched.
    """
    part, count = f"{path}.part", 0
    try:
        with open(part, "wb") as file:
            for count, line in enumerate(lines(ledger, unresolved_only=unresolved_only), 1):  # noqa: B007 -- the last
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        durable.fsync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise JobError(
            f"{path} cannot be written: {error.strerror}",
            hint="make room, or make the directory writable for this user",
        ) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    return count
