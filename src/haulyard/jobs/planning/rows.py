"""Makes the rows of a plan: what becomes of each object of a page, by columns.

A plan of a million objects is a thousand pages, and each function call for a single object costs as much as
all that SQLite does with its row. So pages are taken apart into columns, what is said of all at once is said
at once, and only the odd ones are looked at one by one.
"""

from __future__ import annotations

from datetime import datetime
from itertools import repeat
from operator import eq
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import ConfigError
from haulyard.jobs.model import ARCHIVES, NO_RULE, Action, Operation, Verb
from haulyard.stores.local import LocalStore
from haulyard.transfer.mapping import CopyRules, Mapping, Placement

if TYPE_CHECKING:
    from collections.abc import Mapping as Tags
    from collections.abc import Sequence

    from haulyard.jobs.ends import Ends
    from haulyard.jobs.planning.intake import Batch
    from haulyard.jobs.rules import Rules
    from haulyard.jobs.specification import Specification
    from haulyard.models import ObjectInfo

#: Bytes of a key ("Naming Amazon S3 objects"), of which a character takes four at most.
_KEY_BYTES: Final = 1_024
_ACT: Final = int(Action.ACT)
_UNMATCHED: Final = int(Action.UNMATCHED)
#: What `Operation` has after its destination, before anything is known of conflicts.
_TAIL: Final = (0, 0, "")


class Page(NamedTuple):
    """A page of a plan: its rows without ids, and columns of them that are needed once more.

    ``destinations`` are those of the rows that act, ``unmatched`` the keys that no rule took.
    """

    rows: list[tuple[object, ...]]
    keys: Sequence[str]
    sizes: Sequence[int]
    groups: Sequence[tuple[int, int, str]]
    destinations: list[str]
    unmatched: list[str]


