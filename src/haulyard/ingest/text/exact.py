"""Blocks of CSV in which something is wrong: each bad row by its line, column, value and reason.

Rows of the wrong width or encoding are taken out, and pyarrow reads the rest; only columns that it refuses
are converted value by value, by its own rules.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.literals import truth
from haulyard.ingest.model import KEPT_ROW, Reject
from haulyard.ingest.text.cutting import RecordEnds
from haulyard.ingest.text.dates import dates
from haulyard.ingest.text.layout import Layout, Parsed, format_of
from haulyard.ingest.text.values import array_of, as_type, batch_of, read_columns
from haulyard.ingest.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of a value that does not fit, so many characters at most.
_KEPT_VALUE: Final = 1000
_NULL: Final = "null in a column that takes none"
#: pyarrow names a column that it refuses by its place in the file.
_REFUSED: Final = re.compile(r"In CSV column #(\d+): ")


class _Records:
    """The records of a block that are not empty: ``raw`` as they stand there, ``lines`` where, from 0."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        dialect = layout.dialect
        self.is_plain = not any(each and each.encode() in data for each in (dialect.quote, dialect.escape))
        raw = data.split(b"\n") if self.is_plain else _quoted_records(data, RecordEnds(dialect))
        if self.is_plain and not raw[-1]:
            raw.pop()
        self.lines: Sequence[int] = range(len(raw))
        self.count = len(raw)
        if not self.is_plain:
            starts = []
            line = 0
            for each in raw:
                starts.append(line)
                line += each.count(b"\n") + 1
            self.lines, self.count = starts, line
        # Of each row alone: whether it is blank must not depend on the rows beside it.
        kept = [at for at, each in enumerate(raw) if each.strip(b"\r\n")]
        if len(kept) < len(raw):
            raw, self.lines = [raw[at] for at in kept], [self.lines[at] for at in kept]
        self.raw = raw


def _quoted_records(data: bytes, ends: RecordEnds) -> list[bytes]:
    records = []
    at = 0
    while at < len(data):
        end = ends.next(data, at)
        end = end if end > 0 else len(data)
        records.append(data[at:end].removesuffix(b"\n"))
        at = end
    return records


def parse_exactly(data: bytes, layout: Layout, schema: pa.Schema) -> Parsed:
    """Return a block of whole records as the columns of ``schema``, and the rows that do not fit it."""
    records = _Records(data, layout)
    texts, flaws, foreign = _checked(records, layout)
    rejects = [
        Reject(layout.uri, records.lines[at], reason, raw=_kept(records.raw[at]))
        for at, reason in flaws.items()
    ]
    good = [at for at in range(len(records.raw)) if at not in flaws]
    text = b"\n".join(texts[at] for at in good) + b"\n"
    batch, misfits = _typed(text, good, records, layout, schema, rejects)
    rejects.sort(key=lambda reject: reject.line)
    return Parsed(batch, rejects, records.count, misfits, foreign)


def _checked(records: _Records, layout: Layout) -> tuple[list[bytes], dict[int, str], int]:
    """Return the records in UTF-8, what is wrong by their places, and how many are not in the encoding."""
    texts, flaws = _decoded(records.raw, layout)
    foreign = len(flaws)
    width = len(layout.names)
    delimiter = layout.dialect.delimiter.encode()
    if records.is_plain:
        counts = [text.count(delimiter) + 1 for text in texts]
    else:
        counts = [_width(text, delimiter, layout) for text in texts]
    for at, count in enumerate(counts):
        if count != width and at not in flaws:
            flaws[at] = f"{count} field{'s' if count > 1 else ''} instead of {width}"
    return texts, flaws, foreign


def _decoded(records: list[bytes], layout: Layout) -> tuple[list[bytes], dict[int, str]]:
    charset = layout.charset
    flaws: dict[int, str] = {}
    try:
        whole = charset.utf8(b"\n".join(records))
    except UnicodeDecodeError:
        whole = b""
    if whole and (charset.is_utf8 or charset.is_streamed):
        return records, flaws
    texts = []
    for at, record in enumerate(records):
        try:
            texts.append(charset.utf8(record))
        except UnicodeDecodeError as error:
            texts.append(b"")
            flaws[at] = charset.complaint(error).replace("record", "row")
    return texts, flaws


