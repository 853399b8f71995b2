"""Runs of many jobs: bounded, accounted for, stoppable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.transfer.stumbling import Stumbling

from haulyard.errors import (
    AccessDenied,
    ConfigError,
    HaulError,
    PreconditionFailed,
    S3CredentialsError,
    S3NotFound,
    SourceChanged,
)
from haulyard.events import TransferDone, ignore
from haulyard.stores.local import LocalStore
from haulyard.transfer.copy import Copier
from haulyard.transfer.download import Downloader
from haulyard.transfer.engine import mover, run
from haulyard.transfer.items import Item, Job, Summary
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.upload import Uploader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Run:
    """Jobs named by numbers, and what became of them."""

    def __init__(self, *pages: Sequence[int]) -> None:
        self.pages = pages
        self.moved: list[int] = []
        self.outcomes: list[TransferDone] = []
        self.under_way = self.most = 0
        self.errors: dict[int, HaulError] = {}
        self.skipped: set[int] = set()
        self.stop_after = 10**9
        self.listing_fails = False

    async def jobs(self) -> AsyncIterator[list[Job]]:
        for page in self.pages:
            await asyncio.sleep(0)
            yield [Job(Item(str(number), number), f"d{number}") for number in page]
        if self.listing_fails:
            raise AccessDenied("the listing broke")

    async def move(self, job: Job) -> TransferDone:
        number = int(job.item.key)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if number in self.errors:
                raise self.errors[number]
            self.moved.append(number)
        finally:
            self.under_way -= 1
        action = "skip" if number in self.skipped else "copy"
        return TransferDone(action, job.item.key, job.destination, number)

    async def __call__(self, concurrency: int = 3, *, no_clobber: bool = False) -> Summary:
        return await run(
            self.jobs(),
            self.move,
            concurrency=concurrency,
            emit=self.outcomes.append,
            no_clobber=no_clobber,
            stopped=lambda: len(self.moved) >= self.stop_after,
            action="move",
            ends=("from/", "to/"),
        )


async def test_all_jobs_of_all_pages_are_done() -> None:
    jobs = Run(range(10), [], range(10, 12))
    summary = await jobs()
    assert summary._replace(seconds=0.0) == Summary(done=12, bytes=sum(range(12)))
    assert sorted(jobs.moved) == list(range(12))
    assert len(jobs.outcomes) == 12
    assert (await Run()())._replace(seconds=0.0) == Summary()


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_no_more_are_under_way_than_are_allowed(concurrency: int) -> None:
    jobs = Run(range(20))
    await jobs(concurrency)
    assert jobs.most == concurrency


async def test_an_object_that_fails_is_listed_and_the_others_go_on() -> None:
    jobs = Run(range(5))
    jobs.errors = {2: AccessDenied("no"), 4: HaulError("neither")}
    jobs.skipped = {1}
    summary = await jobs()
    assert summary._replace(seconds=0.0) == Summary(done=2, skipped=1, failed=2, bytes=3)
    failed = [outcome for outcome in jobs.outcomes if outcome.error is not None]
    assert TransferDone("move", "from/2", "to/d2", 2, error=jobs.errors[2]) in failed
    assert len(failed) == 2


@pytest.mark.parametrize(
    "error", [S3CredentialsError("x"), S3NotFound("x", code="NoSuchBucket"), ConfigError("x")]
)
async def test_what_concerns_all_ends_the_run(error: HaulError) -> None:
    jobs = Run(range(100))
    jobs.errors = {3: error}
    with pytest.raises(type(error)) as caught:
        await jobs()
    assert caught.value is error
    assert len(jobs.moved) < 10


async def test_what_nobody_foresaw_is_not_swallowed() -> None:
    jobs = Run(range(100))
    jobs.errors = {3: ZeroDivisionError("bug")}  # type: ignore[dict-item]
    with pytest.raises(ZeroDivisionError):
        await jobs()


async def test_a_listing_that_breaks_ends_the_run() -> None:
    jobs = Run(range(5))
    jobs.listing_fails = True
    with pytest.raises(AccessDenied, match="the listing broke"):
        await jobs()


@pytest.mark.parametrize("no_clobber", [True, False])
async def test_a_name_that_was_taken_meanwhile_is_no_failure_with_no_clobber(no_clobber: bool) -> None:
    jobs = Run([0, 1])
    jobs.errors = {0: PreconditionFailed("exists"), 1: SourceChanged("replaced")}
    summary = await jobs(no_clobber=no_clobber)
    assert (summary.skipped, summary.failed) == ((1, 1) if no_clobber else (0, 2))
    if no_clobber:
        assert TransferDone("skip", "from/0", "to/d0", 0, reason="exists already") in jobs.outcomes


class TestStopping:
    """What is in flight ends, nothing more is begun."""

    async def test_no_further_job_is_begun(self) -> None:
        jobs = Run(range(10), range(10, 20))
        jobs.stop_after = 4
        summary = await jobs(concurrency=3)
        assert summary.interrupted
        assert 4 <= len(jobs.moved) <= 6
        assert summary.done == len(jobs.moved) == len(jobs.outcomes)

    async def test_who_had_everything_in_flight_was_not_interrupted(self) -> None:
        for pages in ([[0, 1, 2]], [[0], [1], [2]]):
            jobs = Run(*pages)
            jobs.stop_after = 3
            assert not (await jobs(concurrency=3)).interrupted
            assert len(jobs.moved) == 3

    async def test_a_run_that_is_stopped_before_it_begins_does_nothing(self) -> None:
        jobs = Run([0])
        jobs.stop_after = 0
        assert (await jobs())._replace(seconds=0.0) == Summary(interrupted=True)
        assert jobs.moved == []


@pytest.mark.parametrize(
    ("source", "destination", "kind"),
    [("local", "memory", Uploader), ("memory", "local", Downloader), ("memory", "memory", Copier)],
)
def test_the_ends_choose_the_mover(tmp_path: Path, source: str, destination: str, kind: type) -> None:
    def store(name: str) -> Stumbling | LocalStore:
        return LocalStore(tmp_path) if name == "local" else Stumbling()

    assert isinstance(mover(store(source), store(destination), TransferOptions(), ignore), kind)


def test_two_directories_are_no_business_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both ends are local"):
        mover(LocalStore(tmp_path), LocalStore(tmp_path / "x"), TransferOptions(), ignore)
