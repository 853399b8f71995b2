"""Patterns made ready to be asked of whole pages of keys, the cheap questions first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from haulyard.jobs.rules.shapes import ANY, STAR, study_expression, study_glob, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from haulyard.jobs.rules.shapes import Study

    #: Which of some keys match: positions and keys in, positions out.
    Select = Callable[[Sequence[int], Sequence[str]], Sequence[int]]
    Find = Callable[[str], re.Match[str] | None]


class Pattern(NamedTuple):
    """The pattern of one rule.

    Every key that matches begins with ``prefix`` and holds ``needle``, both ``""`` where nothing is known.
    ``select`` is there for globs that are plain comparisons, ``find`` for all others: it returns the match.
    """

    study: Study
    prefix: str
    needle: str
    select: Select | None
    find: Find
    groups: dict[str, int]

    def matches(
        self, positions: Sequence[int], keys: Sequence[str]
    ) -> tuple[Sequence[int], list[re.Match[str]]]:
        """Return the positions of the keys that match, and the matches (none where comparing was enough)."""
        if self.select is not None:
            return self.select(positions, keys), []
        found = list(map(self.find, keys))
        if None in found:
            positions = [position for position, match in zip(positions, found, strict=True) if match]
        return positions, [match for match in found if match]


def glob_pattern(glob: str) -> Pattern:
    """Return a glob as a pattern."""
    from fnmatch import translate

    study = study_glob(glob)
    return _pattern(study, _comparison(study), re.compile(translate(glob)).match, {})


def expression_pattern(text: str) -> Pattern:
    """Return a regular expression, known to compile, as a pattern."""
    expression = re.compile(text)
    study = study_expression(text)
    find = expression.match if study.anchored else expression.search
    return _pattern(study, None, find, dict(expression.groupindex))


def _pattern(study: Study, select: Select | None, find: Find, groups: dict[str, int]) -> Pattern:
    return Pattern(study, study.prefix, study.needle, select, find, groups)


def _comparison(study: Study) -> Select | None:
    """Return the comparison that a glob amounts to, None where it is none."""
    shape = study.upper
    if not study.exact or ANY in shape:
        return None
    if shape == (STAR,):
        return lambda positions, _keys: positions
    kinds: dict[tuple[int, bool, bool], Callable[..., Select]] = {
        (0, False, False): _whole,
        (1, False, True): _beginning,
        (1, True, False): _ending,
        (1, False, False): _both_ends,
        (2, True, True): _containing,
    }
    kind = kinds.get((shape.count(STAR), shape[:1] == (STAR,), shape[-1:] == (STAR,)))
    return kind(*texts(shape)) if kind else None


def _whole(text: str) -> Select:
    return lambda positions, keys: [p for p, key in zip(positions, keys, strict=True) if key == text]


def _beginning(text: str) -> Select:
    return lambda positions, keys: [p for p, key in zip(positions, keys, strict=True) if key.startswith(text)]


def _ending(text: str) -> Select:
    return lambda positions, keys: [p for p, key in zip(positions, keys, strict=True) if key.endswith(text)]


def _containing(text: str) -> Select:
    return lambda positions, keys: [p for p, key in zip(positions, keys, strict=True) if text in key]


def _both_ends(start: str, end: str) -> Select:
    # Beginning and end must not overlap: `a*a` does not take `a`.
    least = len(start) + len(end)
    return lambda positions, keys: [
        p
        for p, key in zip(positions, keys, strict=True)
        if key.endswith(end) and key.startswith(start) and len(key) >= least
    ]
