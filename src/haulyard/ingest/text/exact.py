"""Blocks of CSV in which something is wrong: each bad row by its line, column, value and reason.

Rows are told apart one by one; their values are converted a column at a time, by pyarrow's own rules, so that
a row that is read here is read alike by `arrow_csv`.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.model import KEPT_ROW, Reject
from haulyard.ingest.text.cutting import RecordEnds
from haulyard.ingest.text.dates import dates
from haulyard.ingest.text.layout import Layout, Parsed, format_of
from haulyard.ingest.text.values import as_type, batch_of, read_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of a value that does not fit, so many characters at most.
_KEPT_VALUE = 1000


class _Record(NamedTuple):
    """One record as it stands in the file, and as UTF-8."""

    line: int
    raw: bytes
    text: bytes


def parse_exactly(data: bytes, layout: Layout, schema: pa.Schema) -> Parsed:
    """Return a block of whole records as the columns of ``schema``, and the rows that do not fit it."""
    rejects: list[Reject] = []
    records: list[_Record] = []
    foreign = lines = 0
    check = _Check(layout)
    for line, raw in _records(data, layout):
        lines = line + max(raw.count(b"\n"), 1)
        if not raw.strip(b"\r\n"):
            continue
        try:
            text = layout.charset.utf8(raw)
            reason = check.flaw(text)
        except UnicodeDecodeError as error:
            text, reason = b"", layout.charset.complaint(error).replace("record", "row")
            foreign += 1
        if reason:
            rejects.append(Reject(layout.uri, line, reason, raw=raw[:KEPT_ROW]))
        else:
            records.append(_Record(line, raw, text))
    batch, misfits = _typed(records, layout, schema, rejects)
    rejects.sort(key=lambda reject: reject.line)
    return Parsed(batch, rejects, lines, misfits, foreign)


class _Check:
    """Whether a record has the right number of fields."""

    def __init__(self, layout: Layout) -> None:
        self._dialect = layout.dialect
        self._delimiter = layout.dialect.delimiter.encode()
        self._special = [each.encode() for each in (layout.dialect.quote, layout.dialect.escape) if each]
        self._width = len(layout.names)

    def flaw(self, text: bytes) -> str:
        """Return what is wrong with a record; ``""`` for nothing."""
        if any(special in text for special in self._special):
            try:
                width = len(next(iter(self._dialect.records(text.decode()))))
            except csv.Error as error:
                return str(error)
        else:
            width = text.count(self._delimiter) + 1
        if width == self._width:
            return ""
        return f"{width} field{'s' if width > 1 else ''} instead of {self._width}"


def _records(data: bytes, layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Yield each record with the number of its first line, from 0; empty lines as well."""
    dialect = layout.dialect
    if not any(each and each.encode() in data for each in (dialect.quote, dialect.escape)):
        yield from enumerate(data.splitlines(keepends=True) if b"\r" not in data else _lines(data))
        return
    ends = RecordEnds(dialect)
    at = line = 0
    while at < len(data):
        end = ends.next(data, at)
        raw = data[at : end if end > 0 else None]
        yield line, raw
        at += len(raw)
        line += raw.count(b"\n")


def _lines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1].removesuffix(b"\n")
    return lines if lines[-1] else lines[:-1]


def _typed(
    records: list[_Record], layout: Layout, schema: pa.Schema, rejects: list[Reject]
) -> tuple[pa.RecordBatch, frozenset[str]]:
    """Return the records that fit as columns, and the columns that others, which are rejected, do not fit."""
    texts = _texts(records, layout, schema.names) if schema.names else []
    columns = []
    misfits = set()
    bad = pa.repeat(pa.scalar(False), len(records))  # noqa: FBT003 -- the value
    for field, text in zip(schema, texts, strict=True):
        way = format_of(field)
        values, wrong = dates(text, way) if way else as_type(text, field.type)
        columns.append(values)
        complaint = f"not {'a date as ' + way if way else f'of type {field.type}'}"
        if wrong.true_count:
            misfits.add(field.name)
        if not field.nullable and text.null_count:
            wrong = pc.or_(wrong, text.is_null())
        fresh = pc.and_(wrong, pc.invert(bad))
        for at in pc.indices_nonzero(fresh).to_pylist():
            value = text[at].as_py()
            reason = complaint if value is not None else "null in a column that takes none"
            line, raw, _ = records[at]
            kept = (value or "")[:_KEPT_VALUE]
            rejects.append(Reject(layout.uri, line, reason, field.name, kept, raw[:KEPT_ROW]))
        bad = pc.or_(bad, wrong)
    kept = pc.invert(bad)
    columns = [column.filter(kept) for column in columns] if bad.true_count else columns
    return batch_of(columns, schema, kept.true_count), frozenset(misfits)


def _texts(records: list[_Record], layout: Layout, names: list[str]) -> list[pa.Array]:
    """Return the columns ``names`` of records as they stand there, null for what means null."""
    joined = b"".join(
        record.text if record.text.endswith(b"\n") else record.text + b"\n" for record in records
    )
    if joined.count(b"\r") == joined.count(b"\r\n"):
        table = read_columns(joined, layout, dict.fromkeys(names, pa.string()), names)
        return [table[name].combine_chunks() for name in names]
    rows = list(layout.dialect.records(joined.decode()))
    nulls = pa.array(layout.nulls, pa.string())
    columns = dict(zip(layout.names, zip(*rows, strict=True), strict=True))
    texts = []
    for name in names:
        found = pa.array(columns.get(name, (None,) * len(rows)), pa.string())
        texts.append(pc.if_else(pc.is_in(found, nulls), None, found))
    return texts
