"""A file of rules (first shape: the interface is final, validation and speed follow)."""

from __future__ import annotations

import hashlib
import re
import tomllib
from fnmatch import translate
from typing import TYPE_CHECKING, Any, NamedTuple

from haulyard.errors import ConfigError
from haulyard.jobs.model import FALLBACK, NO_RULE, Action
from haulyard.jobs.rules.changes import Changes
from haulyard.jobs.rules.mistakes import Mistake, RulesError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.jobs.model import Operation, Verb
    from haulyard.models import ObjectInfo


class Rule(NamedTuple):
    """One rule."""

    index: int
    name: str
    line: int
    match: str = ""
    glob: str = ""
    to: str | None = None
    skip: bool = False

    @property
    def label(self) -> str:
        """The rule's name, or its number from 1."""
        return self.name or f"{self.index + 1}"


class Fallback(NamedTuple):
    """What becomes of objects that no rule takes: ``action`` is ``to``, ``skip`` or ``fail``."""

    action: str = "fail"
    to: str | None = None


class Folders(NamedTuple):
    """Folders that a job makes: relative to the destination, with their slash."""

    create: tuple[str, ...] = ()
    placeholder: str = ""

    def keys(self) -> list[str]:
        """Return the keys of the placeholders, relative to the destination."""
        return [folder + self.placeholder for folder in self.create]


class Placed(NamedTuple):
    """What the rules say of a page, a column each, in the page's order."""

    rule: list[int]
    action: list[int]
    destination: list[str]


class Explanation(NamedTuple):
    """Why a key goes where it goes; a message (``kind``, `text`, `fields`)."""

    key: str
    rule: int
    action: int
    destination: str
    reasons: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The name of such results in JSON."""
        return "explanation"

    def text(self) -> str:
        """Return it for people."""
        return "\n".join((f"{self.key} -> {self.destination}", *self.reasons))

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return self._asdict()


class Rules:
    """Ordered rules: the first that matches takes an object."""

    def __init__(self, rules: tuple[Rule, ...], fallback: Fallback, folders: Folders, text: str) -> None:
        self.rules = rules
        self.fallback = fallback
        self.folders = folders
        self.text = text
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.needs_tags = False
        self._patterns = [re.compile(r.match) if r.match else re.compile(translate(r.glob)) for r in rules]

    @classmethod
    def load(cls, path: str) -> Rules:
        """Read and validate a file."""
        with open(path, encoding="utf-8") as file:
            return cls.parse(file.read(), path)

    @classmethod
    def parse(cls, text: str, name: str = "rules.toml") -> Rules:
        """Understand and validate the text of a file."""
        try:
            content: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RulesError(name, [Mistake(1, "", str(error))]) from None
        rules = tuple(
            Rule(
                i,
                r.get("name", ""),
                1,
                r.get("match", ""),
                r.get("glob", ""),
                r.get("to"),
                bool(r.get("skip", False)),
            )
            for i, r in enumerate(content.get("rule", []))
        )
        fallback = content.get("fallback", {})
        to = fallback.get("to")
        folders = content.get("folders", {})
        return cls(
            rules,
            Fallback("to" if to else fallback.get("action", "fail"), to),
            Folders(tuple(folders.get("create", ())), folders.get("placeholder", "")),
            text,
        )

    def check(self, verb: Verb) -> None:
        """Raise `ConfigError` where the rules do not fit the verb."""
        if verb.writes_elsewhere and any(r.to is None and not r.skip for r in self.rules):
            raise ConfigError("a rule has no destination", hint="give it to = or skip = true")

    def literal_prefixes(self) -> list[str]:
        """Return what every destination starts with."""
        return [""]

    def place(
        self, page: Sequence[ObjectInfo], now: float, tags: Sequence[Mapping[str, str] | None] | None = None
    ) -> Placed:
        """Say what becomes of each object of a page."""
        placed = Placed([], [], [])
        for info in page:
            name = info.key.rpartition("/")[2]
            stem, _, ext = name.rpartition(".")
            fields = {
                **info._asdict(),
                "name": name,
                "stem": stem,
                "ext": ext,
                "dir": info.key.rpartition("/")[0],
            }
            for index, pattern in enumerate(self._patterns):
                if found := pattern.search(info.key):
                    rule = self.rules[index]
                    placed.rule.append(index)
                    placed.action.append(Action.SKIPPED if rule.skip else Action.ACT)
                    placed.destination.append((rule.to or "").format(**{**fields, **found.groupdict()}))
                    break
            else:
                action = {"to": Action.ACT, "skip": Action.SKIPPED, "fail": Action.UNMATCHED}[
                    self.fallback.action
                ]
                placed.rule.append(NO_RULE if action == Action.UNMATCHED else FALLBACK)
                placed.action.append(action)
                placed.destination.append((self.fallback.to or "").format(**fields))
        return placed

    def wanted_tags(self, page: Sequence[ObjectInfo], now: float) -> list[bool]:
        """Return for which objects the rules depend on tags."""
        return [False] * len(page)

    def properties(self, rule_index: int, operation: Operation) -> Changes | None:
        """Return what changes about an object, None where nothing does."""
        return None

    def explain(self, info: ObjectInfo, now: float, tags: Mapping[str, str] | None = None) -> Explanation:
        """Say which rule takes an object, and why not the others."""
        placed = self.place([info], now)
        return Explanation(info.key, placed.rule[0], placed.action[0], placed.destination[0], ())
