"""What can be told of a pattern without any key: its wildcards, its fixed texts, whether it holds another.

A shape is a tuple of code points, `ANY` (one character) and `STAR` (any number of them). A glob without
classes is one; of a regular expression there is at least one that takes everything the expression takes.
Keys with line breaks in them are left out of account: to ``.`` and ``$`` they are special.
"""

from __future__ import annotations

import itertools
import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Shape = tuple[int, ...]

ANY: Final = -1
STAR: Final = -2

#: A repetition is written out in a shape while that is no longer than this.
_WRITTEN_OUT: Final = 64
#: Give up comparing two shapes after so many steps: then neither is said to hold the other.
_STEPS: Final = 20_000


class Study(NamedTuple):
    """What is known of a pattern.

    ``upper`` takes every key that the pattern takes, ``exact`` says whether it takes no others. ``anchored``
    says that a search can only succeed at the beginning. ``optional`` are the groups that take no part in
    some of the matches.
    """

    upper: Shape
    exact: bool
    anchored: bool = True
    optional: frozenset[str] = frozenset()

    @property
    def prefix(self) -> str:
        """What every key that matches begins with."""
        return "".join(map(chr, itertools.takewhile(lambda token: token >= 0, self.upper)))

    @property
    def needle(self) -> str:
        """The longest text that stands in every key that matches."""
        return max(texts(self.upper), key=len, default="")


def texts(shape: Shape) -> Iterator[str]:
    """Yield the fixed texts of a shape in their order."""
    for fixed, tokens in itertools.groupby(shape, lambda token: token >= 0):
        if fixed:
            yield "".join(map(chr, tokens))


def study_glob(glob: str) -> Study:
    """Return what is known of a glob, whose wildcards are those of `haulyard.transfer.filters`."""
    tokens: list[int] = []
    exact = True
    at = 0
    while at < len(glob):
        character = glob[at]
        at += 1
        if character == "*":
            tokens.append(STAR)
        elif character == "?":
            tokens.append(ANY)
        elif character == "[" and (end := _class_end(glob, at)):
            tokens.append(ANY)
            exact = False
            at = end
        else:
            tokens.append(ord(character))
    return Study(_tidy(tokens), exact)


def _class_end(glob: str, at: int) -> int:
    """Return where the class ends whose ``[`` is before ``at``; 0 if it is no class, as `fnmatch` has it."""
    start = at + 1 if glob[at : at + 1] == "!" else at
    return glob.find("]", start + 1) + 1


def study_expression(text: str) -> Study:
    """Return what is known of a regular expression that compiles."""
    # Python's own parser: it has been what re.compile goes through since Python 3.11, whatever the syntax.
    parser: Any = import_module("re._parser")
    tree = parser.parse(text)
    flags: int = tree.state.flags
    names = {number: name for name, number in tree.state.groupdict.items()}
    optional = frozenset(names[number] for number in _optional(tree, certain=True) if number in names)

    items = list(tree)
    one_line = not flags & re.MULTILINE
    first = _at(items[0]) if items else ""
    last = _at(items[-1]) if items else ""
    anchored = first == "AT_BEGINNING_STRING" or (first == "AT_BEGINNING" and one_line)
    ends = last == "AT_END_STRING" or (last == "AT_END" and one_line)
    middle = items[anchored : len(items) - ends] if len(items) > 1 or not anchored else []

    tokens: list[int] = [] if anchored else [STAR]
    exact = _outline(middle, flags, tokens)
    if not ends:
        tokens.append(STAR)
    return Study(_tidy(tokens), exact, anchored, optional)


def _at(item: tuple[Any, Any]) -> str:
    operation, value = item
    return value.name if operation.name == "AT" else ""


def _optional(items: Iterable[tuple[Any, Any]], *, certain: bool) -> Iterator[int]:
    """Yield the numbers of the groups that may take no part."""
    for operation, value in items:
        if operation.name == "SUBPATTERN" and value[0] is not None and not certain:
            yield value[0]
        for inner, always in _within(operation.name, value):
            yield from _optional(inner, certain=certain and always)


