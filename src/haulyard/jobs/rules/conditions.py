"""Conditions of a rule apart from its pattern: size, age, storage class and tags."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from haulyard.jobs.rules.expand import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.models import ObjectInfo

_START = datetime.min.replace(tzinfo=UTC)


class Age(NamedTuple):
    """A limit of ages: ``seconds`` before now, or ``moment`` where that is None; ``text`` as it was given."""

    seconds: float | None
    moment: datetime
    text: str

    @classmethod
    def relative(cls, seconds: float, text: str) -> Age:
        """Return a limit that moves on with the time."""
        return cls(seconds, _START, text)

    @classmethod
    def absolute(cls, moment: datetime, text: str) -> Age:
        """Return a limit that stays."""
        return cls(None, moment, text)

    def limit(self, now: float) -> datetime:
        """Return the moment that is meant at ``now`` (POSIX seconds)."""
        if self.seconds is None:
            return self.moment
        return NEVER + timedelta(seconds=now - self.seconds)


class Conditions(NamedTuple):
    """What an object has to be; None and empty ask for nothing.

    ``larger`` and ``smaller`` in bytes, both exclusive; ``older`` is before a moment, ``newer`` at it or
    after; ``tags`` are those that it has to have, among others.
    """

    larger: int | None = None
    smaller: int | None = None
    older: Age | None = None
    newer: Age | None = None
    storage_classes: frozenset[str] = frozenset()
    tags: Mapping[str, str] = {}

    @property
    def listed(self) -> bool:
        """Whether anything is asked that a listing answers."""
        return any(x is not None for x in self[:4]) or bool(self.storage_classes)

    def test(self, now: float) -> Callable[[ObjectInfo], bool]:
        """Return whether an object meets all but the tags, at ``now``."""
        tests: list[Callable[[ObjectInfo], bool]] = []
        if (larger := self.larger) is not None:
            tests.append(lambda info: info.size > larger)
        if (smaller := self.smaller) is not None:
            tests.append(lambda info: 0 <= info.size < smaller)
        if self.older is not None:
            before = self.older.limit(now)
            tests.append(lambda info: NEVER != info.last_modified < before)
        if self.newer is not None:
            since = self.newer.limit(now)
            tests.append(lambda info: NEVER != info.last_modified >= since)
        if classes := self.storage_classes:
            tests.append(lambda info: info.storage_class in classes)
        return tests[0] if len(tests) == 1 else lambda info: all(test(info) for test in tests)

    def has_tags(self, tags: Mapping[str, str]) -> bool:
        """Whether these tags are enough."""
        return all(tags.get(key) == value for key, value in self.tags.items())

    def unmet(self, info: ObjectInfo, now: float, tags: Mapping[str, str] | None) -> list[str]:
        """Return a sentence for each condition that an object does not meet."""
        said = []
        size = f"it has {info.size:,} bytes" if info.size >= 0 else "its size is not known"
        known = info.last_modified != NEVER
        changed = f"it is of {info.last_modified:%Y-%m-%d %H:%M:%S}" if known else "its time is not known"
        each: list[tuple[Conditions, str]] = [
            (Conditions(larger=self.larger), f"larger than {self.larger or 0:,} bytes; {size}"),
            (Conditions(smaller=self.smaller), f"smaller than {self.smaller or 0:,} bytes; {size}"),
            (Conditions(older=self.older), f"older than {self.older.text if self.older else ''}; {changed}"),
            (Conditions(newer=self.newer), f"newer than {self.newer.text if self.newer else ''}; {changed}"),
            (
                Conditions(storage_classes=self.storage_classes),
                f"{' or '.join(sorted(self.storage_classes))}; it is {info.storage_class}",
            ),
        ]
        for condition, sentence in each:
            if condition.listed and not condition.test(now)(info):
                said.append(f"needs {sentence}")
        if tags is None and self.tags:
            said.append("needs tags, and the object's tags are not known")
        else:
            for key, value in self.tags.items():
                if (has := (tags or {}).get(key)) != value:
                    said.append(
                        f"needs the tag {key}={value}; it has " + ("none" if has is None else f"{key}={has}")
                    )
        return said

    def implied_by(self, other: Conditions) -> bool:
        """Whether everything that meets ``other`` meets these, at any time."""
        return (
            (self.larger is None or (other.larger is not None and other.larger >= self.larger))
            and (self.smaller is None or (other.smaller is not None and other.smaller <= self.smaller))
            and (self.older is None or (other.older is not None and _not_after(other.older, self.older)))
            and (self.newer is None or (other.newer is not None and _not_after(self.newer, other.newer)))
            and (
                not self.storage_classes
                or bool(other.storage_classes and other.storage_classes <= self.storage_classes)
            )
            and self.tags.items() <= other.tags.items()
        )

    def contradiction(self) -> str:
        """Say why nothing can meet these; ``""`` if something can."""
        least = 0 if self.larger is None else self.larger + 1
        if self.smaller is not None and self.smaller <= least:
            return (
                "no size is "
                + ("smaller" if self.larger is None else "both larger and smaller")
                + " than this"
            )
        if self.older is not None and self.newer is not None and _not_after(self.older, self.newer):
            return "nothing is both older and newer than this"
        return ""


def _not_after(one: Age, other: Age) -> bool:
    """Whether the first limit is at no time after the second."""
    if one.seconds is None or other.seconds is None:
        return one.seconds is None and other.seconds is None and one.moment <= other.moment
    return one.seconds >= other.seconds
