"""Fields of text into JSON objects, thousands at a time.

A template that is repeated once a row and filled in one step: 0.3 s for flights.csv (336,776 rows of 19
fields), where csv.DictReader and json take 2.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Value = TypeVar("Value", str, bytes)

CONTROLS: Final = bytes(range(32))
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final = {"": "null", "true": "true", "false": "false"}
#: Values whose type is remembered; columns repeat themselves.
_REMEMBERED: Final = 100_000


class Renderer:
    """Makes JSON objects with the keys ``columns``.

    ``infer`` makes numbers, booleans and null of values that are written as JSON writes them (``007`` stays a
    string), and null of empty ones. Otherwise all values are strings.
    """

    def __init__(self, columns: Sequence[str], *, infer: bool = False) -> None:
        value = "%s" if infer else '"%s"'
        keys = [orjson.dumps(column).decode().replace("%", "%%") for column in columns]
        self._template = "{" + ",".join(f"{key}:{value}" for key in keys) + "}\n"
        self._template_bytes = self._template.encode()
        empty = (self._template % (("",) * len(keys))).encode()
        self._quotes = empty.count(b'"')
        self._backslashes = empty.count(b"\\")
        self._types = _Types() if infer else None

    def plain(self, fields: list[bytes], rows: int) -> list[bytes]:
        """Return the rows of fields in which nothing has to be escaped, in UTF-8."""
        if self._types is not None:
            return self.text([field.decode() for field in fields], rows)
        return _split((self._template_bytes * rows) % tuple(fields))

    def text(self, fields: list[str], rows: int) -> list[bytes]:
        """Return the rows of fields of any text."""
        if self._types is not None:
            return _split(self._fill(self._types.tokens(fields), rows))
        filled = self._fill(fields, rows)
        if self._is_escaped(filled, rows):
            return _split(filled)
        return _split(self._fill(_escaped(fields), rows))

    def _fill(self, fields: list[str], rows: int) -> bytes:
        return ((self._template * rows) % tuple(fields)).encode()

    def _is_escaped(self, filled: bytes, rows: int) -> bool:
        """Whether no field brought a character of its own that JSON must not have in a string."""
        return (
            filled.count(b'"') == rows * self._quotes
            and filled.count(b"\\") == rows * self._backslashes
            and len(filled) - len(filled.translate(None, CONTROLS)) == rows
        )


class _Types(dict[str, str]):
    """The JSON of values whose types are inferred."""

    def __missing__(self, value: str) -> str:
        token = _WORDS.get(value)
        if token is None:
            token = value if _NUMBER.fullmatch(value) else orjson.dumps(value).decode()
        self[value] = token
        return token

    def tokens(self, fields: Iterable[str]) -> list[str]:
        if len(self) > _REMEMBERED:
            self.clear()
        return list(map(self.__getitem__, fields))


def _split(filled: bytes) -> list[bytes]:
    rows = filled.split(b"\n")
    rows.pop()
    return rows


def _escaped(fields: list[str]) -> list[str]:
    """Escape all fields in one go: joined by a character that none of them has."""
    text = "".join(fields)
    separator = next((each for each in "\x1f\x1e\x1d\x1c\x1b" if each not in text), "")
    if not separator:
        return [orjson.dumps(field).decode()[1:-1] for field in fields]
    text = separator.join(fields).replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    if _CONTROL.search(text.replace(separator, "")):
        text = _CONTROL.sub(
            lambda found: found[0] if found[0] == separator else f"\\u{ord(found[0]):04x}", text
        )
    return text.split(separator)
