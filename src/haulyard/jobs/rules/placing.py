"""Rules made ready for use, and a page of objects placed by them: column after column."""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter, le
from sys import maxunicode
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.jobs.model import FALLBACK, NO_RULE, Action
from haulyard.jobs.rules.changing import Changer
from haulyard.jobs.rules.expand import Batch, Expander
from haulyard.jobs.rules.patterns import expression_pattern, glob_pattern
from haulyard.jobs.rules.template import Scope, parse_template
from haulyard.jobs.rules.values import MAX_KEY, unfit_keys

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Mapping, Sequence

    from haulyard.jobs.rules.patterns import Pattern
    from haulyard.jobs.rules.rule import Fallback, Rule
    from haulyard.models import ObjectInfo

    Tags = Sequence[Mapping[str, str] | None] | None
    #: Positions in a page, and the matches there (none where the pattern has none).
    Taken = tuple[Sequence[int], list[re.Match[str]]]

#: So many keys show whether a text is in most of them.
_SAMPLE: Final = 16
#: With so many rules whose keys begin with something, a page that is not in order is worth sorting.
_SORTING_PAYS: Final = 5

_ACT: Final = int(Action.ACT)
_UNSAFE: Final = int(Action.UNSAFE)
_SKIPPED: Final = int(Action.SKIPPED)
_UNMATCHED: Final = int(Action.UNMATCHED)


class Placed(NamedTuple):
    """What rules say of a page: columns with an entry for each object, in the page's order.

    ``rule`` is an index, `FALLBACK` or `NO_RULE`; ``action`` the number of an `Action`: ``ACT``,
    ``SKIPPED``, ``UNMATCHED`` or ``UNSAFE``; ``destination`` is relative to the destination of the job, and
    ``""`` where there is none.
    """

    rule: list[int]
    action: list[int]
    destination: list[str]


class Ready:
    """A rule made ready for use."""

    __slots__ = ("changer", "pattern", "rule", "scope", "to")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pattern = glob_pattern(rule.glob) if rule.match is None else expression_pattern(rule.match)
        self.scope = Scope(self.pattern.groups, self.pattern.study.optional, rule.dates)
        self.to = None if rule.to is None else Expander(parse_template(rule.to, self.scope)[0], self.scope)
        self.changer = Changer(rule.properties, self.scope)

    @property
    def needs_matches(self) -> bool:
        """Whether groups are wanted of a match."""
        return (self.to is not None and self.to.needs_matches) or self.changer.needs_matches


def fallback_expander(fallback: Fallback) -> Expander | None:
    """Return the destination of what no rule takes, None where it has none."""
    return None if fallback.to is None else Expander(parse_template(fallback.to, Scope())[0], Scope())