def _width(text: bytes, delimiter: bytes, layout: Layout) -> int:
    dialect = layout.dialect
    if any(each and each.encode() in text for each in (dialect.quote, dialect.escape)):
        try:
            return len(next(iter(dialect.records(text.decode()))))
        except csv.Error:
            return 0
    return text.count(delimiter) + 1


def _typed(
    text: bytes, good: list[int], records: _Records, layout: Layout, schema: pa.Schema, rejects: list[Reject]
) -> tuple[pa.RecordBatch, frozenset[str]]:
    """Return the records that fit as columns, and the columns that others, which are rejected, do not fit."""
    found = _columns(text, len(good), layout, schema) if schema.names else {}
    columns = []
    misfits = set()
    bad = pa.repeat(truth(False), len(good))  # noqa: FBT003 -- the value
    for field in schema:
        column = found[field.name]
        values, wrong = column, None
        way = format_of(field)
        if way or column.type != field.type:
            values, wrong = dates(column, way) if way else as_type(column, field.type)
        columns.append(values)
        if wrong is not None and wrong.true_count:
            misfits.add(field.name)
        if not field.nullable and column.null_count:
            wrong = column.is_null() if wrong is None else pc.or_(wrong, column.is_null())
        if wrong is None or not wrong.true_count:
            continue
        what = f"not {'a date as ' + way if way else f'of type {type_name(field.type)}'}"
        places = pc.indices_nonzero(pc.and_not(wrong, bad))
        # What is null fits the type, and only the column takes none.
        for at, value in zip(places.to_pylist(), column.take(places).to_pylist(), strict=True):
            line, raw = records.lines[good[at]], _kept(records.raw[good[at]])
            if value is None:
                rejects.append(Reject(layout.uri, line, _NULL, field.name, "", raw))
            else:
                rejects.append(Reject(layout.uri, line, what, field.name, value[:_KEPT_VALUE], raw))
        bad = pc.or_(bad, wrong)
    kept = pc.invert(bad)
    columns = [column.filter(kept) for column in columns] if bad.true_count else columns
    return batch_of(columns, schema, kept.true_count), frozenset(misfits)


def _columns(text: bytes, rows: int, layout: Layout, schema: pa.Schema) -> dict[str, pa.Array]:
    """Return the columns of good records, in their types where all values fit them, else as written."""
    if text.count(b"\r") != text.count(b"\r\n"):
        return _told_apart(text, rows, layout, schema.names)
    types = {field.name: pa.string() if format_of(field) else field.type for field in schema}
    while True:
        try:
            table = read_columns(text, layout, types, schema.names)
        except pa.ArrowInvalid as error:
            refused = _REFUSED.match(str(error))
            name = layout.names[int(refused[1])] if refused else ""
            if set(types.values()) == {pa.string()}:
                return _told_apart(text, rows, layout, schema.names)
            if types.get(name, pa.string()) == pa.string():
                types = dict.fromkeys(types, pa.string())
            else:
                types[name] = pa.string()
            continue
        return {name: array_of(table, name) for name in schema.names}


def _told_apart(text: bytes, rows: int, layout: Layout, names: list[str]) -> dict[str, pa.Array]:
    """Return columns as they are written, by the csv module: pyarrow ends rows at any carriage return."""
    cells = zip(*layout.dialect.records(text.decode()), strict=True)
    columns = dict(zip(layout.names, cells, strict=True)) if rows else {}
    nulls = pa.array(layout.nulls, pa.string())
    texts = {}
    for name in names:
        found = pa.array(columns.get(name, (None,) * rows), pa.string())
        texts[name] = pc.if_else(pc.is_in(found, nulls), None, found)
    return texts


def _kept(raw: bytes) -> bytes:
    return raw[:KEPT_ROW].removesuffix(b"\r")
