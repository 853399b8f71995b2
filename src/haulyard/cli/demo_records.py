"""The chapter of `haul demo` on records: they go to an API that refuses a few, through a kill, and arrive."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.cli import exits
from haulyard.cli.detached import detached
from haulyard.cli.playbill import Step, through
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.cli.demo_telling import Telling

_JOB: Final = "records"
_LOG: Final = "api-calls.jsonl"
#: Calls a second that the API allows, and that are made.
_RATE: Final = 5000
#: Of the API's calls: each so many fails for the moment; of another so many some are refused.
_UNAVAILABLE: Final = '{"status": 503, "every": 499}'
_REFUSED: Final = '{"status": 422, "every": 97, "times": %d}'
_REFUSALS: Final = 10
#: Of how many records a file in place of flights.csv is made.
_LINES: Final = 20_000
#: Lines of `haul status` that say how it stands.
_STANDING: Final = 4


class Seen(NamedTuple):
    """What the API's log says: records that arrived, calls that brought one again, most calls in a second."""

    records: int
    again: int
    most: int


class RecordsJob:
    """Its steps, told by ``telling``; ``url`` ends in a slash."""

    def __init__(self, telling: Telling, url: str) -> None:
        self._telling = telling
        self._url = url

    async def perform(self, large: str, share: str) -> str:
        """Send a ``share`` (``10%``) of the records of ``large``, which is uploaded; return the verdict.

        Raises:
            TransferError: A record is neither at the API nor among the dead letters.
        """
        telling = self._telling
        if large.endswith(".csv"):
            source, sample = f"{self._url}large/{os.path.basename(large)}", ["--sample", share]
        else:
            await detached(partial(_make_lines, large, "lines.csv"))
            source, sample = f"{self._url}records/lines.csv", []
            await telling.step("upload records", "cp", "lines.csv", source)
        async with _api() as address:
            telling.say(
                f"API          {address}: {_RATE:,} calls a second, some fail, {_REFUSALS} are refused"
            )
            ends = ("process", source, "--to", f"{address}/records")
            words = (*ends, *sample, "--job", _JOB, "--rate", f"{_RATE}/s")
            account, seconds = await telling.timed((*words, "--dry-run"))
            wanted = int(str(account.messages[-1].fields()["calls"]))
            telling.show(
                Step("look at the records", wanted, None, seconds, words, f"{wanted:,} calls to make")
            )
            killed = await self._kill(words, wanted)
            await self._resume(words, wanted)
            await self._retry()
        return await self._verdict(wanted, killed=killed)

    async def _kill(self, words: tuple[str, ...], wanted: int) -> bool:
        """Kill it half-way, and show how it stands; return whether it could be killed."""
        telling = self._telling
        telling.say_command(words, "killed half-way")
        done = await telling.stage.kill_when(words, self._ended, wanted // 2)
        telling.say(f"    {done:,} records were answered" if done else "    it was done before the kill")
        account, _ = await telling.timed(("status", _JOB))
        telling.quote(account.messages[-1].text().splitlines()[:_STANDING])
        return done > 0

    async def _resume(self, words: tuple[str, ...], wanted: int) -> None:
        telling = self._telling
        before = await self._ended()
        account, seconds = await telling.timed(words, "again", also=exits.FAILED)
        fields = account.messages[-1].fields()
        sent = int(str(fields["delivered"])) + int(str(fields["failed"]))
        if sent != wanted:
            raise TransferError(f"of {wanted} records {sent} were accounted for")
        telling.quote(account.messages[-1].text().splitlines()[:7])
        telling.show(Step("resume the records", wanted - before, None, seconds, words))

    async def _retry(self) -> None:
        """Send again what the API has refused."""
        telling = self._telling
        account, _ = await telling.timed(("process", "--dead-letters", _JOB))
        refused = account.objects
        telling.say(f"    {refused} dead letters, each with its address and the API's answer")
        words = ("process", "--retry-failed", _JOB, "--rate", f"{_RATE}/s")
        account, seconds = await telling.timed(words)
        left = int(str(account.messages[-1].fields()["dead_letters"]))
        if left:
            raise TransferError(f"{left} records were refused a second time")
        telling.show(Step("send the refused again", refused, None, seconds, words))

    async def _verdict(self, wanted: int, *, killed: bool) -> str:
        seen = await detached(partial(_read_log, _LOG))
        if seen.records != wanted or seen.most > _RATE:
            raise TransferError(
                f"of {wanted} records {seen.records} arrived, and {seen.most} calls came within a second"
            )
        return (
            f"{wanted:,} records reached an API{through(killed)}: none lost, {seen.again:,} sent twice, "
            f"never more than {seen.most:,} calls in a second."
        )

    async def _ended(self) -> int:
        """Return how many records came to their end, as the ledger says while another process writes it."""
        from haulyard.errors import JobError
        from haulyard.journal.folder import JobFolder
        from haulyard.records.status import status_of

        try:
            folder = JobFolder.open(self._telling.stage.job_directory, _JOB)
        except JobError:
            return 0
        account = status_of(folder).account
        return account.delivered + account.failures


@asynccontextmanager
async def _api() -> AsyncIterator[str]:
    """Run an API as a process of its own, whose log outlives whoever is killed, and yield its address."""
    rules = ("--rule", _UNAVAILABLE, "--rule", _REFUSED % _REFUSALS)
    words = ("--log", _LOG, "--limit", f"{_RATE}/1", *rules)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "haulyard.testing.api", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        address = (await process.stdout.readline()).decode().strip() if process.stdout else ""
        if not address:
            raise TransferError("the API of the demo did not start")
        yield address
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _read_log(path: str) -> Seen:
    """Return what the API saw."""
    from haulyard.testing.api import read_log

    delivered: set[str] = set()
    again = most = 0
    recent: deque[float] = deque()
    for call in read_log(path):
        recent.append(call.time)
        while recent[0] <= call.time - 1.0:
            recent.popleft()
        most = max(most, len(recent))
        if call.delivered:
            again += call.key in delivered
            delivered.add(call.key)
    return Seen(len(delivered), again, most)


def _make_lines(text: str, path: str) -> None:
    """Make a CSV file of lines of a text."""
    import csv

    with open(text, encoding="utf-8", errors="replace") as lines, open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "text"))
        for number, line in zip(range(1, _LINES + 1), lines, strict=False):
            writer.writerow((number, line.rstrip("\n")))
