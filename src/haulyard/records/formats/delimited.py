"""CSV and its relatives: fields between delimiters, quoted as the csv module understands it.

Most blocks have no quotes at all and take a path of a few operations on the whole block; the rest goes
through csv.reader. A record that is flawed sends its piece of the block through record by record.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import ConfigError, RecordError
from haulyard.records.formats.cutting import MAX_RECORD, LineEnds, QuotedEnds, Start
from haulyard.records.formats.parser import Rows
from haulyard.records.formats.rendering import CONTROLS, Renderer
from haulyard.records.model import KEPT_RECORD, Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.records.formats.cutting import Ends, Text
    from haulyard.records.formats.encoding import Charset

_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
#: What may stand for a carriage return while csv.reader, which would end the record there, is at work.
_PRIVATE_USE: Final = range(0xF0000, 0xFFFFE)
#: The csv module's own limit for a field (131,072) holds for the process; it is raised, never lowered.
_FIELD_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart; ``""`` for ``quote`` and ``escape`` means that there is none.

    Raises:
        ConfigError: One of them is not a single ASCII character, or two are the same.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("delimiter", self.delimiter, 1),
            ("quote", self.quote, 0),
            ("escape", self.escape, 0),
        ):
            if not least <= len(value) <= 1 or not value.isascii() or value in {"\r", "\n", "\0"}:
                raise ConfigError(
                    f"{value!r} cannot be the {name} of CSV",
                    hint="it is a single ASCII character, such as , ; | or a tab",
                )
        used = [each for each in (self.delimiter, self.quote, self.escape) if each]
        if len(set(used)) < len(used):
            raise ConfigError(
                f"delimiter {self.delimiter!r}, quote {self.quote!r} and escape {self.escape!r} "
                "have to be different characters"
            )

    @property
    def specials(self) -> bytes:
        """The characters that have a meaning of their own."""
        return f"{self.delimiter}{self.quote}{self.escape}\n\r".encode()

    def ends(self) -> Ends:
        """Return what finds the ends of records."""
        if not self.quote and not self.escape:
            return LineEnds()
        return QuotedEnds(self.delimiter.encode(), self.quote.encode(), self.escape.encode())

    def records(self, text: str) -> Iterator[list[str]]:
        """Yield the fields of each record; those of an empty line are ``[]``.

        A carriage return is a character like any other, unless a line feed follows.
        """
        csv.field_size_limit(_FIELD_LIMIT)
        stand_in = ""
        if _LONE_RETURN.search(text):
            stand_in = next(each for each in map(chr, _PRIVATE_USE) if each not in text)
            text = _LONE_RETURN.sub(stand_in, text)
        reader = csv.reader(
            io.StringIO(text, newline="\n"),
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            escapechar=self.escape or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
        )
        if not stand_in:
            return reader
        return ([field.replace(stand_in, "\r") for field in fields] for fields in reader)


class Header(NamedTuple):
    """The names of the columns, and where the records begin."""

    columns: tuple[str, ...]
    start: Start


def find_header(
    data: bytes, dialect: Dialect, charset: Charset, *, start: Start, ended: bool, name: str
) -> Header | None:
    """Read the header at the beginning of an object; None where more of it is needed.

    ``data`` is the object from offset 0, ``start`` where its text begins, behind a byte order mark. An object
    without any record has no columns.

    Raises:
        RecordError: It is not valid text, not a header at all, columns have the same name, or lines end in
            carriage returns alone.
    """
    ends = dialect.ends()
    at = start.offset
    while True:
        end = ends.next(data, at, len(data))
        if end < 0:
            if len(data) - at > MAX_RECORD or (ended and ends.opening(data, at, len(data)) >= 0):
                raise RecordError(
                    f"{name}: the first record does not end, so it cannot be the header",
                    hint="--columns if there is no header, --quote '' if quotes mean nothing",
                )
            if not ended:
                return None
            end = len(data)
        if data[at:end].strip(b"\r\n") or at == len(data):
            break
        at = end
    line = start.line + data.count(b"\n", start.offset, end)
    columns = _names(data[at:end], dialect, charset, name)
    return Header(columns, Start(end, line))


def doubled(columns: Sequence[str]) -> str:
    """Return the names that several columns have, for people; ``""`` where there are none."""
    return ", ".join(repr(column) for column, count in Counter(columns).items() if count > 1)


def check_columns(columns: Sequence[str], name: str) -> None:
    """Raise RecordError where columns of the object ``name`` have the same name."""
    if double := doubled(columns):
        raise RecordError(
            f"{name} has several columns named {double}",
            hint="--columns gives each a name of its own; what was the header is then a record",
        )


def _names(record: bytes, dialect: Dialect, charset: Charset, name: str) -> tuple[str, ...]:
    try:
        text = charset.utf8(record).decode()
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{name}: the header is {charset.complaint(error)}", hint="--encoding names another one"
        ) from None
    columns = next((tuple(fields) for fields in dialect.records(text) if fields), ())
    if any(_LONE_RETURN.search(column) for column in columns):
        raise RecordError(
            f"{name}: lines end in carriage returns alone, which is not read as CSV",
            hint="translate them to line feeds (tr '\\r' '\\n')",
        )
    check_columns(columns, name)
    return columns


class DelimitedRows:
    """Makes rows of delimited text."""

    def __init__(
        self, dialect: Dialect, charset: Charset, columns: Sequence[str], *, infer: bool = False
    ) -> None:
        self._dialect = dialect
        self._charset = charset
        self._width = len(columns)
        self._renderer = Renderer(columns, infer=infer)
        self._ends = dialect.ends()
        self._delimiter = dialect.delimiter.encode()
        harmless = b"\r\n" + self._delimiter
        meaning = CONTROLS + b'"\\' + (dialect.quote + dialect.escape).encode()
        #: With none of these, a line feed ends a record, a delimiter a field, and JSON needs no escapes.
        self._meaning = bytes(byte for byte in meaning if byte not in harmless)

    def __call__(self, text: Text) -> Rows:
        """Make rows of whole records; those that are flawed are passed over, and say why."""
        try:
            data = self._charset.utf8(text.data)
        except UnicodeDecodeError:
            return self._each(text)
        rows = self._plain(data)
        if rows is None:
            rows = self._quoted(data.decode())
        return self._each(text) if rows is None else Rows(rows, {})

    def _plain(self, data: bytes) -> list[bytes] | None:
        """Return the rows of text in which nothing is quoted; None where that, or a number, is wrong."""
        if len(data.translate(None, self._meaning)) != len(data):
            return None
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
            if b"\r" in data:
                return None
        data = data.removesuffix(b"\n")
        lines = data.split(b"\n")
        if not all(lines):
            lines = [line for line in lines if line]
            data = b"\n".join(lines)
        delimiter = self._delimiter
        if {line.count(delimiter) for line in lines} != {self._width - 1}:
            return None if lines else []
        return self._renderer.plain(data.replace(b"\n", delimiter).split(delimiter), len(lines))

    def _quoted(self, text: str) -> list[bytes] | None:
        """Return the rows of any text; None where not all have the right number of fields."""
        flat: list[str] = []
        widths: list[int] = []
        try:
            for fields in self._dialect.records(text):
                flat += fields
                widths.append(len(fields))
        except csv.Error:
            return None
        if not set(widths) <= {0, self._width}:
            return None
        return self._renderer.text(flat, len(widths) - widths.count(0))

    def _each(self, text: Text) -> Rows:
        """Make rows one at a time, and say of each that cannot be one why."""
        rows: list[bytes] = []
        flaws: dict[int, Flaw] = {}
        at, line = 0, text.line
        while at < len(text.data):
            end = self._ends.next(text.data, at, len(text.data))
            record = text.data[at : end if end > 0 else None]
            if record.strip(b"\r\n"):
                row, reason = self._one(record)
                if reason:
                    flaws[len(rows)] = Flaw(line, text.offset + at, reason, record[:KEPT_RECORD])
                rows.append(row)
            at += len(record)
            line += record.count(b"\n")
        return Rows(rows, flaws)

    def _one(self, record: bytes) -> tuple[bytes, str]:
        try:
            text = self._charset.utf8(record).decode()
            fields = next(iter(self._dialect.records(text)))
        except UnicodeDecodeError as error:
            return b"", self._charset.complaint(error)
        except csv.Error as error:
            return b"", str(error)
        if len(fields) != self._width:
            return b"", f"{len(fields)} field{'s' if len(fields) > 1 else ''} instead of {self._width}"
        return self._renderer.text(fields, 1)[0], ""
