"""Templates expanded for whole columns of objects: a call for each piece and page, not for each object."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from haulyard.jobs.rules.template import DIR_SLASH, Scope, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from haulyard.jobs.rules.template import Piece
    from haulyard.models import ObjectInfo

    #: Values of a piece, one for each object of a batch, None where it has none.
    Column = Sequence[Any]
    Values = Callable[["Batch"], Column]

#: When an object was changed whose source does not say when.
NEVER: Final = datetime.fromtimestamp(0, UTC)
_NEVER_DAY: Final = NEVER.toordinal()
#: Dates are remembered up to this many; a bucket with more of them is rare, and then they are read again.
_REMEMBERED: Final = 65_536
_DAY_ONLY: Final = frozenset("aAwdbBmyYjUWGuV%")


class Batch:
    """Objects that one rule takes: their keys, what is listed of them, and the matches of the pattern.

    ``matches`` is empty where the pattern has no groups.
    """

    __slots__ = ("infos", "keys", "matches")

    def __init__(self, keys: list[str], infos: Sequence[ObjectInfo], matches: list[re.Match[str]]) -> None:
        self.keys = keys
        self.infos = infos
        self.matches = matches


class Expander:
    """A template made ready for use."""

    __slots__ = ("_columns", "_form", "_rows", "_unsure", "needs_infos", "needs_matches", "template")

    def __init__(self, template: Template, scope: Scope) -> None:
        self.template = template
        form = ""
        columns: list[Values] = []
        unsure: list[bool] = []
        for piece in template.pieces:
            if piece.kind == "text":
                form += piece.text.replace("%", "%%")
            else:
                form += "%s"
                columns.append(_values(piece, scope))
                unsure.append(_is_unsure(piece))
        self._form = form
        self._columns = tuple(columns)
        self._unsure = tuple(unsure)
        self._rows = _rows(template, scope)
        named = {piece.text for piece in template.pieces if piece.kind == "field"}
        self.needs_infos = not named.isdisjoint({"size", "last_modified", "etag"})
        self.needs_matches = any(piece.kind in {"group", "date"} for piece in template.pieces)

    @property
    def may_fail(self) -> bool:
        """Whether some objects may have no such text."""
        return any(self._unsure)

    def expand(self, batch: Batch) -> list[str | None]:
        """Return the text for each object; None where a date cannot be read or a value is not known."""
        write: Callable[[Any], str] = self._form.__mod__
        if self._rows is not None:
            return list(map(write, self._rows(batch)))
        if not self._columns:
            return [self._form % ()] * len(batch.keys)
        columns = [values(batch) for values in self._columns]
        texts: list[str | None] = list(map(write, zip(*columns, strict=True)))
        for column, unsure in zip(columns, self._unsure, strict=True):
            if unsure and None in column:
                texts = [
                    text if value is not None else None for text, value in zip(texts, column, strict=True)
                ]
        return texts

    def missing(self, batch: Batch) -> list[Piece]:
        """Return the pieces that have no value for the first object of a batch."""
        pieces = [piece for piece in self.template.pieces if piece.kind != "text"]
        found = [values(batch)[0] for values in self._columns]
        return [piece for piece, value in zip(pieces, found, strict=True) if value is None]


def _is_unsure(piece: Piece) -> bool:
    return piece.kind == "date" or (piece.kind == "field" and piece.text in {"size", "last_modified", "etag"})


def _rows(template: Template, scope: Scope) -> Callable[[Batch], Any] | None:
    """Return a shortcut for templates of plain groups: matches make the rows themselves."""
    fields = [piece for piece in template.pieces if piece.kind != "text"]
    if not fields or any(piece.kind != "group" or piece.spec for piece in fields):
        return None
    numbers = [scope.groups[piece.text] for piece in fields]
    get: Any = itemgetter(*numbers)
    return lambda batch: map(get, batch.matches)


def _values(piece: Piece, scope: Scope) -> Values:
    kind, name, spec = piece
    if kind == "date":
        declared = scope.dates[name]
        return _dates(scope.groups[declared.group], Dates(declared.format, spec))
    if kind == "field" and name == "last_modified":
        return _modified(spec)
    values = _group(scope.groups[name]) if kind == "group" else _FIELDS[name]
    if not spec:
        return values
    if name == "size" and kind == "field":
        return lambda batch: [None if size is None else format(size, spec) for size in values(batch)]
    return lambda batch: [None if text is None else format(text, spec) for text in values(batch)]


def _group(number: int) -> Values:
    get: Any = itemgetter(number)
    return lambda batch: list(map(get, batch.matches))


def _dates(number: int, dates: Dates) -> Values:
    get: Any = itemgetter(number)
    return lambda batch: list(map(dates.__getitem__, map(get, batch.matches)))


class Dates(dict[str, "str | None"]):
    """Texts in one format of dates, and the same dates in another; None for what is no date.

    It fills itself, and starts over when it is full.
    """

    def __init__(self, read: str, write: str) -> None:
        super().__init__()
        self._read = read
        self._write = write

    def __missing__(self, text: str) -> str | None:
        if len(self) >= _REMEMBERED:
            self.clear()
        try:
            moment = datetime.strptime(text, self._read)  # noqa: DTZ007 -- a date without a zone is written as it stands
        except (ValueError, OverflowError):
            written = None
        else:
            written = write_date(moment, self._write)
        self[text] = written
        return written


class _Days(dict[int, str]):
    """Days by number, written by one format."""

    def __init__(self, spec: str) -> None:
        super().__init__()
        self._spec = spec

    def __missing__(self, day: int) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        written = self[day] = write_date(datetime.fromordinal(day), self._spec)
        return written


def write_date(moment: datetime, spec: str) -> str:
    """Return a moment as strftime writes it, with four digits for every year."""
    # Some C libraries write the year 33 as "33".
    year = f"{moment.year:04d}"
    return moment.strftime(re.sub("%(.)", lambda found: year if found[1] == "Y" else found[0], spec))


def _modified(spec: str) -> Values:
    if not set(re.findall("%(.)", spec)) <= _DAY_ONLY:
        return lambda batch: [_write_known(info.last_modified, spec) for info in batch.infos]
    days = _Days(spec)

    def values(batch: Batch) -> Column:
        numbers = [info[2].toordinal() for info in batch.infos]
        if _NEVER_DAY in numbers:
            return [_write_known(info.last_modified, spec) for info in batch.infos]
        return list(map(days.__getitem__, numbers))

    return values


def _write_known(moment: datetime, spec: str) -> str | None:
    return None if moment == NEVER else write_date(moment, spec)


def split_name(name: str) -> tuple[str, str]:
    """Return a name without its extension, and the extension with its dot: ``a.tar`` and ``.gz``.

    A name that begins with its only dot has no extension.
    """
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if name[:dot].strip(".") and dot > 0 else (name, "")


def _names(batch: Batch) -> list[str]:
    return [key.rpartition("/")[2] for key in batch.keys]


def _sizes(batch: Batch) -> Column:
    sizes = [info[1] for info in batch.infos]
    return sizes if min(sizes, default=0) >= 0 else [None if size < 0 else size for size in sizes]


_FIELDS: Final[dict[str, Values]] = {
    "key": lambda batch: batch.keys,
    "name": _names,
    "stem": lambda batch: [split_name(name)[0] for name in _names(batch)],
    "ext": lambda batch: [split_name(name)[1][1:] for name in _names(batch)],
    "suffix": lambda batch: [split_name(name)[1] for name in _names(batch)],
    "dir": lambda batch: [key.rpartition("/")[0] for key in batch.keys],
    DIR_SLASH: lambda batch: [key[: key.rfind("/") + 1] for key in batch.keys],
    "size": _sizes,
    "etag": lambda batch: [info.etag or None for info in batch.infos],
}


def unknown(piece: Piece, batch: Batch, scope: Scope) -> str:
    """Say why a piece has no value for the one object of a batch."""
    if piece.kind == "date":
        group, form = scope.dates[piece.text]
        text = batch.matches[0][scope.groups[group]]
        return f"{{{piece.text}}}: {text!r} is no date of the form {form}"
    return f"{{{piece.text}}}: the source does not say it"
