"""What a command says: results on standard output, everything else on standard error.

Every message renders as text and, under ``--json``, as one JSON object a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from haulyard.observe import lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from haulyard.cli.writer import Writer
    from haulyard.events import TransferDone
    from haulyard.models.body import Buffer
    from haulyard.observe.stats import Statistics


class Message(Protocol):
    """A result."""

    @property
    def kind(self) -> str:
        """The name of such results in JSON."""
        ...

    def text(self) -> str:
        """Return it for people: a line, or several."""
        ...

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        ...


class Output:
    """The voice of a command: ``verb`` and ``where`` (a line of ``haul run``) begin what it says."""

    def __init__(self, writer: Writer, *, as_json: bool = False, verb: str = "", where: str = "") -> None:
        self.writer = writer
        self.as_json = as_json
        self.verb = verb
        self.trace = False
        """Whether an error that ends the command shows its stack."""
        self._where = where

    def at(self, where: str, verb: str) -> Output:
        """Return the voice of a command inside this one."""
        return Output(self.writer, as_json=self.as_json, verb=verb, where=where)

    def result(self, message: Message) -> None:
        """Write one result."""
        self.writer.line(self._render(message))

    def results(self, messages: Iterable[Message]) -> None:
        """Write a page of results at once."""
        self.lines([self._render(message) for message in messages])

    def lines(self, page: list[str]) -> None:
        """Write a page of lines that were rendered already."""
        if page:
            self.writer.line("\n".join(page))

    async def raw(self, chunk: Buffer) -> None:
        """Write bytes of an object to standard output; `drain` writes those that still wait."""
        await self.writer.raw(chunk)

    async def drain(self) -> None:
        """Wait until all bytes of objects are written."""
        await self.writer.drain()

    def transfer(self, event: TransferDone) -> None:
        """Write the fate of one object: a result, or a failure with its hint on standard error."""
        if self.as_json:
            fields = lines.fields(event)
            if event.error is None:
                self.writer.line(lines.json_line("object", fields))
            else:
                self._remark("object", fields)
        elif event.error is None:
            self.writer.line(lines.transfer_text(event))
        else:
            self._say(self._place + lines.transfer_text(event), getattr(event.error, "hint", ""))

    def note(self, text: str) -> None:
        """Say something on standard error that is neither result nor fault."""
        if self.as_json:
            self._remark("note", {"message": text})
        else:
            self._say(text)

    def error(self, error: BaseException) -> None:
        """Say on standard error what happened (one line) and what to do about it (one more)."""
        if self.as_json:
            self._remark("error", lines.error_fields(error))
        else:
            text = lines.escape(lines.describe_error(error))
            self._say(f"{self._prefix}{text}", getattr(error, "hint", ""))

    def statistics(self, statistics: Statistics) -> None:
        """Say on standard error what came together."""
        if self.as_json:
            self._remark("statistics", statistics.fields())
        else:
            for line in statistics.lines():
                self._say(f"info: {line}")

    def stack(self, text: str) -> None:
        """Show on standard error how it came to an error."""
        if self.as_json:
            self._remark("stack", {"text": text})
        else:
            self.writer.remark(text.rstrip("\n"))

    def log(self, line: str) -> None:
        """Write one line of the log, rendered already, on standard error."""
        self.writer.remark(line)

    @property
    def _place(self) -> str:
        return f"{self._where}: " if self._where else ""

    @property
    def _prefix(self) -> str:
        return (f"haul {self.verb}: " if self.verb else "haul: ") + self._place

    def _render(self, message: Message) -> str:
        return lines.json_line(message.kind, message.fields()) if self.as_json else message.text()

    def _remark(self, kind: str, fields: dict[str, object]) -> None:
        where = {"where": self._where} if self._where else {}
        self.writer.remark(lines.json_line(kind, {**where, **fields}))

    def _say(self, text: str, hint: str = "") -> None:
        self.writer.remark(f"{text}\n  {lines.escape(hint)}" if hint else text)
