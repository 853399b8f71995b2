"""The chapter of `haul demo` on bulk jobs: objects are sorted by rules, through a kill, and put back."""

from __future__ import annotations

import os
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from haulyard.cli import demo_feeds
from haulyard.cli.detached import detached
from haulyard.cli.formats import human_size
from haulyard.cli.playbill import Step, through
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from haulyard.cli.demo_feeds import Feeds
    from haulyard.cli.demo_telling import Telling

#: The job's name, and its two directories.
_JOB: Final = "sorting"
_RULES: Final = "rules.toml"
_BACK: Final = "feeds-back"
#: Lines of `haul status` that say how it stands; behind them stands what to type next.
_STANDING: Final = 3


class BulkJob:
    """Its steps, told by ``telling``; below ``url``, which ends in a slash."""

    def __init__(self, telling: Telling, url: str) -> None:
        self._telling = telling
        self._url = url

    async def perform(self, text: str, count: int) -> str:
        """Play all of them with ``count`` files cut out of the file ``text``; return the verdict.

        Raises:
            TransferError: Something is not where it belongs.
        """
        telling = self._telling
        feeds = await detached(partial(demo_feeds.make_feeds, "feeds", "sorted", text, count))
        telling.say(
            f"feeds        {feeds.files:,} small files as partners send them: {human_size(feeds.size)}"
        )
        await telling.step("upload feeds", "cp", "feeds/", self._url)
        await self._plan()
        killed = await self._kill(feeds)
        await self._resume(feeds)
        await self._compare(feeds, feeds.after, "is at its place, once, with its content")
        await self._report()
        account, seconds = await telling.timed(("undo", _JOB))
        undone = int(str(account.messages[-1].fields()["done"]))
        telling.show(Step("undo the move", undone, None, seconds, ("undo", _JOB)))
        await self._compare(feeds, feeds.before, "is where it was, with its content")
        sorted_ = f"{feeds.moved:,} objects were sorted by rules{through(killed)}, and put back"
        return f"{sorted_}: none lost, none twice."

    async def _plan(self) -> None:
        telling = self._telling
        await detached(_write_rules)
        telling.say(f"$ cat {_RULES}")
        telling.quote(demo_feeds.RULES.splitlines())
        words = ("plan", "move", f"{self._url}incoming/", self._url, "--rules", _RULES, "--job", _JOB)
        account, seconds = await telling.timed(words)
        summary = account.messages[-1]
        telling.quote(summary.text().splitlines())
        objects = int(str(summary.fields()["objects"]))
        telling.show(Step("plan a bulk move", objects, None, seconds, words))

    async def _kill(self, feeds: Feeds) -> bool:
        """Kill the move half-way, and show how it stands; return whether it could be killed."""
        # At three requests an object it takes more than a second, so that there is time to kill it.
        telling, words = self._telling, ("apply", _JOB, "--rate", str(2 * feeds.moved))
        telling.say_command(words, "killed half-way")
        done = await telling.stage.kill_when(words, self._done, feeds.moved // 2)
        telling.say(
            f"    {done:,} of {feeds.moved:,} were moved" if done else "    it was done before the kill"
        )
        account, _ = await telling.timed(("status", _JOB))
        telling.quote(account.messages[-1].text().splitlines()[:_STANDING])
        return done > 0

    async def _done(self) -> int:
        """Return how many objects are moved, as the job's journal says while another process writes it."""
        from haulyard.jobs.model import Phase
        from haulyard.jobs.status import status_of
        from haulyard.journal.folder import JobFolder

        folder = JobFolder.open(self._telling.stage.job_directory, _JOB)
        return status_of(folder).phases.get(Phase.DONE, 0)

    async def _resume(self, feeds: Feeds) -> None:
        telling, words = self._telling, ("apply", _JOB)
        before = await self._done()
        account, seconds = await telling.timed(words, "again")
        rest = int(str(account.messages[-1].fields()["done"]))
        if await self._done() != feeds.moved or before + rest != feeds.moved:
            raise TransferError(
                f"of {feeds.moved} objects {before} were moved before the kill and {rest} after it"
            )
        telling.show(Step("resume the killed move", rest, None, seconds, words))

    async def _compare(self, feeds: Feeds, expected: str, finding: str) -> None:
        """Fetch everything, and compare it with what is expected: same names, same bytes, nothing else."""
        from haulyard.cli.samples import compare

        started = time.monotonic()
        await self._telling.quietly(("cp", "-r", self._url, f"{_BACK}/"))
        found = await detached(partial(compare, expected, _BACK))
        await detached(partial(shutil.rmtree, _BACK))
        if found.different:
            named = ", ".join(found.different[:5])
            raise TransferError(
                f"{len(found.different)} of {feeds.files} objects are not as expected: {named}"
            )
        self._telling.say("fetch and compare all of them")
        remark = f"each of {found.files:,} objects {finding}"
        seconds = time.monotonic() - started
        self._telling.show(Step("compare", found.files, found.size, seconds, remark=remark))

    async def _report(self) -> None:
        words = ("report", _JOB, "--to", "report")
        account, seconds = await self._telling.timed(words)
        fields = account.messages[-1].fields()
        remark = f"{_page(str(fields['page']))}: {fields['done']:,} done, {fields['failed']:,} failed"
        self._telling.show(Step("report", int(str(fields["done"])), None, seconds, words, remark))


def _write_rules() -> None:
    with open(_RULES, "w", encoding="utf-8") as file:
        file.write(demo_feeds.RULES)


def _page(path: str) -> str:
    """Return what a page is called from here, and its size."""
    return f"{os.path.relpath(path)}, {human_size(os.path.getsize(path))}"
