"""What a command says: results on standard output, everything else on standard error.

Every message renders as text and, under ``--json``, as one JSON object a line. Results are collected and
written in pages; on a terminal every line is written at once.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol

from haulyard.observe import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from haulyard.events import TransferDone
    from haulyard.models.body import Buffer
    from haulyard.observe.stats import Statistics

# Large enough that a write costs nothing beside its lines, small enough to be seen soon.
_PAGE_BYTES = 64 * 1024
# Bytes of objects are written in pieces of this size, each in a thread: fewer, larger ones cost less.
_RAW_BYTES = 1024 * 1024
# How long a line may wait in the buffer while the command does something else, in seconds.
_PATIENCE = 0.1


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
    """The two streams of a command.

    ``later(seconds, call)`` arranges for a call while an event loop runs (it flushes what waits); without
    one, results are flushed by `close`. Raises BrokenPipeError where the reader of ``out`` went away.
    """

    def __init__(self, out: BinaryIO, err: BinaryIO, *, as_json: bool = False, verb: str = "") -> None:
        self.as_json = as_json
        self.verb = verb
        self.later: Callable[[float, Callable[[], None]], object] | None = None
        self.aside: Callable[[], None] | None = None
        """Called before anything is written: clears a progress bar."""
        self.err = err
        self.on_terminal = err.isatty()
        """Whether what is said on standard error is seen at once by a person."""
        self._out = out
        self._waiting: list[str] = []
        self._size = 0
        self._immediate = out.isatty()
        self._armed = False
        self._broken: BrokenPipeError | None = None
        self._raw = bytearray()

    def result(self, message: Message) -> None:
        """Write one result."""
        self._add(lines.json_line(message.kind, message.fields()) if self.as_json else message.text())

    def results(self, messages: Iterable[Message]) -> None:
        """Write a page of results at once."""
        if self.as_json:
            page = [lines.json_line(message.kind, message.fields()) for message in messages]
        else:
            page = [message.text() for message in messages]
        if page:
            self._add("\n".join(page))

    def lines(self, page: list[str]) -> None:
        """Write a page of lines that were rendered already."""
        if page:
            self._add("\n".join(page))

    def transfer(self, event: TransferDone) -> None:
        """Write the fate of one object: a result, or a failure with its hint on standard error."""
        text = "" if self.as_json else lines.transfer_text(event)
        if self.as_json:
            text = lines.json_line("object", lines.fields(event))
        if event.error is None:
            self._add(text)
        else:
            self._say(text, "" if self.as_json else getattr(event.error, "hint", ""))

    def note(self, text: str) -> None:
        """Say something on standard error that is neither result nor fault; programs get it as ``note``."""
        self._say(lines.json_line("note", {"message": text}) if self.as_json else text)

    def warn(self, message: str, hint: str = "") -> None:
        """Say on standard error what a person should know although the work goes on."""
        if self.as_json:
            self._say(lines.json_line("warning", {"message": message, "hint": hint}))
        else:
            self._say(f"{self._prefix}warning: {lines.escape(message)}", hint)

    def error(self, error: BaseException, *, where: str = "") -> None:
        """Say on standard error what happened (one line) and what to do about it (one more)."""
        if self.as_json:
            extra: dict[str, object] = {"where": where} if where else {}
            self._say(lines.json_line("error", {**extra, **lines.error_fields(error)}))
            return
        place = f"{where}: " if where else ""
        text = lines.escape(lines.describe_error(error))
        self._say(f"{self._prefix}{place}{text}", getattr(error, "hint", ""))

    def statistics(self, statistics: Statistics) -> None:
        """Say on standard error what came together."""
        if self.as_json:
            self._say(lines.json_line("statistics", statistics.fields()))
        else:
            for line in statistics.lines():
                self._say(f"info: {line}")

    def log(self, line: str) -> None:
        """Write one line of the log on standard error."""
        self._say(line)

    async def raw(self, chunk: Buffer) -> None:
        """Write bytes of an object to standard output; `drain` writes those that still wait."""
        self._raw += chunk
        if len(self._raw) >= _RAW_BYTES:
            await self.drain()

    async def drain(self) -> None:
        """Wait until all bytes of objects are written.

        A pipe's reader may pause for as long as it likes, and Ctrl-C must be heard meanwhile.
        """
        from haulyard.cli.detached import detached

        self.flush()
        content, self._raw = self._raw, bytearray()
        if content:
            await detached(lambda: self._write(content))

    def flush(self) -> None:
        """Write what waits.

        Raises:
            BrokenPipeError: The reader went away.
        """
        self._armed = False
        if self._broken is not None:
            raise self._broken
        if self._waiting:
            page = "\n".join(self._waiting) + "\n"
            self._waiting.clear()
            self._size = 0
            self._write(page.encode(errors="surrogateescape"))

    def abandon(self) -> None:
        """Give standard output up: its reader is gone, and the interpreter must not find that out again."""
        self._waiting.clear()
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._out.fileno())
            os.close(null)

    @property
    def _prefix(self) -> str:
        return f"haul {self.verb}: " if self.verb else "haul: "

    def _add(self, text: str) -> None:
        self._waiting.append(text)
        self._size += len(text) + 1
        if self._immediate or self._size >= _PAGE_BYTES:
            self.flush()
        elif not self._armed and self.later is not None:
            self._armed = True
            self.later(_PATIENCE, self._flush_later)

    def _flush_later(self) -> None:
        # Inside the event loop nobody hears an exception; the next result raises it.
        try:
            self.flush()
        except BrokenPipeError as error:
            self._broken = error

    def _write(self, data: Buffer) -> None:
        if self._immediate and self.aside is not None:
            self.aside()
        self._out.write(data)
        self._out.flush()

    def _say(self, text: str, hint: str = "") -> None:
        # In the order in which things happened, where both streams are the same terminal.
        if self._immediate:
            self.flush()
        if self.aside is not None:
            self.aside()
        if hint:
            text += f"\n  {lines.escape(hint)}"
        self.err.write((text + "\n").encode(errors="backslashreplace"))
        self.err.flush()
