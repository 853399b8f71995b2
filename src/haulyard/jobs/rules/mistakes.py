"""What is wrong with a file of rules: all of it at once, each thing with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from haulyard.jobs.rules.lines import Path


class Mistake(NamedTuple):
    """One thing that is wrong: ``line`` from 1, the rule or table (``""``: neither), what, and what to do."""

    line: int
    rule: str
    text: str


class RulesError(ConfigError):
    """A file of rules that cannot be used; ``mistakes`` are all that were found, in the order of the lines.

    `lines` is what to show people: a line for each mistake. ``str(error)`` has them all in one line.
    """

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.name = name
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(self.lines()), hint="correct the file; nothing was started")

    def lines(self) -> list[str]:
        """Return a line for each mistake: ``rules.toml:12: rule 'x': unknown group {yaer}, …``."""
        return [
            f"{self.name}:{line}: " + (f"{rule}: " if rule else "") + text
            for line, rule, text in self.mistakes
        ]


class Complaints:
    """The mistakes that were found so far, and the lines of what they are about."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines
        self.mistakes: list[Mistake] = []

    def line(self, path: Path) -> int:
        """Return the line of a key, or of the nearest thing around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def add(self, path: Path, text: str, rule: str = "") -> None:
        """Note a mistake in what ``path`` names."""
        self.mistakes.append(Mistake(self.line(path), rule, text))

    def unknown(self, path: Path, names: Iterable[str], what: str, rule: str = "") -> None:
        """Note that ``path`` ends in a name that is none of ``names``."""
        known = list(names)
        near = nearest(str(path[-1]), known)
        hint = f"did you mean {near}?" if near else "there are " + ", ".join(known)
        self.add(path, f"unknown {what} {path[-1]!r}, {hint}", rule)