def _within(name: str, value: Any) -> list[tuple[Any, bool]]:  # noqa: ANN401 -- it is what the parser made
    """Return what is nested in an item, and whether that always takes part if the item does."""
    found: list[tuple[Any, bool]] = []
    match name:
        case "SUBPATTERN":
            found = [(value[3], True)]
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            found = [(value[2], value[0] > 0)]
        case "BRANCH":
            found = [(branch, False) for branch in value[1]]
        case "ASSERT":
            found = [(value[1], True)]
        case "ASSERT_NOT":
            found = [(value[1], False)]
        case "ATOMIC_GROUP":
            found = [(value, True)]
        case "GROUPREF_EXISTS":
            found = [(branch or (), False) for branch in value[1:]]
    return found


def _outline(items: Iterable[tuple[Any, Any]], flags: int, tokens: list[int]) -> bool:
    """Append what takes all that ``items`` take; return whether it takes nothing else."""
    exact = True
    for operation, value in items:
        match operation.name:
            case "LITERAL":
                # Without regard to case a letter is some letter: K may be the sign for kelvin.
                folded = bool(flags & re.IGNORECASE) and (value > 127 or chr(value).isalpha())  # noqa: PLR2004 -- ASCII ends there
                tokens.append(ANY if folded else value)
                exact = exact and not folded
            case "ANY":
                tokens.append(ANY)
            case "NOT_LITERAL" | "IN":
                tokens.append(ANY)
                exact = False
            case "SUBPATTERN":
                exact = _outline(value[3], (flags | value[1]) & ~value[2], tokens) and exact
            case "MAX_REPEAT" | "MIN_REPEAT":
                exact = _repeat(value, flags, tokens) and exact
            case "POSSESSIVE_REPEAT":
                _repeat(value, flags, tokens)
                exact = False
            case "ATOMIC_GROUP":
                _outline(value, flags, tokens)
                exact = False
            case "AT" | "ASSERT" | "ASSERT_NOT":
                exact = False
            case _:
                tokens.append(STAR)
                exact = False
    return exact


def _repeat(value: tuple[int, int, Any], flags: int, tokens: list[int]) -> bool:
    least, most, items = value
    once: list[int] = []
    exact = _outline(items, flags, once)
    written_out = least * len(once) <= _WRITTEN_OUT
    tokens.extend(once * least if written_out else once)
    if least == most and written_out:
        return exact
    tokens.append(STAR)
    unbounded = not isinstance(most, int) or most >= import_module("re._constants").MAXREPEAT
    return exact and once == [ANY] and written_out and unbounded


def _tidy(tokens: list[int]) -> Shape:
    """Return the tokens with one star where there are several."""
    return tuple(token for before, token in itertools.pairwise([0, *tokens]) if not (before == token == STAR))


@cache
def _runs(shape: Shape) -> tuple[str, ...]:
    return tuple(texts(shape))


def holds(outer: Shape, inner: Shape) -> bool:
    """Whether every text that ``inner`` takes is taken by ``outer`` (False also where that is too hard)."""
    # What is fixed in the outer one must be fixed in the inner one; this answers nearly every question.
    inside = _runs(inner)
    if not all(any(text in other for other in inside) for text in _runs(outer)):
        return False
    alphabet = {token for token in (*outer, *inner) if token >= 0} | {ANY}
    start = (0, _reach(outer, {0}))
    seen = {start}
    ahead = [start]
    while ahead:
        at, positions = ahead.pop()
        if not positions or len(seen) > _STEPS:
            return False
        if at == len(inner):
            if len(outer) not in positions:
                return False
            continue
        token = inner[at]
        following = [(at + 1, positions)] if token == STAR else []
        goes_to = at if token == STAR else at + 1
        # ANY in the alphabet stands for every character that neither shape names.
        characters = alphabet if token < 0 else (token,)
        following += [(goes_to, _step(outer, positions, character)) for character in characters]
        for state in following:
            if state not in seen:
                seen.add(state)
                ahead.append(state)
    return True


def _step(shape: Shape, positions: frozenset[int], character: int) -> frozenset[int]:
    reached = set()
    for position in positions:
        token = shape[position] if position < len(shape) else None
        if token == STAR:
            reached.add(position)
        elif token in (ANY, character):
            reached.add(position + 1)
    return _reach(shape, reached)


def _reach(shape: Shape, positions: set[int]) -> frozenset[int]:
    """Return the positions, and those that stars let one go on to without a character."""
    reached = set(positions)
    for position in positions:
        ahead = position
        while ahead < len(shape) and shape[ahead] == STAR:
            ahead += 1
            reached.add(ahead)
    return frozenset(reached)
