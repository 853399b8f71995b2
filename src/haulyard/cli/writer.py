"""The two standard streams, as bytes: results collected into pages, remarks written at once."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.models.body import Buffer

# Large enough that a write costs nothing beside its lines, small enough to be seen soon.
_PAGE_BYTES = 64 * 1024
# Bytes of objects are written in pieces of this size, each in a thread: fewer, larger ones cost less.
_RAW_BYTES = 1024 * 1024
# How long a line may wait in the buffer while the command does something else, in seconds.
_PATIENCE = 0.1


class Writer:
    """Standard output and standard error of a command.

    On a terminal each line is written at once, elsewhere in pages. All methods that write raise
    BrokenPipeError where the reader of ``out`` went away.
    """

    def __init__(self, out: BinaryIO, err: BinaryIO) -> None:
        self.err = err
        self.on_terminal = err.isatty()
        """Whether what is said on standard error is seen at once by a person."""
        self.later: Callable[[float, Callable[[], None]], object] | None = None
        """Arranges for a call after some seconds, while an event loop runs."""
        self.aside: Callable[[], None] | None = None
        """Called before anything is written to a terminal: clears a progress bar."""
        self.failed = False
        """Whether standard output could not be written."""
        self._out = out
        self._waiting: list[str] = []
        self._size = 0
        self._immediate = out.isatty()
        self._armed = False
        self._broken: BrokenPipeError | None = None
        self._raw = bytearray()

    @property
    def shows_results(self) -> bool:
        """Whether standard output is a terminal."""
        return self._immediate

    def line(self, text: str) -> None:
        """Write a line of standard output, or several at once."""
        self._waiting.append(text)
        self._size += len(text) + 1
        if self._immediate or self._size >= _PAGE_BYTES:
            self.flush()
        elif not self._armed and self.later is not None:
            self._armed = True
            self.later(_PATIENCE, self._flush_later)

    def remark(self, text: str) -> None:
        """Write a line of standard error."""
        # In the order in which things happened, where both streams are the same terminal.
        if self._immediate:
            self.flush()
        if self.aside is not None:
            self.aside()
        self.err.write((text + "\n").encode(errors="backslashreplace"))
        self.err.flush()

    async def raw(self, chunk: Buffer) -> None:
        """Write bytes of an object to standard output; `drain` writes those that still wait."""
        self._raw += chunk
        if len(self._raw) >= _RAW_BYTES:
            await self.drain()

    async def drain(self) -> None:
        """Wait until all bytes of objects are written.

        A pipe's reader may pause for as long as it likes, and Ctrl-C must be heard meanwhile.
        """
        # asyncio: 50 ms that --help does not pay.
        from haulyard.cli.detached import detached

        self.flush()
        content, self._raw = self._raw, bytearray()
        if content:
            await detached(lambda: self._write(content))

    def direct(self, content: Buffer) -> None:
        """Write bytes to standard output now, behind the lines that wait."""
        self.flush()
        self._write(content)

    def flush(self) -> None:
        """Write the lines that wait."""
        self._armed = False
        if self._broken is not None:
            raise self._broken
        if self._waiting:
            page = "\n".join(self._waiting) + "\n"
            self._waiting.clear()
            self._size = 0
            self._write(page.encode(errors="surrogateescape"))

    def abandon(self) -> None:
        """Give standard output up: it failed, and the interpreter must not find that out again at its end."""
        self._waiting.clear()
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._out.fileno())
            os.close(null)

    def _flush_later(self) -> None:
        # Inside the event loop nobody hears an exception; the next result raises it.
        try:
            self.flush()
        except BrokenPipeError as error:
            self._broken = error

    def _write(self, data: Buffer) -> None:
        if self._immediate and self.aside is not None:
            self.aside()
        try:
            self._out.write(data)
            self._out.flush()
        except OSError as error:
            self.failed = True
            # Becomes a BrokenPipeError again where it was one.
            raise OSError(error.errno, error.strerror, "standard output") from None
