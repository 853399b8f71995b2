"""Move real files into a real S3 server and back, compare every byte, and time each step.

The files are the sources of Python's standard library, thousands of small ones, and flights.csv, a large
one. Then a bulk job sorts 2,000 objects by rules; it is killed half-way, continued, verified and undone. Then
a tenth of the flights go to an API that refuses some, 5,000 a second at most, through a kill as well; and
20,000 XML events are spooled and shipped, through two. The flights and the weather become tables of DuckDB,
which is asked how late flights leave in bad sight; and pandas and pyarrow read what was uploaded, through
fsspec. The server is the embedded one, started for this and gone afterwards; with a URL it is your own
store, where the demo works in a new prefix and removes it again. Each step is a command that you can type.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from contextlib import AbstractAsyncContextManager, chdir
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from haulyard.cli import demo_feeds, exits, flags
from haulyard.cli.demo_events import Shipping
from haulyard.cli.demo_files import Filesystem
from haulyard.cli.demo_frames import DataFrames
from haulyard.cli.demo_jobs import BulkJob
from haulyard.cli.demo_records import RecordsJob
from haulyard.cli.demo_tables import Tables
from haulyard.cli.demo_telling import Telling
from haulyard.cli.detached import detached
from haulyard.cli.formats import human_size
from haulyard.cli.inline import Interrupted
from haulyard.cli.places import s3_url
from haulyard.cli.playbill import Step, Table
from haulyard.errors import TransferError
from haulyard.events import RequestDone

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.cli.samples import Sample
    from haulyard.cli.stage import Stage
    from haulyard.events import Event
    from haulyard.url import S3Url

EXAMPLES = ("haul demo", "haul demo s3://demo")

#: Of the records that go to an API, and how many events are shipped.
SHARE = "10%"
EVENTS = 20_000
#: Parts of the upload that is killed, and speeds that leave time to do it: the next one is for where it was
#: done before the kill.
_PART: Final = 5 * 1024**2
_PACED: Final = ("--part-size", "5MiB", "--concurrency", "1", "--bwlimit")
_SPEEDS: Final = ("16MiB", "4MiB", "1MiB")


@dataclass(frozen=True, slots=True)
class Options:
    """Where it plays; None for a server of its own."""

    url: S3Url | None


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("url", nargs="?", default="", metavar="S3URL", help="a bucket or prefix of yours")
    flags.add(parser, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(s3_url(arguments.url, "demo") if arguments.url else None)


async def run(options: Options, context: Context) -> int:
    """Play all steps, and leave nothing behind."""
    try:
        await _perform(options, context)
    except Interrupted:
        context.output.note("interrupted")
        return exits.INTERRUPTED
    return exits.OK


async def _perform(options: Options, context: Context) -> None:
    import tempfile  # 8 ms that --help does not pay

    directory = tempfile.mkdtemp(prefix="haul-demo-")
    try:
        # Relative names keep the commands short enough to be read.
        with chdir(directory):
            async with _stage(options, context, directory) as stage:
                await _Play(stage, context).perform(makes_bucket=options.url is None)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _stage(options: Options, context: Context, directory: str) -> AbstractAsyncContextManager[Stage]:
    # Only here: --help pays for no server.
    from haulyard.cli.stage import embedded, in_bucket

    return in_bucket(context, options.url, directory) if options.url else embedded(context, directory)


class _Play:
    """The steps, in their order."""

    def __init__(self, stage: Stage, context: Context) -> None:
        self._stage = stage
        self._output = context.output
        self._subscribers = context.subscribers
        self._telling = Telling(stage, context.output)
        self._copies: list[str] = []
        """Names that the large file was uploaded under."""

    async def perform(self, *, makes_bucket: bool) -> None:
        """Play all of them, and show the table.

        Raises:
            TransferError: Something did not come back as it went.
        """
        small, large = await self._prepare()
        url, step = self._stage.url, self._telling.step
        if makes_bucket:
            await self._telling.timed(("mb", url.rstrip("/")))
        await step("upload small files", "sync", "stdlib/", f"{url}stdlib/")
        await step("list", "ls", "-r", "--summarize", f"{url}stdlib/", moves=False)
        await self._sync_again(small, "sync", "stdlib/", f"{url}stdlib/")
        await step("upload a large file", "cp", large.path, f"{url}large/")
        self._copies.append(os.path.basename(large.path))
        if large.size >= 2 * _PART:
            await self._kill_and_resume(large)
            self._copies.append("again")
        await step("copy in the bucket", "cp", "-r", f"{url}stdlib/", f"{url}copy/")
        await step("download small files", "cp", "-r", f"{url}copy/", "back/stdlib/")
        await step("download large files", "cp", "-r", f"{url}large/", "back/large/")
        verdicts = [await self._compare(large)]
        bulk = BulkJob(self._telling, f"{url}feeds/")
        verdicts.append(await bulk.perform(large.path, demo_feeds.COUNT))
        records = RecordsJob(self._telling, url)
        verdicts.append(await records.perform(large.path, SHARE))
        verdicts.append(await Shipping(self._telling, f"{url}events/", EVENTS).perform(large.path))
        verdicts.append(await Tables(self._telling, url).perform(large.path))
        verdicts.append(await Filesystem(self._telling, url).perform(large.path))
        verdicts.append(await DataFrames(self._telling, url).perform(large.path))
        await step("delete", "rm", "-r", url, moves=False)
        self._output.result(Table(self._telling.steps, "\n".join(filter(None, verdicts)), _hints()))

    async def _prepare(self) -> tuple[Sample, Sample]:
        from haulyard.cli.samples import large_file, standard_library

        small = await detached(lambda: standard_library("stdlib"))
        large = await detached(lambda: large_file(".", small))
        say = self._telling.say
        say(f"small files  {small.description}: {small.files:,} files, {human_size(small.size)}")
        say(f"large file   {large.description}: {human_size(large.size)}")
        say(f"store        {self._stage.described}")
        return small, large

    async def _sync_again(self, small: Sample, *words: str) -> None:
        """Run the sync once more: it has to find that all is there."""
        account, seconds = await self._telling.timed(words)
        if account.objects:
            raise TransferError(f"a repeated sync copied {account.objects} objects that had not changed")
        self._telling.show(Step("sync again", small.files, None, seconds, words, " ".join(account.notes)))

    async def _kill_and_resume(self, large: Sample) -> None:
        """Kill an upload half-way, and run the same command again."""
        parts = -(-large.size // _PART)
        words, there = await self._kill(large, parts)
        sent: list[int] = []

        def count(event: Event) -> None:
            if isinstance(event, RequestDone) and event.operation == "UploadPart":
                sent.append(event.sent)

        self._subscribers.add(count)
        try:
            _, seconds = await self._telling.timed(words, "again")
        finally:
            self._subscribers.remove(count)
        if len(sent) > parts - there:
            raise TransferError(
                f"an upload was killed after {there} of {parts} parts; {len(sent)} were sent again"
            )
        remark = f"{parts - len(sent)} of {parts} parts were not sent again"
        self._telling.show(Step("resume a killed upload", 1, sum(sent), seconds, words, remark))

    async def _kill(self, large: Sample, parts: int) -> tuple[tuple[str, ...], int]:
        """Kill an upload half-way; return its command, and how many parts are not to be sent again."""
        arrived = partial(self._stage.parts, self._stage.key("large/again"))
        words: tuple[str, ...] = ()
        for speed in _SPEEDS:
            words = ("cp", *_PACED, speed, large.path, f"{self._stage.url}large/again")
            self._telling.say_command(words, "killed half-way")
            if there := await self._stage.kill_when(words, arrived, parts // 2):
                self._telling.say(f"    {there} of {parts} parts had arrived")
                return words, there
            self._telling.say("    it was done before the kill")
        return words, 0

    async def _compare(self, large: Sample) -> str:
        """Compare all that came back, and return the verdict."""
        from haulyard.cli.samples import compare

        os.mkdir("large")
        for name in self._copies:
            os.link(large.path, os.path.join("large", name))
        started = time.monotonic()
        pairs = [await detached(partial(compare, name, f"back/{name}")) for name in ("stdlib", "large")]
        seconds = time.monotonic() - started
        files, size = sum(each.files for each in pairs), sum(each.size for each in pairs)
        different = [name for each in pairs for name in each.different]
        if different:
            named = ", ".join(different[:5])
            raise TransferError(f"{len(different)} of {files} files came back changed or not at all: {named}")
        self._telling.say("compare byte for byte")
        self._telling.show(Step("compare", files, size, seconds, remark=f"{files:,} files are the same"))
        return f"All {files:,} files came back byte for byte the same."


def _hints() -> list[str]:
    """Return what to try next."""
    hints = [
        'eval "$(haul local start --export)"   # a server to try everything on',
        "haul mb s3://demo && echo hello | haul put - s3://demo/hello.txt",
        "haul plan --help                      # sort objects by rules, as above",
        "haul process --help                   # records to an API, as above",
        "haul ship --help                      # files from a directory into S3, as above",
        "haul ingest --help                    # files into tables, as above",
        "haul doctor s3://demo                 # credentials, network, permissions",
        "haul --help",
    ]
    if not shutil.which("haul"):
        hints.insert(0, f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH")
    return hints