class Page:
    """A page in work: what is left of it, and the columns that grow."""

    def __init__(
        self, infos: Sequence[ObjectInfo], now: float, tags: Tags, longest: int, *, in_order: bool = False
    ) -> None:
        self.infos = infos
        self.now = now
        self.tags = tags
        self.longest = longest
        self.keys: list[str] = list(map(itemgetter(0), infos))
        self.placed = Placed([NO_RULE] * len(infos), [_UNMATCHED] * len(infos), [""] * len(infos))
        self.unplaced = len(infos)
        self._range: Sequence[int] = range(len(infos))
        self._left: Sequence[int] = self._range
        #: Positions in the order of the keys, and the keys in it (none where they are not in order).
        self._order: Sequence[int] = self._range
        self._sorted: Sequence[str] = ()
        if all(map(le, self.keys, self.keys[1:])):
            self._sorted = self.keys
        elif in_order:
            self._order = sorted(self._range, key=self.keys.__getitem__)
            self._sorted = [self.keys[position] for position in self._order]

    def left(self) -> Sequence[int]:
        """Return the positions of the objects that no rule has taken so far."""
        if len(self._left) != self.unplaced:
            rules = self.placed.rule
            self._left = [position for position in self._left if rules[position] == NO_RULE]
        return self._left

    def _candidates(self, pattern: Pattern) -> Sequence[int]:
        """Return the objects that are left, or at least those of them whose keys can match."""
        if pattern.prefix and self._sorted:
            return self._beginning_with(pattern.prefix)
        left = self.left()
        keys, needle = self.keys, pattern.needle
        if not needle:
            return left
        # Where most keys have it, as a few of them show, looking for it gains nothing.
        some = left[:: len(left) // _SAMPLE + 1]
        if sum([needle in keys[position] for position in some]) * 2 > len(some):
            return left
        return [position for position in left if needle in keys[position]]

    def _beginning_with(self, prefix: str) -> Sequence[int]:
        start = bisect_left(self._sorted, prefix)
        end = len(self._sorted)
        if prefix[-1] < chr(maxunicode):
            end = bisect_left(self._sorted, prefix[:-1] + chr(ord(prefix[-1]) + 1), start)
        found = self._order[start:end]
        if self.unplaced < len(self.keys):
            rules = self.placed.rule
            found = [position for position in found if rules[position] == NO_RULE]
        return found if self._order is self._range else sorted(found)

    def taken(self, ready: Ready, *, by_tags: bool = True) -> Taken:
        """Return which of the objects that are left the rule takes, and the matches of its pattern."""
        candidates = self._candidates(ready.pattern)
        keys = self.keys
        some = keys if len(candidates) == len(keys) else [keys[position] for position in candidates]
        positions, matches = ready.pattern.matches(candidates, some)
        conditions = ready.rule.conditions
        if not positions or not (conditions.listed or conditions.tags):
            return positions, matches
        infos = self.infos
        keep = [True] * len(positions)
        if conditions.listed:
            test = conditions.test(self.now)
            keep = [test(infos[position]) for position in positions]
        if by_tags and conditions.tags:
            keep = [
                kept and conditions.has_tags(self._tags_of(position))
                for position, kept in zip(positions, keep, strict=True)
            ]
        if matches:
            matches = [match for match, kept in zip(matches, keep, strict=True) if kept]
        return [position for position, kept in zip(positions, keep, strict=True) if kept], matches

    def _tags_of(self, position: int) -> Mapping[str, str]:
        tags = None if self.tags is None else self.tags[position]
        if tags is None:
            raise ValueError(f"the rules depend on tags of {self.keys[position]!r}, which were not given")
        return tags

    def put(self, index: int, taken: Taken, ready: Ready | None, to: Expander | None) -> None:
        """Write down what becomes of the objects that a rule, or the fallback, takes."""
        positions, matches = taken
        rules, actions, destinations = self.placed
        skips = ready is not None and ready.rule.skip
        action = _SKIPPED if skips else _ACT
        self.unplaced -= len(positions)
        for position in positions:
            rules[position] = index
            actions[position] = action
        changer = ready.changer if ready is not None and ready.changer.may_fail else None
        if skips or (to is None and changer is None):
            return
        batch = self._batch(
            positions, matches, infos=changer is not None or (to is not None and to.needs_infos)
        )
        unfit: Collection[int] = ()
        if to is not None:
            texts: Sequence[str | None] = to.expand(batch)
            unfit = unfit_keys(texts, self.longest)
            for position, text in zip(positions, texts, strict=True):
                destinations[position] = text  # type: ignore[assignment]  # None is unfit: see below
        if changer is not None:
            unfit = changer.unfit(batch).union(unfit)
        for at in unfit:
            actions[positions[at]] = _UNSAFE
            destinations[positions[at]] = ""

    def _batch(self, positions: Sequence[int], matches: list[re.Match[str]], *, infos: bool) -> Batch:
        if len(positions) == len(self.keys):
            return Batch(self.keys, self.infos, matches)
        keys = self.keys
        return Batch(
            [keys[position] for position in positions],
            [self.infos[position] for position in positions] if infos else [],
            matches,
        )


def place(
    rules: Sequence[Ready],
    fallback: Fallback,
    fallback_to: Expander | None,
    infos: Sequence[ObjectInfo],
    now: float,
    tags: Tags = None,
    longest: int = MAX_KEY,
) -> Placed:
    """Say what becomes of each object: the first rule that matches takes it."""
    in_order = sum([bool(ready.pattern.prefix) for ready in rules]) >= _SORTING_PAYS
    page = Page(infos, now, tags, longest, in_order=in_order)
    for index, ready in enumerate(rules):
        taken = page.taken(ready)
        if taken[0]:
            page.put(index, taken, ready, ready.to)
            if not page.unplaced:
                return page.placed
    if fallback.action == "to":
        page.put(FALLBACK, (page.left(), []), None, fallback_to)
    elif fallback.action == "skip":
        for position in page.left():
            page.placed.rule[position] = FALLBACK
            page.placed.action[position] = _SKIPPED
    return page.placed


def wanted_tags(rules: Sequence[Ready], infos: Sequence[ObjectInfo], now: float) -> list[bool]:
    """Return for which objects it depends on their tags which rule takes them."""
    page = Page(infos, now, None, MAX_KEY)
    wanted = [False] * len(infos)
    for index, ready in enumerate(rules):
        positions, _ = page.taken(ready, by_tags=False)
        for position in positions:
            page.placed.rule[position] = index
            wanted[position] = bool(ready.rule.conditions.tags)
        page.unplaced -= len(positions)
    return wanted
