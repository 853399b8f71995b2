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

    ``landmark`` stands in every page that holds a key that matches, a page being its keys with a line break
    before each; ``needle`` stands in every key that matches. Both are ``""`` where nothing is known.
    ``select`` is there for globs that are plain comparisons, ``find`` for all others: it returns the match.
    """

    study: Study
    landmark: str
    needle: str
    select: Select | None
    find: Find
    groups: dict[str, int]

    def takes(self, positions: Sequence[int], keys: Sequence[str], page: str) -> Sequence[int]:
        """Return the positions of the keys that match."""
        return self.matches(positions, keys, page)[0]

    def matches(
        self, positions: Sequence[int], keys: Sequence[str], page: str
    ) -> tuple[Sequence[int], list[re.Match[str]]]:
        """Return the positions of the keys that match, and the matches (none where comparing was enough)."""
        if not (count := page.count(self.landmark)):
            return [], []
        if self.select is not None:
            return self.select(positions, keys), []
        # Where the needle is in most of the keys that are left, looking for it first gains nothing.
        if self.needle and count * 2 < len(keys):
            needle = self.needle
            pairs = [(position, key) for position, key in zip(positions, keys, strict=True) if needle in key]
            positions = [position for position, _ in pairs]
            keys = [key for _, key in pairs]
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
    needle = study.needle
    # A line break in front finds the beginnings of keys; a longer text elsewhere tells more.
    landmark = f"\n{study.prefix}" if len(study.prefix) >= len(needle) else needle
    return Pattern(study, landmark, needle, select, find, groups)


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
