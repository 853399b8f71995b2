"""The chapter of `haul demo` on shipping: XML events through `spool` and `ship`, with a kill each."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import sys
import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import quoteattr

from haulyard.cli.detached import detached
from haulyard.cli.playbill import Step, command_line, through
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from haulyard.cli.demo_telling import Telling

#: How many events there are, in a file, and in what is written to the socket at a time.
COUNT: Final = 20_000
_A_FILE: Final = 250
_A_BATCH: Final = 200
_DIRECTORY: Final = "spool"
_SOCKET: Final = "events.sock"
_BACK: Final = "events-back"
#: Seconds for a spool to begin to listen.
_PATIENCE: Final = 20.0


class Found(NamedTuple):
    """What came back: different events, how many of them more than once, and files."""

    events: int
    again: int
    files: int


class Shipping:
    """Its steps, told by ``telling``; below ``url``, which ends in a slash."""

    def __init__(self, telling: Telling, url: str, count: int = COUNT) -> None:
        self._telling = telling
        self._url = url
        self._count = count

    async def perform(self, text: str) -> str:
        """Write events made of the lines of the file ``text``, and ship them; return the verdict.

        Raises:
            TransferError: An event is not in the store.
        """
        telling = self._telling
        words = ("spool", _DIRECTORY, "--format", "xml", "--socket", _SOCKET, "--max-events", str(_A_FILE))
        events = await detached(lambda: list(itertools.islice(_events(text), self._count)))
        telling.say(f"events       {len(events):,} XML events, like {events[0].decode()[:70]}…")
        started = time.monotonic()
        done = await self._feed(words, events, kill_at=len(events) // 2)
        await self._feed(words, events[done:], kill_at=None)
        seconds = time.monotonic() - started
        remark = f"{len(events):,} events, all acknowledged, {done:,} before the kill"
        telling.show(Step("spool events", len(events), None, seconds, words, remark))
        kills = 1 + await self._ship()
        return await self._verdict(len(events), kills)

    async def _feed(self, words: tuple[str, ...], events: list[bytes], *, kill_at: int | None) -> int:
        """Write events to a spool until all are acknowledged, or ``kill_at``; return how many are."""
        self._telling.say_command(words, "again" if kill_at is None else "killed half-way")
        async with _spooling(self._telling, words) as process:
            reader, writer = await _connected(process)
            acknowledged = 0
            for start in range(0, len(events), _A_BATCH):
                some = events[start : start + _A_BATCH]
                writer.write(b"\n".join(some) + b"\n")
                await writer.drain()
                while acknowledged < start + len(some):
                    acknowledged = int(json.loads(await reader.readline())["events"])
                if kill_at is not None and acknowledged >= kill_at:
                    process.kill()
                    await process.wait()
                    break
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if kill_at is not None:
            self._telling.say(f"    {acknowledged:,} events were acknowledged")
        return acknowledged

    async def _ship(self) -> bool:
        """Ship what was spooled, and return whether that could be killed half-way."""
        telling, to = self._telling, f"{self._url}"
        words = ("ship", _DIRECTORY, "--to", to, "--settle", "0", "--after", "delete")
        sizes = [entry.stat().st_size for entry in os.scandir(_DIRECTORY) if entry.name.endswith(".xml")]
        files = len(sizes)
        # All of it takes a second, so that there is time to kill it.
        paced = (*words, "--bwlimit", f"{max(sum(sizes) >> 10, 1)}KiB", "--concurrency", "4")
        telling.say_command(paced, "killed half-way")
        there = await telling.stage.kill_when(paced, self._arrived, files // 2)
        telling.say(
            f"    {there:,} of {files:,} files had arrived" if there else "    it was done before the kill"
        )
        account, seconds = await telling.timed(words, "again")
        shipped = int(str(account.messages[-1].fields()["shipped"]))
        left = [name for name in os.listdir(_DIRECTORY) if name.endswith(".xml")]
        if left:
            raise TransferError(f"{len(left)} files were not shipped: {', '.join(left[:5])}")
        telling.show(Step("ship the rest", shipped, None, seconds, words))
        return there > 0

    async def _arrived(self) -> int:
        store, prefix = self._telling.stage.store(), self._telling.stage.key("events/")
        return sum([len(page.objects) async for page in store.list(prefix)])

    async def _verdict(self, wanted: int, kills: int) -> str:
        await self._telling.quietly(("cp", "-r", self._url, f"{_BACK}/"))
        found = await detached(partial(_read_back, _BACK))
        await detached(partial(shutil.rmtree, _BACK))
        if found.events != wanted:
            raise TransferError(f"of {wanted} events {found.events} were found in the store")
        again = f"{found.again:,} twice" if found.again else "none twice"
        files = f"{found.files:,} files in the store"
        return f"{wanted:,} XML events are in {files}{through(kills)}: none lost, {again}."


@asynccontextmanager
async def _spooling(telling: Telling, words: tuple[str, ...]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "haulyard", *words),
        env=telling.stage.environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _connected(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the spool once it listens."""
    until = time.monotonic() + _PATIENCE
    while process.returncode is None and time.monotonic() < until:
        with suppress(OSError):
            return await asyncio.open_unix_connection(_SOCKET)
        await asyncio.sleep(0.02)
    raise TransferError(f"{command_line(('spool', _DIRECTORY))} did not begin to listen")


def _events(text: str) -> Iterator[bytes]:
    """Make an event of each line of a text, and begin anew at its end."""
    with open(text, encoding="utf-8", errors="replace") as lines:
        told = [line.strip() for line in itertools.islice(lines, COUNT)] or [""]
    for number, line in enumerate(itertools.cycle(told), 1):
        printable = "".join(char if char.isprintable() else " " for char in line)
        yield f"<event id={quoteattr(str(number))}><line>{_escaped(printable)}</line></event>".encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _read_back(directory: str) -> Found:
    """Parse every file that came back."""
    from xml.etree import ElementTree as ET

    seen: set[str] = set()
    again = files = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            files += 1
            for event in ET.parse(os.path.join(parent, name)).getroot():  # noqa: S314 -- our own files
                number = event.attrib["id"]
                again += number in seen
                seen.add(number)
    return Found(len(seen), again, files)
