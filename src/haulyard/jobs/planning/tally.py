"""Counts of a plan: objects and bytes by rule, action, conflict and storage class."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.jobs.model import LARGE, Action
from haulyard.journal.damage import foreign_errors
from haulyard.journal.opening import connect_reader
from haulyard.transfer.parts import DEFAULT_PART_SIZE, plan_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from haulyard.jobs.planning.rows import Page

_GROUPS: Final = (
    "SELECT rule, action, conflict, storage_class, count(*), sum(max(size, 0)), sum(size < 0) FROM op"
    " GROUP BY rule, action, conflict, storage_class"
)
_LARGE: Final = (
    "SELECT rule, action, conflict, storage_class, size, count(*) FROM op WHERE size > ?"
    " GROUP BY rule, action, conflict, storage_class, size"
)


class Group(NamedTuple):
    """Rows of a plan that have these in common; ``rule`` and ``action`` as in `haulyard.jobs.model`."""

    rule: int
    action: int
    conflict: int
    storage_class: str


class Amount(NamedTuple):
    """How many objects, how many bytes; of these objects, how many are large, in how many parts in all.

    ``unknown`` are objects that a manifest names and nobody found.
    """

    objects: int = 0
    bytes: int = 0
    unknown: int = 0
    large: int = 0
    parts: int = 0

    def plus(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(*map(sum, zip(self, other, strict=True)))


class Tally:
    """The groups of a plan, or of a part of it, and the amount of each."""

    def __init__(self, groups: Iterable[Sequence[object]] = ()) -> None:
        """Start with what `to_json` returned."""
        self._amounts: dict[Group, Amount] = {}
        for group in groups:
            self._add(Group(*group[:4]), Amount(*group[4:]))  # type: ignore[arg-type]  # as `to_json` wrote them

    def to_json(self) -> list[list[object]]:
        """Return the groups with their amounts."""
        return [[*group, *amount] for group, amount in self._amounts.items()]

    def items(self) -> Iterator[tuple[Group, Amount]]:
        """Yield each group with its amount."""
        yield from self._amounts.items()

    def amount(self, *actions: Action) -> Amount:
        """Return the amount with one of these actions; of all without any."""
        total = Amount()
        for group, amount in self._amounts.items():
            if not actions or group.action in actions:
                total = total.plus(amount)
        return total

    def add(self, other: Tally) -> None:
        """Add another tally."""
        for group, amount in other.items():
            self._add(group, amount)

    def add_page(self, page: Page) -> None:
        """Count a page of rows."""
        counts = Counter(page.groups)
        totals = dict.fromkeys(counts, 0)
        if len(counts) == 1:
            totals[page.groups[0]] = sum(page.sizes)
        else:
            for group, size in zip(page.groups, page.sizes, strict=True):
                totals[group] += size
        for (rule, action, storage_class), objects in counts.items():
            size = totals[rule, action, storage_class]
            self._add(Group(rule, action, 0, storage_class), Amount(objects, size))
        if min(page.sizes) < 0 or max(page.sizes) > LARGE:
            self._add_odd(page)

    def add_shard(self, path: str) -> None:
        """Count the rows of a sealed shard.

        Raises:
            JobError: It is damaged.
        """
        with foreign_errors(path), closing(connect_reader(path)) as connection:
            for *group, objects, size, unknown in connection.execute(_GROUPS):
                self._add(Group(*group), Amount(objects, size, unknown))
        self._add_large(path, LARGE)

    def through_here(self, paths: Iterable[str]) -> Tally:
        """Return the amounts as they go through this machine: large is what is more than a part.

        ``paths`` are the shards in which the rows are.

        Raises:
            JobError: A shard is damaged.
        """
        cut = Tally([*group, *amount._replace(large=0, parts=0)] for group, amount in self.items())
        for path in paths:
            cut._add_large(path, DEFAULT_PART_SIZE)
        return cut

    def _add_large(self, path: str, most: int) -> None:
        with foreign_errors(path), closing(connect_reader(path)) as connection:
            for *group, size, objects in connection.execute(_LARGE, (most,)):
                self._add(Group(*group), Amount(large=objects, parts=objects * plan_parts(size).count))

    def _add_odd(self, page: Page) -> None:
        for (rule, action, storage_class), size in zip(page.groups, page.sizes, strict=True):
            if size < 0:
                # It counted as -1 byte.
                self._add(Group(rule, action, 0, storage_class), Amount(bytes=1, unknown=1))
            elif size > LARGE:
                amount = Amount(large=1, parts=plan_parts(size).count)
                self._add(Group(rule, action, 0, storage_class), amount)

    def _add(self, group: Group, amount: Amount) -> None:
        known = self._amounts.get(group)
        self._amounts[group] = known.plus(amount) if known else amount
