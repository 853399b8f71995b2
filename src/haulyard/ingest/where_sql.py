"""From a condition as DuckDB understands it to an expression of Arrow that means the same; pure.

Only what surely means the same is translated. NaN is DuckDB's: equal to itself and above all numbers. A
comparison of an integer with a fraction is made one of integers, so that nothing is rounded.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    import pyarrow.compute as pc

_FLIPPED: Final = {
    "COMPARE_EQUAL": "COMPARE_EQUAL",
    "COMPARE_NOTEQUAL": "COMPARE_NOTEQUAL",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}
_FUNCTIONS: Final = {
    "COMPARE_EQUAL": "equal",
    "COMPARE_NOTEQUAL": "not_equal",
    "COMPARE_LESSTHAN": "less",
    "COMPARE_GREATERTHAN": "greater",
    "COMPARE_LESSTHANOREQUALTO": "less_equal",
    "COMPARE_GREATERTHANOREQUALTO": "greater_equal",
}
_ABOVE: Final = frozenset(("COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO"))
_CONVERTED: Final = frozenset(("DATE", "TIMESTAMP"))
#: What looks at more than its own row, by the classes of DuckDB's tree.
_FORBIDDEN: Final = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window",
    "STAR": "a star",
    "PARAMETER": "a parameter",
    "LAMBDA_REF": "a lambda",
}


class _UntranslatableError(Exception):
    """Arrow has nothing that surely means the same."""


def column_refs(tree: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- a tree of DuckDB
    """Yield all nodes that name a column."""
    if isinstance(tree, dict):
        if tree.get("class") == "COLUMN_REF":
            yield tree
        for each in tree.values():
            yield from column_refs(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from column_refs(each)


def conjuncts(tree: Any) -> Iterator[Any]:  # noqa: ANN401 -- trees of DuckDB
    """Yield what a condition consists of that all has to be true."""
    if tree["type"] == "CONJUNCTION_AND":
        for each in tree["children"]:
            yield from conjuncts(each)
    else:
        yield tree


def forbidden(tree: Any) -> str:  # noqa: ANN401 -- a tree of DuckDB
    """Return what of the tree is no part of a condition on one row, ``""`` where all is."""
    children: Any = ()
    if isinstance(tree, dict):
        if told := _FORBIDDEN.get(str(tree.get("class", ""))):
            return told
        children = tree.values()
    elif isinstance(tree, list):
        children = tree
    return next((told for each in children if (told := forbidden(each))), "")


def translated(tree: Any, schema: pa.Schema, known: Callable[[str], str]) -> Term | None:  # noqa: ANN401 -- a tree of DuckDB
    """Return the condition for Arrow, None where it cannot say the same; ``known`` finds a column's name."""
    try:
        return _Translation(schema, known).condition(tree)
    except _UntranslatableError:
        return None


class Term(NamedTuple):
    """A condition, or a part of one: as Arrow plans with it, and evaluated for a batch at once.

    To have Arrow evaluate ``expression`` takes a plan, and 1 ms for each batch.
    """

    expression: pc.Expression
    mask: Callable[[pa.RecordBatch], pa.Array]


