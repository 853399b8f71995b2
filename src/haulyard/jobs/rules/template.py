"""Templates: texts with ``{fields}``, parsed and judged before there is any key to expand them for."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.config.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What every object has; `SUFFIX` is ``ext`` with its dot, or nothing.
FIELDS: Final = ("key", "name", "stem", "ext", "suffix", "dir", "size", "last_modified", "etag")
#: The directory with its slash, or nothing: what ``{dir}/`` means.
DIR_SLASH: Final = "dir/"
#: Directives of strftime that mean the same everywhere and make no ``/`` or spaces of their own.
DIRECTIVES: Final = frozenset("aAwdbBmyYHIpMSfjUWGuV%")

_NAME: Final = re.compile(r"[^\W\d]\w*")
#: A zero in front of the width would fill up texts on their right, which nobody means: an arrow is needed.
_TEXT_SPEC: Final = re.compile(r"(?:[^{}]?[<>^]0?)?(?:[1-9][0-9]{0,2})?(?:\.[0-9]{1,3})?s?")
_NUMBER_SPEC: Final = re.compile(r"(?:[^{}]?[<>=^])?0?[0-9]{0,3}[,_]?d?")
_DIRECTIVE: Final = re.compile(r"%(.?)", re.DOTALL)
#: A day with which formats are tried.
_SAMPLE: Final = datetime(2024, 2, 29, 13, 59, 58)  # noqa: DTZ001 -- it is only written and read again


class Piece(NamedTuple):
    """A piece of a template: fixed ``text``, or what ``kind`` and ``name`` name, written as ``spec`` says.

    ``kind`` is ``text``, ``group``, ``field`` or ``date`` (a declared one; ``last_modified`` is a field).
    """

    kind: str
    text: str
    spec: str = ""


class Declared(NamedTuple):
    """A date that a rule declares: the group it is read from, and the format that it has there."""

    group: str
    format: str


class Scope(NamedTuple):
    """What a template may name: the groups of the pattern with their numbers, and the declared dates.

    ``optional`` are groups that take no part in some matches.
    """

    groups: Mapping[str, int] = {}
    optional: frozenset[str] = frozenset()
    dates: Mapping[str, Declared] = {}

    def names(self) -> list[str]:
        """Return all names."""
        return [*self.groups, *self.dates, *FIELDS]


class Template(NamedTuple):
    """A parsed template."""

    source: str
    pieces: tuple[Piece, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same for every object."""
        return all(piece.kind == "text" for piece in self.pieces)

    @property
    def beginning(self) -> str:
        """The text that everything it makes begins with."""
        return self.pieces[0].text if self.pieces and self.pieces[0].kind == "text" else ""

    def outline(self, stand_in: str) -> str:
        """Return it with ``stand_in`` for every field (and the slash that belongs to it)."""
        return "".join(
            piece.text if piece.kind == "text" else stand_in + "/" * (piece.text == DIR_SLASH)
            for piece in self.pieces
        )


def parse_template(source: str, scope: Scope) -> tuple[Template, list[str]]:
    """Return a template, and everything that is wrong with it."""
    pieces: list[Piece] = []
    problems: list[str] = []
    text = ""
    for literal, field in _split(source):
        text += literal
        if field is None:
            continue
        if field in "{}" and field:
            problems.append(_unbalanced(field))
            continue
        name, _, spec = field.partition(":")
        piece = _field(name, spec, scope, problems)
        if piece is not None:
            if text:
                pieces.append(Piece("text", text))
                text = ""
            pieces.append(piece)
    if text:
        pieces.append(Piece("text", text))
    return Template(source, tuple(_with_slashes(pieces))), problems


def _unbalanced(brace: str) -> str:
    side = "is not closed" if brace == "{" else "closes nothing"
    return f"a {brace} {side}; write {brace * 2} for the brace itself"


def _split(source: str) -> Iterator[tuple[str, str | None]]:
    """Yield texts, each with the field after it; a lone brace comes as a field of that name."""
    at = 0
    text = ""
    while at < len(source):
        character = source[at]
        if character not in "{}":
            text += character
            at += 1
        elif source[at + 1 : at + 2] == character:
            text += character
            at += 2
        elif character == "}":
            yield text, "}"
            text = ""
            at += 1
        else:
            end = source.find("}", at)
            if end < 0 or "{" in source[at + 1 : end]:
                yield text, "{"
                at += 1
            else:
                yield text, source[at + 1 : end]
                at = end + 1
            text = ""
    yield text, None


