"""Conditions on rows, as SQL or as expressions of Arrow.

SQL means what DuckDB makes of it, whichever library looks at the rows; times without a zone are UTC. What
Arrow can say as well is translated (`where_sql`), so that it also tells which row groups cannot have a row
that fits; all else is evaluated by DuckDB, batch by batch.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError
from haulyard.ingest.where_sql import column_refs, conjuncts, forbidden, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    import pyarrow as pa
    import pyarrow.compute as pc

    from haulyard.ingest.where_sql import Term

    #: ``"dep_delay > 60 AND origin = 'JFK'"``, or an expression of Arrow. (Its classes have no types.)
    Where: TypeAlias = str | Any

_BEFORE: Final = "SELECT CAST((\n"
_AFTER: Final = "\n) AS BOOLEAN) FROM t"


class Filter(NamedTuple):
    """A condition on rows with certain columns.

    ``columns`` are those that it looks at. ``necessary`` is for Arrow what has to be true for it to be, None
    where that is not known. ``apply`` returns the rows of a batch for which it is true.
    """

    columns: tuple[str, ...]
    necessary: pc.Expression | None
    apply: Callable[[pa.RecordBatch], pa.RecordBatch]


class Condition:
    """A condition, understood as far as it can be without knowing the columns.

    ``names`` are the columns that it names, None where only their types would tell.

    Raises:
        ConfigError: It is no condition.
    """

    names: tuple[str, ...] | None

    def __init__(self, where: Where) -> None:
        self._where = where
        self._whole: Any = None
        self._tree: Any = None
        self.names = None
        self._connection: Any = None
        if isinstance(where, str):
            self._connection = _connect()
            self._whole = _parsed(where)
            self._tree = self._whole["statements"][0]["node"]["select_list"][0]["child"]
            names = [ref["column_names"][0] for ref in column_refs(self._tree)]
            self.names = tuple(dict.fromkeys(names))
        elif not _is_expression(where):
            raise ConfigError(
                f"a {type(where).__name__} is no condition on rows",
                hint="give what SQL has behind WHERE, or an expression of pyarrow.compute",
            )

    def suits(self, schema: pa.Schema) -> bool:
        """Whether ``schema`` has all columns that the condition names."""
        if isinstance(self._where, str):
            folded = {name.casefold() for name in schema.names}
            return all(name.casefold() in folded for name in self.names or ())
        return _fits(self._where, schema)

    def necessary(self, schema: pa.Schema) -> pc.Expression | None:
        """Return what must be true of the columns of ``schema`` for the condition to be, as far as Arrow can.

        None where nothing is known to be.
        """
        if not isinstance(self._where, str):
            return self._where if _fits(self._where, schema) else None
        folded = {name.casefold() for name in schema.names}
        known = partial(_known, names=schema.names)
        found = None
        for part in conjuncts(self._tree):
            if all(ref["column_names"][0].casefold() in folded for ref in column_refs(part)):
                term = translated(part, schema, known)
                if term is not None and _has_kernels(term, schema):
                    found = term.expression if found is None else found & term.expression
        return found

    def spelt(self, names: Sequence[str]) -> list[str]:
        """Return `names` as they are written among the columns ``names``.

        Raises:
            ConfigError: One does not exist.
        """
        return [_known(name, names) for name in self.names or ()]

    def bind(self, schema: pa.Schema) -> Filter:
        """Return the condition for rows of ``schema``.

        Raises:
            ConfigError: A column does not exist, or the types do not fit.
        """
        if not isinstance(self._where, str):
            return _of_expression(self._where, schema)
        columns = tuple(dict.fromkeys(self.spelt(schema.names)))
        term = translated(self._tree, schema, partial(_known, names=schema.names))
        if term is not None and _has_kernels(term, schema):
            return Filter(columns, term.expression, partial(_masked, term))
        evaluation = _Evaluation(self._connection, self._where, self._statement(columns), columns)
        evaluation.check(schema)
        return Filter(columns, self.necessary(schema), evaluation)

    def _statement(self, columns: Sequence[str]) -> str:
        """Return SQL that gives the condition's value for each row; column n of ``columns`` is called cn."""
        whole = json.loads(json.dumps(self._whole))
        root = whole["statements"][0]["node"]["select_list"][0]
        for ref in column_refs(root["child"]):
            ref["column_names"][0] = f"c{columns.index(_known(ref['column_names'][0], columns))}"
        statement = "SELECT json_deserialize_sql(?::JSON)"
        answer = self._connection.cursor().execute(statement, [json.dumps(whole)])
        return str(answer.fetchone()[0])


@lru_cache(maxsize=256)
def _parsed(where: str) -> Any:  # noqa: ANN401 -- a tree of DuckDB, which nobody changes
    """Return the statement with the condition as its only column; remembered, for it takes 2 ms.

    Raises:
        ConfigError: It is no condition.
    """
    if not where.strip():
        raise _no_condition(where, "it is empty")
    options = "skip_empty := true, skip_null := true, skip_default := true"
    statement = f"SELECT json_serialize_sql(?::VARCHAR, {options})"
    answer = _connect().cursor().execute(statement, [_BEFORE + where + _AFTER]).fetchone()
    tree = json.loads(answer[0])
    if tree["error"]:
        raise _no_condition(where, _complaint(where, tree))
    nodes = [each["node"] for each in tree["statements"]]
    if len(nodes) != 1 or nodes[0]["type"] != "SELECT_NODE" or len(nodes[0]["select_list"]) != 1:
        raise _no_condition(where, "it is more than one expression")
    root = nodes[0]["select_list"][0]
    if root["child"].get("function_name") == "row":
        raise _no_condition(where, "it is not one expression")
    if what := forbidden(root):
        raise _no_condition(where, f"it has {what}")
    return tree