class _Translation:
    """Translates one condition for rows of one schema."""

    def __init__(self, schema: pa.Schema, known: Callable[[str], str]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        self._pa = pa
        self._pc = pc
        self._schema = schema
        self._known = known

    def condition(self, node: dict[str, Any]) -> Term:
        """Translate what is true, false or null."""
        kind = node["type"]
        if kind in _FLIPPED:
            return self._comparison(kind, node["left"], node["right"])
        if kind == "FUNCTION" and node["function_name"] in {"~~", "!~~"}:
            return self._like(node)
        translate = {
            "CONJUNCTION_AND": self._conjunction,
            "CONJUNCTION_OR": self._conjunction,
            "OPERATOR_NOT": lambda node: self._not(self.condition(node["children"][0])),
            "OPERATOR_IS_NULL": lambda node: self._of_column(self._pc.is_null, node),
            "OPERATOR_IS_NOT_NULL": lambda node: self._of_column(self._pc.is_valid, node),
            "COMPARE_BETWEEN": self._between,
            "COMPARE_IN": self._in,
            "COLUMN_REF": self._truth,
        }.get(kind)
        if translate is None:
            raise _UntranslatableError
        return translate(node)

    def _not(self, term: Term) -> Term:
        invert = self._pc.invert
        return Term(~term.expression, lambda batch: invert(term.mask(batch)))

    def _of_column(self, function: Callable[[Any], Any], node: dict[str, Any]) -> Term:
        column = self._column(node["children"][0])[0]
        return Term(function(column.expression), lambda batch: function(column.mask(batch)))

    def _conjunction(self, node: dict[str, Any]) -> Term:
        parts = [self.condition(each) for each in node["children"]]
        return self._all(parts, any_of=node["type"] == "CONJUNCTION_OR")

    def _between(self, node: dict[str, Any]) -> Term:
        lower = self._comparison("COMPARE_GREATERTHANOREQUALTO", node["input"], node["lower"])
        upper = self._comparison("COMPARE_LESSTHANOREQUALTO", node["input"], node["upper"])
        return self._both(lower, upper, any_of=False)

    def _in(self, node: dict[str, Any]) -> Term:
        column, *others = node["children"]
        return self._all([self._comparison("COMPARE_EQUAL", column, each) for each in others], any_of=True)

    def _truth(self, node: dict[str, Any]) -> Term:
        column, of = self._column(node)
        if not self._pa.types.is_boolean(of):
            raise _UntranslatableError
        return column

    def _all(self, parts: list[Term], *, any_of: bool) -> Term:
        # As a balanced tree: a long list of values would otherwise be as deep as it is long.
        while len(parts) > 1:
            pairs = [parts[at : at + 2] for at in range(0, len(parts), 2)]
            parts = [pair[0] if len(pair) == 1 else self._both(*pair, any_of=any_of) for pair in pairs]
        return parts[0]

    def _both(self, one: Term, other: Term, *, any_of: bool) -> Term:
        combine = self._pc.or_kleene if any_of else self._pc.and_kleene
        expression = one.expression | other.expression if any_of else one.expression & other.expression
        return Term(expression, lambda batch: combine(one.mask(batch), other.mask(batch)))

    def _column(self, node: dict[str, Any]) -> tuple[Term, pa.DataType]:
        if node["type"] != "COLUMN_REF" or len(node["column_names"]) != 1:
            raise _UntranslatableError
        name = self._known(node["column_names"][0])
        term = Term(self._pc.field(name), lambda batch: batch.column(batch.schema.get_field_index(name)))
        return term, self._schema.field(name).type

    def _comparison(self, kind: str, left: dict[str, Any], right: dict[str, Any]) -> Term:
        if left["type"] != "COLUMN_REF":
            left, right, kind = right, left, _FLIPPED[kind]
        column, of = self._column(left)
        if self._pa.types.is_integer(of):
            kind, value = _of_integers(kind, _number(right))
        else:
            value = self._value(of, right)
        from haulyard.ingest.literals import scalar  # which needs pyarrow

        try:
            constant = scalar(value, of)
        except (self._pa.ArrowException, ValueError, OverflowError):
            raise _UntranslatableError from None
        compare = getattr(self._pc, _FUNCTIONS[kind])
        expression = compare(column.expression, constant)
        compared = Term(expression, lambda batch: compare(column.mask(batch), constant))
        if not (self._pa.types.is_float64(of) and kind in _ABOVE):
            return compared
        is_nan = self._pc.is_nan
        nan = Term(is_nan(column.expression), lambda batch: is_nan(column.mask(batch)))
        return self._both(compared, nan, any_of=True)

    def _value(self, of: pa.DataType, node: dict[str, Any]) -> Any:  # noqa: ANN401 -- of many types
        """Return what a literal means that is compared with a column of type ``of``."""
        types, text = self._pa.types, _text_of(node)
        value: Any = None
        if types.is_float64(of):
            value = float(_number(node))
        elif types.is_string(of) or types.is_large_string(of):
            value = text if _is_plain(node, "STRING") else None
        elif types.is_boolean(of):
            value = text == "true" if _is_plain(node, "BOOLEAN") else None
        elif types.is_date32(of):
            value = _moment(node, text)
            value = value if type(value) is date else None
        elif types.is_timestamp(of) and of.tz in {None, "UTC"}:
            value = _instant(_moment(node, text), zoned=of.tz is not None)
        if value is None:
            raise _UntranslatableError
        return value

    def _like(self, node: dict[str, Any]) -> Term:
        subject, pattern = (each["expression"] for each in node["arguments"])
        column, of = self._column(subject)
        text = _text_of(pattern)
        is_text = self._pa.types.is_string(of) or self._pa.types.is_large_string(of)
        # A backslash is itself in DuckDB, and escapes in Arrow.
        if not is_text or not _is_plain(pattern, "STRING") or "\\" in text:
            raise _UntranslatableError
        match = self._pc.match_like
        like = Term(match(column.expression, text), lambda batch: match(column.mask(batch), text))
        return like if node["function_name"] == "~~" else self._not(like)


def _of_integers(kind: str, value: Decimal) -> tuple[str, int]:
    """Return a comparison with a number as one with an integer."""
    if value == value.to_integral_value():
        return kind, int(value)
    if kind in {"COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO"}:
        return "COMPARE_GREATERTHAN", math.floor(value)
    if kind in {"COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO"}:
        return "COMPARE_LESSTHAN", math.ceil(value)
    raise _UntranslatableError


def _number(node: dict[str, Any]) -> Decimal:
    literal = node.get("literal", {})
    text = str(literal.get("text", ""))
    # With an exponent it is a DOUBLE in DuckDB, not an exact number.
    if literal.get("kind") not in {"INTEGER", "NUMERIC"} or "e" in text.lower():
        raise _UntranslatableError
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _UntranslatableError from None


def _is_plain(node: dict[str, Any], kind: str) -> bool:
    return bool(node.get("literal", {}).get("kind") == kind)


def _text_of(node: dict[str, Any]) -> str:
    return str(node.get("literal", {}).get("text", ""))


def _moment(node: dict[str, Any], text: str) -> date | datetime | None:
    """Return the date or time that a literal means, with or without its type before it."""
    if node["type"] == "OPERATOR_CAST":
        if node["type_expr"]["type_name"] not in _CONVERTED or not _is_plain(node["child"], "STRING"):
            return None
        text = _text_of(node["child"])
        moment = _iso(text)
        if node["type_expr"]["type_name"] == "TIMESTAMP" and type(moment) is date:
            return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 -- without a zone, as in SQL
        return moment if (node["type_expr"]["type_name"] == "DATE") == (type(moment) is date) else None
    return _iso(text) if _is_plain(node, "STRING") else None


def _iso(text: str) -> date | datetime | None:
    try:
        if len(text) == len("2026-01-01"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is None and len(text) >= len("2026-01-01 10:00") else None


def _instant(moment: date | datetime | None, *, zoned: bool) -> datetime | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 -- without a zone, as in SQL
    return moment.replace(tzinfo=UTC) if zoned else moment
