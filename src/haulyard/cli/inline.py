"""Command lines run inside this process, quietly: what `haul demo` shows is what it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import commands, exits, flags
from haulyard.cli.output import Output
from haulyard.cli.parsing import build
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from haulyard.cli.context import Context
    from haulyard.cli.output import Message
    from haulyard.config import Settings
    from haulyard.events import TransferDone


class Interrupted(Exception):
    """A command line ended early because it was asked to."""


class Account(Output):
    """Takes the place of a command's output and adds up what it would say.

    ``objects`` and ``size`` count what was transferred or listed, ``skipped`` what was left as it was;
    ``messages`` are results that came one by one.
    """

    def __init__(self, outer: Output) -> None:
        super().__init__(outer.writer, verb=outer.verb)
        self.objects = 0
        self.size = 0
        self.skipped = 0
        self.failures: list[BaseException] = []
        self.notes: list[str] = []
        self.messages: list[Message] = []

    def transfer(self, event: TransferDone) -> None:
        """Count one object."""
        if event.error is not None:
            self.failures.append(event.error)
        elif event.action == "skip":
            self.skipped += 1
        else:
            self.objects += 1
            self.size += max(event.size, 0)

    def result(self, message: Message) -> None:
        """Keep it, and take the size of what was added up."""
        self.messages.append(message)
        size = message.fields().get("size")
        self.size += size if isinstance(size, int) else 0

    def results(self, messages: Iterable[Message]) -> None:
        """Count a page of results."""
        self.objects += sum(1 for _ in messages)

    def lines(self, page: list[str]) -> None:
        """Count a page of lines."""
        self.objects += len(page)

    def note(self, text: str) -> None:
        """Keep a remark."""
        self.notes.append(text)

    def error(self, error: BaseException) -> None:
        """Take note of a failure."""
        self.failures.append(error)


class Inline:
    """Runs command lines on the connections of ``context``, with the settings that ``resolve`` gives."""

    def __init__(self, context: Context, resolve: Callable[[Mapping[str, object]], Settings]) -> None:
        self.context = context
        self._resolve = resolve

    async def run(self, *words: str, also: int = exits.OK) -> Account:
        """Run one command line and return what it did; it may end with the code ``also`` as well.

        Raises:
            Interrupted: It was asked to stop.
            BaseException: What stopped it, or the first of its failures.
        """
        verb = words[0]
        module = commands.load(verb)
        arguments = build(verb, module).read(words[1:])
        account = Account(self.context.output)
        given = flags.settings_given(arguments)

        def resolve(further: Mapping[str, object]) -> Settings:
            return self._resolve({**given, **further})

        inside = self.context.inside(resolve({}), account, resolve)
        outcome = module.run(module.read(arguments), inside)
        code = outcome if isinstance(outcome, int) else await outcome
        if code == exits.INTERRUPTED:
            raise Interrupted
        if account.failures:
            raise account.failures[0]
        if code not in {exits.OK, also}:
            raise TransferError(f"haul {' '.join(words)} ended with code {code}")
        return account

    def inside(self) -> Context:
        """Return the surroundings of the command lines, for what none of them does."""
        return self.context.inside(self._resolve({}), Account(self.context.output))