def _complaint(where: str, answer: dict[str, Any]) -> str:
    """Return what DuckDB does not understand, and at which character."""
    at = int(answer.get("position", len(_BEFORE))) - len(_BEFORE)
    if at >= len(where.rstrip().encode()):
        return f"it ends too early, behind {where.rsplit(maxsplit=1)[-1]!r}"
    # DuckDB counts bytes.
    before = where.encode()[: max(at, 0)].decode(errors="ignore")
    return f"{answer['error_message']}, at character {len(before) + 1}"


class _Evaluation:
    """A condition that DuckDB evaluates."""

    def __init__(self, connection: Any, where: str, statement: str, columns: tuple[str, ...]) -> None:  # noqa: ANN401
        self._connection = connection
        self._where = where
        self._statement = statement
        self._columns = columns

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows for which it is true."""
        return batch.filter(self._mask(batch))

    def check(self, schema: pa.Schema) -> None:
        """Raise ConfigError where it cannot be evaluated for these types."""
        import pyarrow as pa

        empty = [pa.nulls(0, field.type) for field in schema]
        self._mask(pa.RecordBatch.from_arrays(empty, schema=schema))

    def _mask(self, batch: pa.RecordBatch) -> pa.Array:
        import pyarrow as pa

        duckdb = _duckdb()
        arrays = [batch.column(batch.schema.get_field_index(name)) for name in self._columns]
        names = [f"c{number}" for number in range(len(arrays))]
        if not arrays:
            # A condition on nothing, such as TRUE, still has a value for each row.
            arrays, names = [pa.nulls(batch.num_rows, pa.int8())], ["c"]
        cursor = self._connection.cursor()
        try:
            cursor.register("t", pa.Table.from_arrays(arrays, names))
            mask = cursor.sql(self._statement).to_arrow_table().column(0).combine_chunks()
        except duckdb.Error as error:
            raise _no_condition(self._where, str(error).partition("\n")[0]) from error
        finally:
            cursor.close()
        if len(mask) != batch.num_rows:
            raise _no_condition(self._where, "it has not one value for each row")
        return mask


def _is_expression(where: object) -> bool:
    import pyarrow.compute as pc

    return isinstance(where, pc.Expression)


def _of_expression(expression: pc.Expression, schema: pa.Schema) -> Filter:
    import pyarrow as pa

    try:
        _filtered(expression, _empty(schema))
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"the condition {expression} cannot be evaluated: {reason}",
            hint=f"the columns are {', '.join(schema.names[:50])}",
        ) from error
    text = str(expression)
    candidates = [name for name in schema.names if name in text]
    columns = tuple(name for name in candidates if not _fits(expression, _without(schema, name)))
    return Filter(columns, expression, partial(_filtered, expression))


def _masked(term: Term, batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(term.mask(batch))


def _has_kernels(term: Term, schema: pa.Schema) -> bool:
    """Whether Arrow has what it takes for these types."""
    import pyarrow as pa

    try:
        term.mask(_empty(schema))
    except pa.ArrowException:
        return False
    return True


def _filtered(expression: pc.Expression, batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(expression)


def _fits(expression: pc.Expression, schema: pa.Schema) -> bool:
    """Whether an expression can be evaluated for these types."""
    import pyarrow as pa

    try:
        _filtered(expression, _empty(schema))
    except pa.ArrowException:
        return False
    return True


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def _without(schema: pa.Schema, name: str) -> pa.Schema:
    return schema.remove(schema.get_field_index(name))


def _known(name: str, names: Iterable[str]) -> str:
    """Return the column that is meant; as in DuckDB the case does not matter where one spelling is there."""
    names = list(names)
    if name in names:
        return name
    folded = [each for each in names if each.casefold() == name.casefold()]
    if len(folded) == 1:
        return folded[0]
    near = nearest(name, names)
    columns = f"the columns are {', '.join(names[:50])}"
    raise ConfigError(
        f"the condition names a column {name!r}, which does not exist",
        hint=f"did you mean {near!r}? {columns}" if near else columns,
    )


def _no_condition(where: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{where!r} is no condition on rows: {reason}",
        hint="write what SQL has behind WHERE: dep_delay > 60 AND origin = 'JFK'",
    )


@cache
def _connect() -> Any:  # noqa: ANN401 -- a connection of DuckDB
    # One for all conditions of the process: to make it takes 25 ms.
    connection = _duckdb().connect(":memory:")
    # A condition looks at its row, and at nothing else of this machine.
    for setting in ("TimeZone = 'UTC'", "threads = 1", "enable_external_access = false"):
        connection.execute(f"SET {setting}")
    return connection


def _duckdb() -> Any:  # noqa: ANN401 -- a module that need not be installed
    try:
        return import_module("duckdb")
    except ImportError:
        raise ConfigError(
            "conditions in SQL need the library duckdb, which is not installed",
            hint="pip install 'haulyard[data]'",
        ) from None
