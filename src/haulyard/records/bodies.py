"""What a call carries: one record or several, as JSON, as a form, or in a template. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

from haulyard.errors import ConfigError, RecordError
from haulyard.records import values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: Makes the body of some records, each one JSON value.
    Encode = Callable[[Sequence[bytes]], bytes]

Shape = Literal["json", "array", "form", "template"]
SHAPES: Final = ("json", "array", "form", "template")

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_PLACE: Final = re.compile(r"\{\{\s*(\*|[^{}]+?)\s*\}\}")


def encoder(
    shape: Shape, template: str, records_per_call: int
) -> tuple[Callable[[Sequence[bytes]], bytes], str]:
    """Return what makes bodies of records, and their media type.

    ``json`` is the record itself, and an array where a call carries several; ``array`` is always an array;
    ``form`` has the fields of the record; a ``template`` has ``{{field}}`` for the JSON of a field and
    ``{{*}}`` for the record, or for the array of them where a call carries several.

    Raises:
        ConfigError: Several records in a form, or in a template that names a field.
    """
    if shape == "template":
        return _templated(template, several=records_per_call > 1), _JSON
    if shape == "form":
        if records_per_call > 1:
            raise ConfigError("a form holds one record", hint="leave --records-per-call out, or send JSON")
        return _form, _FORM
    if shape == "array" or records_per_call > 1:
        return _array, _JSON
    return _single, _JSON


def _single(records: Sequence[bytes]) -> bytes:
    return records[0]


def _array(records: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _form(records: Sequence[bytes]) -> bytes:
    record = values.loads(records[0])
    if not isinstance(record, dict):
        raise RecordError("a form is made of a record with fields", hint="send it as JSON")
    pairs = [(name, "" if value is None else _plain(value)) for name, value in record.items()]
    return urlencode(pairs).encode()


def _plain(value: object) -> str:
    return value if isinstance(value, str) else values.dumps(value).decode()


def _templated(template: str, *, several: bool) -> Encode:
    pieces = _PLACE.split(template)
    names = pieces[1::2]
    if not names:
        raise ConfigError(
            "the template has no place for the record",
            hint="write {{field}} for a field, {{*}} for all of it",
        )
    if several and set(names) != {"*"}:
        raise ConfigError(
            f"a template for several records cannot name the field {next(n for n in names if n != '*')!r}",
            hint="write {{*}} for the array of records",
        )
    texts = [piece.encode() for piece in pieces]

    def encode(records: Sequence[bytes]) -> bytes:
        whole = _array(records) if several else records[0]
        fields: Any = None if set(names) == {"*"} else values.loads(whole)
        made = list(texts)
        for at, name in enumerate(names):
            made[2 * at + 1] = whole if name == "*" else _field(fields, name)
        return b"".join(made)

    return encode


def _field(record: object, name: str) -> bytes:
    if not isinstance(record, dict) or name not in record:
        raise RecordError(f"the record has no field {name!r}, which the template wants")
    return values.dumps(record[name])
