"""In which line of a TOML file each key stands; `tomllib` reads values and forgets their places."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

#: Where a value is found: names of tables and keys, and indices into arrays.
Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
#: A value that holds no other: strings of four kinds, then what has no quotes (``1979-05-27 07:32`` too).
_SCALAR: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|[^\s,\]}#]+(?:[ ]\d\d:\d\d[^\s,\]}#]*)?",
    re.DOTALL,
)


def locate(text: str) -> dict[Path, int]:
    """Return the line (from 1) of every key, table and element of an array of valid TOML.

    A table that appears several times has the line of its first appearance, each element of an array of
    tables that of its own header.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    """Walks through a document that `tomllib` has accepted; it recognises, it does not check."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [index for index, character in enumerate(text) if character == "\n"]
        #: How many elements each array of tables has so far.
        self._elements: dict[Path, int] = {}
        self.lines: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._next(_BLANK) < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> Path:
        line = self._line()
        self._at += brackets
        *parents, last = self._dotted()
        path: Path = ()
        for name in parents:
            path = self._current((*path, name), line)
        self._next(_SPACE)
        self._at += brackets
        if brackets == 1:
            return self._current((*path, last), line)
        path = (*path, last)
        self.lines.setdefault(path, line)
        number = self._elements.get(path, 0)
        self._elements[path] = number + 1
        self.lines[*path, number] = line
        return (*path, number)

    def _current(self, path: Path, line: int) -> Path:
        """Return what a name in a header means: of an array of tables its last element."""
        self.lines.setdefault(path, line)
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for name in self._dotted():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._next(_SPACE)
        self._at += 1
        self._next(_SPACE)
        self._value(path)

    def _dotted(self) -> list[str]:
        names = []
        while True:
            self._next(_SPACE)
            start = self._at
            raw = self._text[start : self._next(_KEY)]
            names.append(tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            if self._text[self._next(_SPACE)] != ".":
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if opening not in "[{":
            self._next(_SCALAR)
            return
        self._at += 1
        number = 0
        while self._text[self._next(_BLANK)] not in "]}":
            if opening == "{":
                self._pair(path)
            else:
                self.lines[*path, number] = self._line()
                self._value((*path, number))
                number += 1
            if self._text[self._next(_BLANK)] == ",":
                self._at += 1
        self._at += 1

    def _next(self, pattern: re.Pattern[str]) -> int:
        """Go past what ``pattern`` finds here, and return the new position."""
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _line(self) -> int:
        return bisect_right(self._breaks, self._at) + 1
