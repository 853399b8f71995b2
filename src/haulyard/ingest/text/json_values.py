"""Values of JSON as columns, one at a time: the way of blocks in which something is wrong, or mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
import pyarrow as pa

from haulyard.ingest.model import KEPT_ROW, Reject
from haulyard.ingest.text.dates import dates
from haulyard.ingest.text.json_exact import is_rough, text_of, value_of
from haulyard.ingest.text.layout import Parsed, format_of
from haulyard.ingest.text.values import as_type, batch_of
from haulyard.ingest.text.widening import has_doubles
from haulyard.ingest.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.records.formats.encoding import Charset

#: Of a value that does not fit, so many characters at most.
_KEPT_VALUE: Final = 1000


class Rows(NamedTuple):
    """The objects of a block, with the number of each one's line (from 0) and that line; and what is none."""

    objects: list[dict[str, object]]
    lines: list[tuple[int, bytes]]
    rejects: list[Reject]
    #: How many rejects are no text in the file's encoding.
    foreign: int


def rows_of(data: bytes, charset: Charset, uri: str) -> Rows:
    """Read a block line by line; empty lines are none."""
    rows = Rows([], [], [], 0)
    foreign = 0
    for line, raw in enumerate(data.split(b"\n")):
        if not raw.strip():
            continue
        try:
            value = value_of(charset.utf8(raw))
        except UnicodeDecodeError as error:
            reason = charset.complaint(error).replace("record", "row")
            foreign += 1
        except ValueError as error:
            reason = f"not JSON: {error}"
        else:
            if isinstance(value, dict):
                rows.objects.append(value)
                rows.lines.append((line, raw))
                continue
            reason = "not an object"
        rows.rejects.append(Reject(uri, line, reason, raw=raw[:KEPT_ROW]))
    return rows._replace(foreign=foreign)


def parse_values(rows: Rows, schema: pa.Schema, uri: str, count: int, *, is_strict: bool) -> Parsed:
    """Return objects as the columns of ``schema``, and those that do not fit it.

    Nested fields that the types lack do not fit; ``is_strict`` keeps the objects and tells of the fields.
    ``count`` is how many lines the block has.
    """
    columns = []
    misfits = set()
    bad: set[int] = set()
    rejects = list(rows.rejects)
    for field in schema:
        values = [each.get(field.name) for each in rows.objects]
        column, wrong = _typed(values, field)
        columns.append(column)
        if is_strict and any(_has_more(value, field.type) for value in values):
            misfits.add(field.name)
        if not is_strict and pa.types.is_nested(field.type):
            # They would be dropped in silence.
            wrong += [at for at, value in enumerate(values) if _has_more(value, field.type, null=False)]
        if wrong:
            misfits.add(field.name)
        reason = f"not of type {type_name(field.type)}"
        if not field.nullable:
            wrong += [at for at, value in enumerate(values) if value is None]
        for at in wrong:
            if at not in bad:
                bad.add(at)
                is_null = values[at] is None
                why = "null in a column that takes none" if is_null else reason
                kept = "" if is_null else text_of(values[at])[:_KEPT_VALUE]
                line, raw = rows.lines[at]
                rejects.append(Reject(uri, line, why, field.name, kept, raw[:KEPT_ROW]))
    keep = pa.array([at not in bad for at in range(len(rows.objects))], pa.bool_())
    columns = [column.filter(keep) for column in columns] if bad else columns
    rejects.sort(key=lambda reject: reject.line)
    batch = batch_of(columns, schema, len(rows.objects) - len(bad))
    return Parsed(batch, rejects, count, frozenset(misfits), rows.foreign)


def _typed(values: Sequence[object], field: pa.Field) -> tuple[pa.Array, list[int]]:
    """Return values as a type, null where they do not fit, and the places of those that do not."""
    kind = field.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array([None if value is None else text_of(value) for value in values], kind), []
    if is_told_by_text(kind):
        is_decimal = pa.types.is_decimal(kind)
        texts = [
            value if isinstance(value, str) else text_of(value) if is_decimal and is_number(value) else None
            for value in values
        ]
        strings = pa.array(texts, pa.string())
        way = format_of(field)
        column, _ = dates(strings, way) if way else as_type(strings, kind)
        absent = column.is_null().to_pylist()
        return column, [at for at, value in enumerate(values) if value is not None and absent[at]]
    wrong = [at for at, value in enumerate(values) if value is not None and not _fits(value, kind)]
    if wrong:
        values = list(values)
        for at in wrong:
            values[at] = None
    return pa.array([_made(value, kind) for value in values] if has_doubles(kind) else values, kind), wrong


def is_told_by_text(kind: pa.DataType) -> bool:
    """Whether values of a type are strings in JSON, and understood here rather than by pyarrow's reader."""
    is_ = pa.types
    is_plain = is_.is_integer(kind) or is_.is_floating(kind) or is_.is_boolean(kind) or is_.is_null(kind)
    return not is_plain and not is_.is_nested(kind)


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(value: object, kind: pa.DataType) -> bool:
    """Whether a value is of a type as it is, without any conversion that may lose something."""
    is_ = pa.types
    if value is None:
        return True
    if isinstance(value, list):
        is_list = is_.is_list(kind) or is_.is_large_list(kind)
        return is_list and all(_fits(each, kind.value_type) for each in value)
    if isinstance(value, dict):
        return is_.is_struct(kind) and all(_fits(value.get(each.name), each.type) for each in kind)
    if isinstance(value, str):
        return bool(is_.is_string(kind) or is_.is_large_string(kind))
    if isinstance(value, bool):
        return bool(is_.is_boolean(kind))
    is_integer = is_.is_integer(kind) and isinstance(value, int) and _holds(kind, value)
    return bool(is_integer or (is_.is_floating(kind) and not is_rough(value)))


def _made(value: object, kind: pa.DataType) -> object:
    """Return a value that fits with doubles where the type has them: pyarrow makes none of large integers."""
    if isinstance(value, list):
        return [_made(each, kind.value_type) for each in value]
    if isinstance(value, dict):
        return {each.name: _made(value.get(each.name), each.type) for each in kind}
    return float(value) if isinstance(value, int) and pa.types.is_floating(kind) else value


def _holds(kind: pa.DataType, value: int) -> bool:
    try:
        pa.scalar(value, kind)
    except (pa.ArrowInvalid, OverflowError):
        return False
    return True


def _has_more(value: object, kind: pa.DataType, *, null: bool = True) -> bool:
    """Whether a value has fields that its type lacks, be they null or, without ``null``, not."""
    if isinstance(value, dict) and pa.types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        return any(
            _has_more(each, fields[name], null=null) if name in fields else null or each is not None
            for name, each in value.items()
        )
    if isinstance(value, list) and pa.types.is_list(kind):
        return any(_has_more(each, kind.value_type, null=null) for each in value)
    return False


def objects_in(lines: Iterator[bytes], most: int) -> Iterator[dict[str, object]]:
    """Yield the first ``most`` objects of some lines, whatever else is there."""
    for line in lines:
        if not most:
            return
        try:
            value = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            most -= 1
            yield value
