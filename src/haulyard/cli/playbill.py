"""What `haul demo` shows: a line for each step while it runs, and the table at its end. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from haulyard.cli.formats import human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

_MIB: Final = 1024**2
_TEXT_WIDTH: Final = 60
_MANY: Final = 100
_HEAD: Final = f"{'step':24}{'objects':>9}{'bytes':>12}{'seconds':>9}{'objects/s':>11}{'MiB/s':>8}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was done with which command, how much of it, and how long it took.

    ``size`` in bytes, None where bytes are not the point; ``command`` are the words of a command line, empty
    for what is none; ``remark`` says what the numbers do not.
    """

    kind: ClassVar[str] = "step"

    name: str
    objects: int
    size: int | None
    seconds: float
    command: tuple[str, ...] = ()
    remark: str = ""

    def text(self) -> str:
        """Return the line that follows the command."""
        amount = f"{self.objects:,} object{'' if self.objects == 1 else 's'}"
        if self.size is not None:
            amount += f", {human_size(self.size)}"
        return f"    {self.remark or amount:{_TEXT_WIDTH}}{self.seconds:>8.2f} s"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "name": self.name,
            "command": command_line(self.command),
            "objects": self.objects,
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "remark": self.remark,
        }

    def row(self) -> str:
        """Return its line in the table."""
        size = "" if self.size is None else human_size(self.size)
        # A speed that was held down, and objects a second of a handful, say nothing about a store.
        rate = (
            f"{self.size / _MIB / self.seconds:,.1f}" if self.size and "--bwlimit" not in self.command else ""
        )
        objects_rate = f"{self.objects / self.seconds:,.0f}" if self.objects >= _MANY else ""
        return (
            f"{self.name:24}{self.objects:>9,}{size:>12}{self.seconds:>9.2f}{objects_rate:>11}{rate:>8}"
        ).rstrip()


@dataclass(frozen=True, slots=True)
class Table:
    """All steps, and the verdict."""

    kind: ClassVar[str] = "demo"

    steps: Sequence[Step]
    verdict: str
    hints: Sequence[str] = ()

    def text(self) -> str:
        """Return the table."""
        lines = ["", _HEAD, "-" * len(_HEAD), *(step.row() for step in self.steps), "", self.verdict]
        if self.hints:
            lines += ["", "Next:", *(f"  {hint}" for hint in self.hints)]
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return what all steps come to."""
        seconds = sum(step.seconds for step in self.steps)
        return {"steps": len(self.steps), "seconds": round(seconds, 3), "verdict": self.verdict}


def through(kills: int) -> str:
    """Return how a verdict says through how many kills it holds."""
    return ("", ", through a kill", ", through two kills")[kills]


def command_line(words: Sequence[str]) -> str:
    """Return a command as one would type it."""
    return f"haul {shlex.join(words)}" if words else ""
