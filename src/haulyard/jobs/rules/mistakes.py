"""What is wrong with a file of rules: all of it at once, each thing with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Mistake(NamedTuple):
    """One thing that is wrong: ``line`` from 1, the name of the rule or ``""``, what, and what to do."""

    line: int
    rule: str
    text: str


class RulesError(ConfigError):
    """A file of rules that cannot be used; ``mistakes`` are all that were found, in the order of the lines.

    `lines` is what to show: one line for each mistake. ``str(error)`` has them all, one a line.
    """

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.name = name
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.lines()), hint="")

    def lines(self) -> list[str]:
        """Return a line for each mistake: ``rules.toml:12: rule 'x': unknown group {yaer}, …``."""
        return [
            f"{self.name}:{line}: " + (f"rule {rule}: " if rule else "") + text
            for line, rule, text in self.mistakes
        ]
