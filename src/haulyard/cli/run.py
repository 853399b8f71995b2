"""Run commands from a file, one a line, in parallel, over shared connections.

Lines are split as a shell would (quotes, # comments), without expansion: `cp s3://b/a.txt out/`. A line
that fails is reported with its number, and the others go on.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import exits, flags
from haulyard.cli.detached import detached
from haulyard.cli.faults import explain, pick
from haulyard.cli.script import Script
from haulyard.errors import ConfigError, NotFound
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.cli.script import Line
    from haulyard.config import Settings

EXAMPLES = (
    "printf 'ls s3://demo\\nhead s3://demo/hello.txt\\n' | haul run -",
    "echo 'cp s3://demo/hello.txt copy-of-hello.txt' > lines; haul run lines --jobs 8",
)

_CHUNK = 256 * 1024
_STDIN = 0


@dataclass(frozen=True, slots=True)
class Options:
    """Where the lines are, and how many run at a time; 0 for as many as requests may be in flight."""

    source: str
    jobs: int


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("source", metavar="FILE", help="a file of commands, or - for standard input")
    parser.add_argument(
        "-j", "--jobs", type=int, default=0, metavar="N", help="lines at a time (as --concurrency)"
    )
    flags.add(parser, flags.CONNECTION, flags.SOURCE, flags.TRANSFER, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    if arguments.jobs < 0:
        raise ConfigError("--jobs is a number of lines", hint="write --jobs 8")
    return Options(arguments.source, arguments.jobs)


async def run(options: Options, context: Context) -> int:
    """Run the lines and return 0, the code that all ended with, or 1."""
    fd = _STDIN if options.source == "-" else _open(options.source)
    try:
        runner = _Runner(_Lines(fd, context), context)
        with context.stop.attended():
            await run_workers(runner.work, options.jobs or context.settings.concurrency)
    finally:
        if fd != _STDIN:
            os.close(fd)
    if context.stop.requested:
        following = runner.lines.number + 1
        context.output.note(f"stopped; the first line that was not begun is line {following}")
        return exits.INTERRUPTED
    return exits.combine(runner.codes)


class _Runner:
    """Takes lines and runs them; several workers share one."""

    def __init__(self, lines: _Lines, context: Context) -> None:
        self.lines = lines
        self.codes: set[int] = set()
        self._context = context
        self._script = Script()
        self._settings: dict[tuple[tuple[str, object], ...], Settings] = {(): context.settings}

    async def work(self) -> None:
        while (taken := await self.lines.next()) is not None:
            number, text = taken
            output = self._context.output.at(f"line {number}", "run")
            try:
                line = self._script.parse(text)
                if line is None:
                    continue
                context = self._context.inside(self._settings_of(line), output)
                outcome = line.module.run(line.module.read(line.arguments), context)
                self.codes.add(outcome if isinstance(outcome, int) else await outcome)
            except BrokenPipeError:
                raise
            except Exception as error:  # noqa: BLE001 -- a line that fails does not end the others
                cause = pick(error)
                output.error(explain(cause))
                self.codes.add(exits.exit_code(cause))

    def _settings_of(self, line: Line) -> Settings:
        if not line.flagged:
            return self._context.settings
        given = flags.settings_given(line.arguments)
        key = tuple(given.items())
        found = self._settings.get(key)
        if found is None:
            found = self._settings[key] = self._context.resolve(given)
        return found


class _Lines:
    """The lines of a file descriptor, handed out one by one; ``number`` is that of the last, from 1."""

    def __init__(self, fd: int, context: Context) -> None:
        self.number = 0
        self._fd = fd
        self._context = context
        self._ready: deque[bytes] = deque()
        self._rest = b""
        self._over = False
        self._turn = asyncio.Lock()

    async def next(self) -> tuple[int, str] | None:
        """Return the next line and its number; None at the end, and where no more are wanted."""
        while not self._ready:
            async with self._turn:
                if self._ready:
                    break
                if self._over or self._context.stop.requested:
                    return None
                await self._read()
        if self._context.stop.requested:
            return None
        self.number += 1
        # Keys and file names are bytes; those that are not UTF-8 keep them.
        return self.number, self._ready.popleft().decode(errors="surrogateescape")

    async def _read(self) -> None:
        chunk = await self._read_chunk()
        if not chunk:
            self._over = True
            lines = [self._rest] if self._rest else []
        else:
            *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._ready.extend(lines)

    async def _read_chunk(self) -> bytes:
        """Return what can be read; nothing at the end, or where stopping is requested before more comes."""
        reading = asyncio.ensure_future(detached(lambda: os.read(self._fd, _CHUNK)))
        stopping = asyncio.ensure_future(self._context.stop.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else b""
        finally:
            reading.cancel()
            stopping.cancel()


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file", store="local", operation="run", key=path) from None
