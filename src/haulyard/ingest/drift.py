"""Columns of several files made one: what counts as different, and which type holds both; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError, IngestError

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    import pyarrow as pa

    from haulyard.ingest.model import Drift


class Columns(NamedTuple):
    """The columns of the file ``uri``, or of several that begin with it."""

    uri: str
    schema: pa.Schema


def united(one: Columns, other: Columns, drift: Drift, wanted: Container[str] | None = None) -> Columns:
    """Return the columns of both together, in the order in which they are met first.

    Names are not compared: see `check_names`.

    Raises:
        IngestError: Types differ in a way that ``drift`` does not allow, in a column that is ``wanted`` (None
            for all); it names file and column.
    """
    fields = {field.name: field for field in one.schema}
    for field in other.schema:
        known = fields.get(field.name)
        if known is None or known.type == field.type:
            fields.setdefault(field.name, field)
            continue
        common = common_type(known.type, field.type)
        if common is None or (drift == "fail" and (wanted is None or field.name in wanted)):
            raise IngestError(
                f"the column {field.name!r} of {other.uri} is {field.type}, "
                f"and that of {one.uri} is {known.type}",
                hint=""
                if common is None
                else f"on_drift='widen' makes {common} of both, or schema= pins a type",
            )
        fields[field.name] = known.with_type(common)
    import pyarrow as pa

    return Columns(one.uri, pa.schema(fields.values()))


def check_names(
    uri: str, names: Sequence[str], other_uri: str, other_names: Sequence[str], drift: Drift
) -> None:
    """Raise IngestError where one of two files lacks a column of the other and ``drift`` forbids it."""
    if drift == "add-columns" or (names == other_names):
        return
    for lacking, known, having, others in (
        (uri, set(names), other_uri, other_names),
        (other_uri, set(other_names), uri, names),
    ):
        for name in others:
            if name not in known:
                raise IngestError(
                    f"{lacking} has no column {name!r}, and {having} has one",
                    hint="on_drift='add-columns' makes nulls where a file lacks a column; "
                    "columns= reads only those that all have",
                )


def pinned_in(schema: pa.Schema, pinned: pa.Schema | None) -> pa.Schema:
    """Return the columns of ``schema``, of the types that ``pinned`` gives to some or all of them."""
    import pyarrow as pa

    if pinned is None:
        return schema
    names = set(pinned.names)
    return pa.schema([pinned.field(field.name) if field.name in names else field for field in schema])


def check_pinned(where: str, pinned: Sequence[str], names: Sequence[str], drift: Drift) -> None:
    """Raise IngestError where a column that is pinned does not exist, and ``drift`` does not allow it."""
    known = set(names)
    missing = [name for name in pinned if name not in known]
    if missing and drift != "add-columns":
        near = nearest(missing[0], [name for name in names if name not in pinned])
        raise IngestError(
            f"{where} has no column {missing[0]!r}, which the schema has",
            hint=f"did you mean {near!r}?" if near else "on_drift='add-columns' makes nulls of it",
        )


def check_known(where: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise ConfigError where a column that is wanted does not exist."""
    known = set(names)
    for name in wanted:
        if name not in known:
            near = nearest(name, names)
            columns = f"its columns are {', '.join(names[:50])}"
            raise ConfigError(
                f"{where} has no column {name!r}",
                hint=f"did you mean {near!r}? {columns}" if near else columns,
            )


def lossless(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    """Return the columns of both with types that hold all values of both as they are; None if there are none.

    Null becomes anything, an integer a double (which fails where one has more than 53 bits), a date a time.
    """
    import pyarrow as pa

    fields = {field.name: field for field in one}
    for field in other:
        known = fields.setdefault(field.name, field)
        if known.type != field.type:
            wider = _lossless(known.type, field.type)
            if wider is None:
                return None
            fields[field.name] = (field if wider == field.type else known).with_type(wider)
    return pa.schema(fields.values())


def _lossless(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    import pyarrow as pa

    types = pa.types
    if types.is_null(one):
        return other
    if types.is_null(other):
        return one
    numbers = all(
        types.is_integer(each) or types.is_floating(each) or types.is_decimal(each) for each in (one, other)
    )
    times = all(types.is_date(each) or types.is_timestamp(each) for each in (one, other))
    return common_type(one, other) if numbers or times else None


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both, None where only one of both is nested.

    Numbers become wider ones, dates times; all that has nothing in common becomes text.
    """
    import pyarrow as pa

    schemas = [pa.schema([pa.field("", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        pass
    types = pa.types
    if types.is_date(one) and types.is_timestamp(other):
        return other
    if types.is_timestamp(one) and types.is_date(other):
        return one
    return None if types.is_nested(one) or types.is_nested(other) else pa.string()