def _field(name: str, spec: str, scope: Scope, problems: list[str]) -> Piece | None:
    shown = "{" + name + (f":{spec}" if spec else "") + "}"
    if not name:
        problems.append("{} names nothing; write {key}, or {{}} for the braces themselves")
    elif name.isdecimal():
        problems.append(f"{shown}: groups go by name: write (?P<part>…) in the pattern and {{part}} here")
    elif not _NAME.fullmatch(name):
        plain = re.split(r"[^\w]", name, maxsplit=1)[0]
        hint = f"; write {{{plain}}}" if plain in scope.names() else ""
        problems.append(
            f"{shown} is no field: a name, with a format after a colon, is all there may be{hint}"
        )
    else:
        return _named(name, spec, scope, shown, problems)
    return None


def _named(name: str, spec: str, scope: Scope, shown: str, problems: list[str]) -> Piece | None:
    problem = ""
    kind = "field"
    if name in scope.dates and ("%" in spec or name not in scope.groups):
        kind = "date"
        problem = _flaw_of_date(shown, name, spec)
    elif name in scope.groups:
        kind = "group"
        if name in scope.optional:
            problem = (
                f"group {{{name}}} takes no part in some matches; make two rules of it, or let the group"
                f" itself be empty: (?P<{name}>…|)"
            )
        elif "%" in spec and not _TEXT_SPEC.fullmatch(spec):
            problem = f'{shown}: {name} is a text, no date; declare it: dates = {{ {name} = "%Y%m%d" }}'
        else:
            problem = _flaw_of_text(shown, spec)
    elif name == "last_modified":
        problem = _flaw_of_date(shown, name, spec)
    elif name == "size":
        problem = (
            "" if _fits(_NUMBER_SPEC, spec, 1) else f"{shown}: {spec!r} is no format for a number, as 012d is"
        )
    elif name in FIELDS:
        problem = _flaw_of_text(shown, spec)
    else:
        near = nearest(name, scope.names())
        problem = f"unknown group or field {{{name}}}" + (f", did you mean {{{near}}}?" if near else "")
        if not near:
            problem += "; there are " + ", ".join(scope.names())
    if problem:
        problems.append(problem)
        return None
    return Piece(kind, name, spec)


def _flaw_of_text(shown: str, spec: str) -> str:
    if "%" in spec and not _TEXT_SPEC.fullmatch(spec):
        return f"{shown}: only dates can be written with %: last_modified, or one declared in dates"
    return "" if _fits(_TEXT_SPEC, spec, "x") else f"{shown}: {spec!r} is no format for a text, as 0>8 is"


def _flaw_of_date(shown: str, name: str, spec: str) -> str:
    if "%" not in spec:
        return f"{shown}: a date needs a format: {{{name}:%Y/%m/%d}}"
    return "" if not (unknown := unknown_directive(spec)) else f"{shown}: %{unknown} means nothing in a date"


def _fits(pattern: re.Pattern[str], spec: str, sample: object) -> bool:
    if not pattern.fullmatch(spec):
        return False
    try:
        format(sample, spec)
    except ValueError:
        return False
    return True


def unknown_directive(spec: str) -> str | None:
    """Return the first directive of a format of dates that means nothing, None where all do."""
    for found in _DIRECTIVE.finditer(spec):
        # finditer goes past both characters, so that %%d is an escaped % and a d.
        if found[1] not in DIRECTIVES or not found[1]:
            return found[1]
    return None


def flaw_of_format(spec: str) -> str:
    """Say why dates cannot be read by this format; ``""`` if they can."""
    if (unknown := unknown_directive(spec.replace("%z", ""))) is not None:
        return f"%{unknown} means nothing in a date"
    if not re.search(r"(?<!%)(?:%%)*%[YyG]", spec):
        return "it has no year (%Y)"
    try:
        datetime.strptime(_SAMPLE.strftime(spec.replace("%z", "")), spec.replace("%z", ""))  # noqa: DTZ007 -- only tried
    except (ValueError, re.error) as error:
        return f"no date can be read by it ({error})"
    return ""


def _with_slashes(pieces: list[Piece]) -> Iterator[Piece]:
    """Make one piece of ``{dir}`` and the slash after it: a key without a directory has neither."""
    previous: Piece | None = None
    for piece in pieces:
        following = piece
        if previous is not None and previous[:3] == ("field", "dir", ""):
            if piece.kind == "text" and piece.text.startswith("/"):
                previous = Piece("field", DIR_SLASH)
                following = piece._replace(text=piece.text[1:])
            yield previous
        elif previous is not None:
            yield previous
        previous = following if following != ("text", "", "") else None
    if previous is not None:
        yield previous
