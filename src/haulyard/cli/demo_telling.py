"""How `haul demo` tells what it does: the command, then what became of it; and the steps for its table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from haulyard.cli import exits
from haulyard.cli.playbill import Step, command_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from haulyard.cli.inline import Account
    from haulyard.cli.output import Output
    from haulyard.cli.stage import Stage


class Telling:
    """Runs command lines on a stage and shows each with what it did; ``steps`` are those of the table."""

    def __init__(self, stage: Stage, output: Output) -> None:
        self.stage = stage
        self.steps: list[Step] = []
        self._output = output

    async def step(self, name: str, *words: str, moves: bool = True) -> None:
        """Run one command and show what it did."""
        account, seconds = await self.timed(words)
        self.show(Step(name, account.objects, account.size if moves else None, seconds, words))

    async def timed(
        self, words: tuple[str, ...], remark: str = "", *, also: int = exits.OK
    ) -> tuple[Account, float]:
        """Show a command, run it, and return what it did and the seconds it took; see `Inline.run`."""
        self.say_command(words, remark)
        return await self.quietly(words, also=also)

    async def quietly(self, words: tuple[str, ...], *, also: int = exits.OK) -> tuple[Account, float]:
        """Run a command that is not shown."""
        started = time.monotonic()
        account = await self.stage.inline.run(*words, also=also)
        return account, time.monotonic() - started

    def say_command(self, words: tuple[str, ...], remark: str = "") -> None:
        """Show a command."""
        self.say(f"$ {command_line(words)}{f'  # {remark}' if remark else ''}")

    def show(self, step: Step) -> None:
        """Show a step and keep it for the table."""
        self.steps.append(step)
        self._output.result(step)

    def say(self, line: str) -> None:
        """Show what is not a result; programs get results alone."""
        if not self._output.as_json:
            self._output.lines([line])

    def quote(self, lines: Iterable[str]) -> None:
        """Show what a command printed, or what is in a file."""
        self.say("\n".join(f"    {line}".rstrip() for line in lines))
