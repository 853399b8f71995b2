"""How rows that are read fit a table: which columns, as which types. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from haulyard.ingest.model import Drift


class ReadAsError(Exception):
    """The rows have to be read as other types: those of the table that they go to."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__("the table has other types")
        self.schema = schema


class Fit(NamedTuple):
    """The names of the table's columns that what is read goes to, by position, and which of them are new."""

    columns: tuple[str, ...]
    added: tuple[str, ...] = ()


def new_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names that a table can have: DuckDB's are the same in upper and lower case.

    >>> new_names(["id", "ID", "id_2"])
    ('id', 'ID_3', 'id_2')
    """
    taken = {name.lower() for name in names}
    used: set[str] = set()
    found = []
    for name in names:
        fresh, number = name, 2
        while fresh.lower() in used or (fresh != name and fresh.lower() in taken):
            fresh, number = f"{name}_{number}", number + 1
        used.add(fresh.lower())
        found.append(fresh)
    return tuple(found)


def storable(schema: pa.Schema) -> pa.Schema:
    """Return the types of a table made for ``schema``: a column of nulls alone becomes text."""
    import pyarrow as pa

    names = new_names(schema.names)
    return pa.schema([(name, _plain(field.type)) for name, field in zip(names, schema, strict=True)])


def fit(found: pa.Schema, table: pa.Schema, drift: Drift, source: str, name: str, *, given: str = "") -> Fit:
    """Return how rows of ``found`` go into a table of the columns ``table``, whose types stay.

    ``source`` is the file of the first rows, ``name`` the table, both for messages. ``given`` is a column
    that the rows will have.

    Raises:
        ReadAsError: They have to be read as other types first.
        IngestError: Columns are missing here or there, and ``drift`` does not allow it.
    """
    import pyarrow as pa

    own = {field.name.lower(): field for field in table}
    names = [own[each.lower()].name if each.lower() in own else each for each in found.names]
    added = tuple(each for each in names if each.lower() not in own)
    there = {name.lower() for name in (*names, given)}
    missing = [each for each in table.names if each.lower() not in there]
    if drift != "add-columns" and (added or missing):
        what = (
            f"has a column {added[0]!r} that {name} has not" if added else f"lacks {missing[0]!r} of {name}"
        )
        raise IngestError(
            f"{source} {what}; nothing was loaded",
            hint="on_drift='add-columns' adds them to the table, and fills with null what is missing",
        )
    wanted = [
        field if field.name.lower() not in own else _wanted(field, own[field.name.lower()].type)
        for field in found
    ]
    schema = pa.schema(wanted)
    if not schema.equals(found):
        raise ReadAsError(schema)
    return Fit(tuple(names), added)


def _wanted(field: pa.Field, to: pa.DataType) -> pa.Field:
    """Return ``field``, of the type ``to`` where its values would not all be the same in that one."""
    plain = _plain(to)
    return field if _is_exact(field.type, plain) else field.with_type(plain)


def _is_exact(found: pa.DataType, to: pa.DataType) -> bool:
    """Say whether DuckDB stores every value of one type as another without a loss."""
    import pyarrow as pa
    from pyarrow import types

    plain = _plain(found)
    # Of extension types DuckDB knows more than Arrow's casts do: UUIDs, JSON.
    if types.is_null(found) or isinstance(found, pa.BaseExtensionType) or plain.equals(to):
        return True
    if types.is_integer(plain) and types.is_integer(to):
        bits = [each.bit_width - int(types.is_signed_integer(each)) for each in (plain, to)]
        return bool(bits[0] <= bits[1]) and bool(
            types.is_signed_integer(to) or types.is_unsigned_integer(plain)
        )
    if types.is_float32(plain) and types.is_float64(to):
        return True
    if types.is_timestamp(plain) and types.is_timestamp(to):
        order = ("s", "ms", "us", "ns")
        return bool(plain.tz == to.tz and order.index(plain.unit) <= order.index(to.unit))
    # What text does not hold is converted by DuckDB, which complains where it cannot.
    return bool(types.is_nested(plain) or types.is_binary(plain) or types.is_large_binary(plain))


def _plain(of: pa.DataType) -> pa.DataType:
    """Return the type that is stored: the values of a dictionary, text of whatever length."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(of):
        return _plain(of.value_type)
    if types.is_null(of) or types.is_large_string(of) or types.is_string_view(of):
        return pa.string()
    return of