class RowMaker:
    """Decides what becomes of objects.

    Args:
        specification: The job; without ``rules`` keys are mapped as `haul cp` does, or all objects act.
        rules: The job's rules, None without.
        ends: Its stores.
        now: The moment that ages are counted from, in POSIX seconds.

    Raises:
        ConfigError: Without rules: source and destination are the same tree, or the destination is one name
            for several objects. With rules: the destination does not end in a slash.
    """

    def __init__(self, specification: Specification, rules: Rules | None, ends: Ends, now: float) -> None:
        self._verb = specification.verb
        self._specification = specification
        self._rules = rules
        self._now = now
        self._is_one_store = ends.is_one_store
        self._holds_markers = not isinstance(ends.destination, LocalStore)
        self._base = ends.base if self._verb.writes_elsewhere else ""
        self._mapping: Mapping | None = None
        # Where keys below the source become keys below this, without a question for each of them.
        self._plain_base: str | None = None
        self._below = ""
        self._cut = len(ends.selection.base)
        if rules is not None:
            if self._base and not ends.target.into:
                raise ConfigError(
                    f"the destination {self._base!r} is one name, and rules make many of it",
                    hint="end the destination in a slash",
                )
        elif self._verb.writes_elsewhere:
            self._map(ends)

    def folder_rows(self) -> Page | None:
        """Return the rows of the folders that the rules ask for, None without any."""
        if self._rules is None or not self._verb.writes_elsewhere:
            return None
        keys = [self._base + key for key in self._rules.folders.keys()]  # noqa: SIM118 -- no mapping
        if not keys:
            return None
        action = int(Action.FOLDER)
        rows: list[tuple[object, ...]] = [
            (action, NO_RULE, "", "", 0, 0.0, "", "", key, *_TAIL) for key in keys
        ]
        return Page(rows, [], [0] * len(keys), [(NO_RULE, action, "")] * len(keys), keys, [])

    def wanted_tags(self, objects: Sequence[ObjectInfo]) -> list[bool]:
        """Return for which objects the tags decide; all False where no rule has such a condition."""
        if self._rules is None or not self._rules.needs_tags:
            return []
        return self._rules.wanted_tags(objects, self._now)

    def page(self, batch: Batch, tags: Sequence[Tags[str, str] | None] | None = None) -> Page:
        """Return the rows of a batch, which must not be empty, with the tags that were wanted."""
        objects = batch.objects
        keys, sizes, times, etags, classes, *_ = zip(*objects, strict=True)
        rules, actions, destinations = self._placed(objects, keys, tags)
        modified = list(map(datetime.timestamp, times))
        self._amend(actions, keys, sizes, classes, destinations)
        columns = (keys, batch.versions or repeat(""), sizes, modified, etags, classes)
        if self._verb.writes_elsewhere:
            self._settle(actions, rules, destinations, columns)
        rows: list[tuple[object, ...]] = list(
            zip(actions, rules, *columns, destinations, *map(repeat, _TAIL), strict=False)
        )
        unmatched: list[str] = []
        acting = destinations
        if any(actions):
            acting = [each for each, action in zip(destinations, actions, strict=True) if action == _ACT]
            unmatched = [key for key, action in zip(keys, actions, strict=True) if action == _UNMATCHED]
        if not self._verb.writes_elsewhere:
            acting = []
        groups = list(zip(rules, actions, classes, strict=True))
        return Page(rows, keys, sizes, groups, acting, unmatched)

    def _map(self, ends: Ends) -> None:
        specification = self._specification
        flatten = specification.flatten
        self._mapping = Mapping(ends.selection, ends.target, flatten=flatten)
        # Refuses a tree that would be copied onto itself.
        rules = CopyRules(flatten, self._holds_markers, in_place=bool(specification.properties))
        Placement(ends.source, ends.selection, ends.destination, self._mapping, rules)
        source, there = ends.selection.base, self._mapping.base
        if not flatten and ends.selection.kind != "object":
            self._plain_base = there
        if self._is_one_store and there.startswith(source) and there != source and ends.target.into:
            self._below = there

    def _placed(
        self, objects: Sequence[ObjectInfo], keys: Sequence[str], tags: Sequence[Tags[str, str] | None] | None
    ) -> tuple[list[int], list[int], list[str]]:
        if self._rules is not None:
            rules, actions, destinations = self._rules.place(objects, self._now, tags, base=self._base)
            if not self._verb.writes_elsewhere:
                return rules, actions, [""] * len(keys)
            if self._base:
                base = self._base
                destinations = [base + each if each else "" for each in destinations]
            return rules, actions, destinations
        rules, actions = [NO_RULE] * len(keys), [_ACT] * len(keys)
        if self._mapping is None:
            return rules, actions, [""] * len(keys)
        cut = self._cut
        if self._plain_base is not None:
            base = self._plain_base
            return rules, actions, [base + key[cut:] for key in keys]
        key_of = self._mapping.key_of
        return rules, actions, [key_of(key[cut:]) for key in keys]

    def _amend(
        self,
        actions: list[int],
        keys: Sequence[str],
        sizes: Sequence[int],
        classes: Sequence[str],
        destinations: list[str],
    ) -> None:
        """Take out what cannot or need not be done, as far as the objects themselves tell."""
        if self._verb is Verb.RESTORE:
            _mark(actions, [each not in ARCHIVES for each in classes], Action.IN_PLACE)
            return
        if not self._verb.writes_elsewhere:
            return
        if self._below:
            below = self._below
            _mark(actions, [key.startswith(below) for key in keys], Action.SKIPPED)
        if not self._holds_markers or self._specification.flatten:
            markers = zip(keys, sizes, destinations, strict=True)
            _mark(actions, [_is_marker(*each) for each in markers], Action.MARKER)
        if max(map(len, destinations)) > _KEY_BYTES // 4:
            _mark(actions, [len(each.encode()) > _KEY_BYTES for each in destinations], Action.UNSAFE)
        if not all(destinations):
            # What marks the source itself has no name below it.
            nameless = [size == 0 and not there for size, there in zip(sizes, destinations, strict=True)]
            _mark(actions, nameless, Action.MARKER)
            _mark(actions, [not each for each in destinations], Action.UNSAFE)

    def _settle(
        self,
        actions: list[int],
        rules: Sequence[int],
        destinations: list[str],
        columns: tuple[Sequence[object] | repeat[str], ...],
    ) -> None:
        """Leave alone what is its own destination, unless something about it changes."""
        keys = columns[0]
        assert not isinstance(keys, repeat)  # noqa: S101 -- for the type checker
        if not self._is_one_store or not any(map(eq, keys, destinations)):
            return
        for at, row in enumerate(zip(keys, rules, destinations, strict=True)):
            if row[0] == row[2] and actions[at] == _ACT and not self._changes(at, row[1], columns):
                actions[at] = int(Action.IN_PLACE)

    def _changes(self, at: int, rule: int, columns: tuple[Sequence[object] | repeat[str], ...]) -> bool:
        values = ["" if isinstance(column, repeat) else column[at] for column in columns]
        operation = Operation._make((0, _ACT, rule, *values, values[0], *_TAIL))
        wanted = dict(self._specification.properties)
        changes = None if self._rules is None or rule < 0 else self._rules.properties(rule, operation)
        if changes is not None:
            defaults = type(changes)()
            fields = [*type(changes).__dataclass_fields__]
            given = {
                name: value for name in fields if (value := getattr(changes, name)) != getattr(defaults, name)
            }
            wanted |= given
        if wanted.get("storage_class") == operation.storage_class:
            del wanted["storage_class"]
        return any(wanted.values()) or bool(self._specification.remove_tags)


def _is_marker(key: str, size: int, destination: str) -> bool:
    return (size == 0 and key.endswith("/")) or destination.endswith("/")


def _mark(actions: list[int], which: list[bool], action: Action) -> None:
    """Set ``action`` where ``which`` says so, of what would act."""
    if any(which):
        for at, is_marked in enumerate(which):
            if is_marked and actions[at] == _ACT:
                actions[at] = int(action)
