"""The public face of a file of rules."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.jobs.rules.expand import Batch
from haulyard.jobs.rules.explaining import Explanation, explain
from haulyard.jobs.rules.mistakes import RulesError
from haulyard.jobs.rules.placing import Placed, Ready, fallback_expander, place, wanted_tags
from haulyard.jobs.rules.reading import read
from haulyard.jobs.rules.values import MAX_KEY
from haulyard.jobs.rules.verbs import misfits
from haulyard.models import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.jobs.model import Operation, Verb
    from haulyard.jobs.rules.changes import Changes


class Rules:
    """Ordered rules: the first that matches an object takes it.

    Made by `load` or `parse`, which validate the whole file at once. All else are pure functions of their
    arguments; ``now`` is in POSIX seconds.

    Attributes:
        rules: The rules in their order.
        fallback: What becomes of objects that no rule takes.
        folders: Folders that are to exist in the destination.
        text: The file's text, from which `parse` makes the same rules again.
        digest: SHA-256 of the text, in hexadecimal digits.
    """

    def __init__(self, text: str, name: str = "rules.toml") -> None:
        self.rules, self.fallback, self.folders = read(text, name)
        self.text = text
        self.name = name
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self._ready = [Ready(rule) for rule in self.rules]
        self._fallback_to = fallback_expander(self.fallback)

    @classmethod
    def load(cls, path: str) -> Rules:
        """Read and validate a file.

        Raises:
            RulesError: The file holds mistakes; all of them are told.
            ConfigError: The file cannot be read.
        """
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise ConfigError(
                f"the rules in {path} cannot be read: {error.strerror}", hint="name a file of rules (TOML)"
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"the rules in {path} are not UTF-8 (byte {error.start})", hint="save the file as UTF-8"
            ) from error
        return cls(text, path)

    @classmethod
    def parse(cls, text: str, name: str = "rules.toml") -> Rules:
        """Understand and validate the text of a file; ``name`` is what mistakes call it.

        Raises:
            RulesError: There are mistakes in it; all of them are told.
        """
        return cls(text, name)

    @property
    def needs_tags(self) -> bool:
        """Whether some rule has a condition on tags, so that `wanted_tags` is worth asking."""
        return any(rule.conditions.tags for rule in self.rules)

    def check(self, verb: Verb) -> None:
        """Refuse rules that do not fit a verb: what it needs is missing, or what they say would be ignored.

        Raises:
            RulesError: They do not fit; everything that does not is told.
        """
        if mistakes := misfits(verb, self.rules, self.fallback, self.folders):
            raise RulesError(self.name, mistakes)

    def place(
        self,
        page: Sequence[ObjectInfo],
        now: float,
        tags: Sequence[Mapping[str, str] | None] | None = None,
        *,
        base: str = "",
    ) -> Placed:
        """Say what becomes of each object of a page.

        ``tags`` are those of each object, None where they were not asked for. ``base`` is what destinations
        are appended to: it counts towards their longest length.

        Raises:
            ValueError: Tags are missing that `wanted_tags` asks for.
        """
        longest = MAX_KEY - len(base.encode())
        return place(self._ready, self.fallback, self._fallback_to, page, now, tags, longest)

    def wanted_tags(self, page: Sequence[ObjectInfo], now: float) -> list[bool]:
        """Return for each object whether it takes its tags to know which rule takes it."""
        return wanted_tags(self._ready, page, now) if self.needs_tags else [False] * len(page)

    def properties(self, rule_index: int, operation: Operation) -> Changes | None:
        """Return what a rule changes about an object apart from its key, None where that is nothing.

        It follows from the rule and the row alone, so that it can be worked out again at any time.

        Raises:
            ValueError: The rule does not take the object, or it is one that `place` called unsafe.
        """
        if rule_index < 0:
            return None
        ready = self._ready[rule_index]
        if ready.changer.nothing:
            return None
        info = ObjectInfo(
            operation.key,
            operation.size,
            datetime.fromtimestamp(operation.modified, UTC),
            operation.etag,
            operation.storage_class,
        )
        match = ready.pattern.find(operation.key)
        if match is None:
            raise ValueError(f"{ready.rule.label} does not take {operation.key!r}")
        return ready.changer.changes(Batch([operation.key], [info], [match]))

    def explain(
        self, info: ObjectInfo, now: float, tags: Mapping[str, str] | None = None, *, base: str = ""
    ) -> Explanation:
        """Say which rule takes an object, why not the others, and where it goes.

        Tags that are not given meet no condition.
        """
        longest = MAX_KEY - len(base.encode())
        return explain(self._ready, self.fallback, self._fallback_to, info, now, tags, longest)

    def literal_prefixes(self) -> list[str]:
        """Return what every destination begins with, one of these; ``[""]`` where it can be anything.

        None of them begins with another one; empty where nothing has a destination. Folders are left out.
        """
        expanders = [ready.to for ready in self._ready if not ready.rule.skip]
        found = sorted({to.template.beginning for to in (*expanders, self._fallback_to) if to is not None})
        return [
            text for text in found if not any(text != other and text.startswith(other) for other in found)
        ]
