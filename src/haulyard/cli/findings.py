"""What `haul doctor` found: one value for each check, and what all of them come to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from haulyard.cli import exits
from haulyard.observe.lines import describe_error, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: ``no`` is a capability that is not there: nothing is wrong, haul goes another way.
State = Literal["ok", "warning", "failed", "denied", "no", "unknown", "skipped"]

_FAILING: Final = frozenset(("failed", "denied"))
_STATE_WIDTH: Final = 9
_NAME_WIDTH: Final = 23


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it.

    ``code`` is the exit code that a failed check asks for (the table is in `haulyard.cli.exits`), ``more``
    what programs want to know beyond the text.
    """

    kind: ClassVar[str] = "check"

    section: str
    name: str
    state: State
    detail: str = ""
    hint: str = ""
    code: int = exits.OK
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_failure(self) -> bool:
        """Whether something is wrong that keeps commands from working."""
        return self.state in _FAILING

    def text(self) -> str:
        """Return a line, and a second one where something is to be done."""
        line = f"  {self.state:{_STATE_WIDTH}}{self.name:{_NAME_WIDTH}} {escape(self.detail)}".rstrip()
        return f"{line}\n  {'':{_STATE_WIDTH}}{'':{_NAME_WIDTH}} {escape(self.hint)}" if self.hint else line

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        found: dict[str, object] = {"section": self.section, "check": self.name, "state": self.state}
        found |= {name: value for name, value in (("detail", self.detail), ("hint", self.hint)) if value}
        return {**found, **self.more}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What all checks come to."""

    kind: ClassVar[str] = "diagnosis"

    findings: Sequence[Finding]

    @property
    def exit_code(self) -> int:
        """The code of the first check that failed: later ones often fail because of it."""
        return next((each.code for each in self.findings if each.is_failure), exits.OK)

    @property
    def missing(self) -> list[str]:
        """The IAM actions that are missing, each once, with what they are missing on."""
        return list(
            dict.fromkeys(str(each.more["missing"]) for each in self.findings if each.state == "denied")
        )

    def text(self) -> str:
        """Return how many checks failed, and the IAM actions that are missing."""
        total, failed = len(self.findings), sum(each.is_failure for each in self.findings)
        lines = ["", f"{failed} of {total} checks failed." if failed else f"No problem in {total} checks."]
        if self.missing:
            lines += ["Missing IAM actions:", *(f"  {each}" for each in self.missing)]
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "checks": len(self.findings),
            "failed": sum(each.is_failure for each in self.findings),
            "warnings": sum(each.state == "warning" for each in self.findings),
            "missing": self.missing,
            "exit_code": self.exit_code,
        }


def failure(section: str, name: str, error: BaseException) -> Finding:
    """Return the finding of a check that ended in ``error``."""
    return Finding(
        section,
        name,
        "failed",
        describe_error(error),
        getattr(error, "hint", ""),
        exits.exit_code(error),
        {"error": type(error).__name__},
    )
