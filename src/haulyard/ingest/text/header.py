"""The names of a delimited file's columns, and what its fields are told apart by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import ConfigError
from haulyard.records.formats.delimited import Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.ingest.model import ReadOptions

#: What may be between fields, the likeliest first.
DELIMITERS: Final = (",", "\t", ";", "|")
#: Rows of the beginning that are looked at.
_ROWS: Final = 100
#: Of names that were changed, so many are told.
_TOLD: Final = 3
_VALUE: Final = re.compile(
    r"\s*(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?"
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?|\d{1,2}:\d{2}(?::\d{2}.*)?|true|false)\s*\Z",
    re.IGNORECASE,
)


class Names(NamedTuple):
    """The columns of a file; ``is_header``: its first record has them; ``notes`` say what was changed."""

    names: tuple[str, ...]
    is_header: bool
    notes: tuple[str, ...] = ()


def find_delimiter(text: str, options: ReadOptions) -> str:
    """Return what most likely separates fields: what divides most rows into as many as the first has."""
    best, best_score = DELIMITERS[0], 0.0
    for delimiter in DELIMITERS:
        if delimiter in {options.quote, options.escape}:
            continue
        widths = [len(row) for row in first_rows(text, Dialect(delimiter, options.quote, options.escape))]
        score = widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def first_rows(text: str, dialect: Dialect) -> list[list[str]]:
    """Return the fields of the first rows; those of empty lines are left out."""
    rows: list[list[str]] = []
    for row in dialect.records(text):
        if row:
            rows.append(row)
        if len(rows) == _ROWS:
            break
    return rows


def names_of(rows: Sequence[Sequence[str]], options: ReadOptions, known: Sequence[str], uri: str) -> Names:
    """Return the names of the columns of a file that begins with ``rows``, of which there is one at least.

    ``known`` are names that a schema gives.

    Raises:
        ConfigError: The names that were given are not as many as the columns are.
    """
    first = rows[0]
    is_header = options.header
    if is_header is None:
        is_header = not options.names and _looks_like_names(rows, known)
    if not is_header and not options.names and len(known) == len(first):
        return Names(tuple(known), is_header=False)
    if options.names:
        if len(options.names) != len(first):
            raise ConfigError(
                f"{uri} has {len(first)} columns, and {len(options.names)} names were given",
                hint="give each column a name, in their order",
            )
        return Names(options.names, is_header)
    if not is_header:
        return Names(tuple(f"column_{number}" for number in range(1, len(first) + 1)), is_header=False)
    return _unique(first, uri)


def _looks_like_names(rows: Sequence[Sequence[str]], known: Sequence[str]) -> bool:
    """Whether the first row has names: no values, or above columns of values something that is none."""
    first, rest = rows[0], rows[1:]
    if set(first) & set(known):
        return True
    values = [bool(_VALUE.match(cell)) for cell in first]
    if not any(values):
        return True
    for at, is_value in enumerate(values):
        below = [row[at] for row in rest if len(row) == len(first) and row[at]]
        if not is_value and first[at].strip() and below and all(map(_VALUE.match, below)):
            return True
    return False


def _unique(names: Sequence[str], uri: str) -> Names:
    """Return names that differ from each other: ``a``, ``a_1``; ``column_3`` for the third if it has none."""
    taken = set(names)
    unique: list[str] = []
    notes: list[str] = []
    used: set[str] = set()
    for number, name in enumerate(names, 1):
        stem = name.strip() or f"column_{number}"
        chosen, count = stem, 0
        while chosen in used or (chosen != name and chosen in taken):
            count += 1
            chosen = f"{stem}_{count}"
        used.add(chosen)
        unique.append(chosen)
        if chosen != name.strip():
            what = f"has the name of another, {name!r}" if name.strip() else "has no name"
            notes.append(f"column {number} {what}: it is called {chosen!r}")
    if not notes:
        return Names(tuple(unique), is_header=True)
    more = f", and {len(notes) - _TOLD} more" if len(notes) > _TOLD else ""
    return Names(tuple(unique), True, (f"{uri}: {'; '.join(notes[:_TOLD])}{more}",))  # noqa: FBT003 -- a field of a tuple
