"""Which objects take part: ``--include`` and ``--exclude`` patterns, in the order in which they were given.

The last pattern that matches decides. What no pattern matches is accepted, unless the first pattern is an
include, which would otherwise do nothing. Patterns are matched against the path relative to the source:

- ``*`` any characters and ``?`` any one character, ``/`` among them
- ``[abc]`` ``[a-z]`` one of these characters, ``[!abc]`` none of them; ``[*]`` is a plain asterisk
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Predicate = Callable[[str], bool]

_WILDCARDS = frozenset("*?[")


class Pattern(NamedTuple):
    """One ``--include`` (``include`` is True) or ``--exclude``."""

    include: bool
    text: str


class Filter:
    """The patterns of one command, compiled once.

    ``accepts`` is a plain function of the path relative to the source: it is called for every object, so it
    costs as little as the patterns allow (``*.txt`` is an `str.endswith`, not a regular expression).

    Raises:
        ConfigError: A pattern is empty.
    """

    __slots__ = ("accepts", "is_open")

    accepts: Predicate
    is_open: bool
    """True where everything is accepted, so that a caller need not ask."""

    def __init__(self, patterns: Sequence[Pattern] = ()) -> None:
        for pattern in patterns:
            if not pattern.text:
                flag = "--include" if pattern.include else "--exclude"
                raise ConfigError(
                    f"{flag} has an empty pattern, which matches nothing", hint='"*" is everything'
                )
        self.is_open = not patterns
        self.accepts = _chain(patterns)


def _chain(patterns: Sequence[Pattern]) -> Predicate:
    """Return what decides by the last pattern that matches."""
    default = not (patterns and patterns[0].include)
    # Neighbours of one kind decide alike in whatever order, so they are asked as one.
    groups: list[tuple[bool, list[str]]] = []
    for include, text in patterns:
        if not groups or groups[-1][0] != include:
            groups.append((include, []))
        groups[-1][1].append(text)
    accepts: Predicate = _always if default else _never
    for include, texts in groups:
        accepts = _decide(_matcher(texts), accepts, include=include)
    return accepts


def _decide(matches: Predicate, earlier: Predicate, *, include: bool) -> Predicate:
    if matches is _always:
        return _always if include else _never
    if include:
        return _either(earlier, matches)
    if earlier is _always:
        return lambda path: not matches(path)
    return lambda path: not matches(path) and earlier(path)


def _matcher(texts: Iterable[str]) -> Predicate:
    """Return whether any of the patterns matches, the cheap kinds first."""
    exact: set[str] = set()
    starts: list[str] = []
    ends: list[str] = []
    others: list[str] = []
    for text in texts:
        if text.strip("*") == "":
            return _always
        if _is_literal(text):
            exact.add(text)
        elif text[-1] == "*" and _is_literal(text[:-1]):
            starts.append(text[:-1])
        elif text[0] == "*" and _is_literal(text[1:]):
            ends.append(text[1:])
        else:
            others.append(text)
    matches: Predicate = _never
    if exact:
        matches = exact.__contains__
    if starts:
        matches = _either(matches, _starts_with(tuple(starts)))
    if ends:
        matches = _either(matches, _ends_with(tuple(ends)))
    if others:
        matches = _either(matches, _expression(others))
    return matches


def _either(one: Predicate, other: Predicate) -> Predicate:
    return other if one is _never else lambda path: one(path) or other(path)


def _is_literal(text: str) -> bool:
    return _WILDCARDS.isdisjoint(text)


def _starts_with(prefixes: tuple[str, ...]) -> Predicate:
    return lambda path: path.startswith(prefixes)


def _ends_with(suffixes: tuple[str, ...]) -> Predicate:
    return lambda path: path.endswith(suffixes)


def _expression(texts: Iterable[str]) -> Predicate:
    # Only here: most commands have no such pattern.
    import re
    from fnmatch import translate

    matches = re.compile("|".join(translate(text) for text in texts)).match
    return lambda path: matches(path) is not None


def _always(_path: str) -> bool:
    return True


def _never(_path: str) -> bool:
    return False


ACCEPT_ALL = Filter()
"""No pattern at all."""
