"""`haul status`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from haulyard.cli import status
from haulyard.journal.folder import JobFolder

if TYPE_CHECKING:
    from tests.cli.conftest import Box

    from haulyard.cli.stop import Stop


@pytest.fixture(autouse=True)
def _at_home(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)
    haul.bucket({"raw/a": b"1", "raw/b": b"22"})


def plan(haul: Box, name: str) -> None:
    assert haul("plan", "copy", "s3://b/raw/", f"s3://b/{name}/", "--job", name).code == 0


def test_without_jobs_it_says_so(haul: Box) -> None:
    result = haul("status")
    assert (result.code, result.out) == (0, "")
    assert "there are no jobs in" in result.err


def test_all_jobs_are_in_one_table(haul: Box) -> None:
    plan(haul, "one")
    plan(haul, "two")
    assert haul("apply", "two").code == 0
    result = haul("status")
    assert [line.split() for line in result.out.splitlines()] == [
        ["job", "verb", "state", "objects", "done", "failed"],
        ["one", "copy", "planned", "2", "0", "0"],
        ["two", "copy", "applied", "2", "2", "0"],
    ]
    assert [event["job"] for event in haul("status", "--json").events] == ["one", "two"]


def test_one_job_is_told_in_detail_with_what_follows(haul: Box) -> None:
    plan(haul, "one")
    result = haul("status", "one")
    assert result.code == 0
    assert "planned, not begun" in result.out
    assert "haul apply one" in result.out
    (event,) = haul("status", "one", "--json").events
    assert (event["event"], event["stage"], event["left"]) == ("status", "planned", 2)


def test_jobs_elsewhere_are_found_by_their_directory(haul: Box) -> None:
    assert haul("plan", "delete", "s3://b/raw/", "--job", "j", "--job-dir", "else where").code == 0
    assert haul("status", "j").code == 2
    assert haul("status", "j", "--job-dir", "else where").code == 0
    done = haul("apply", "j", "--job-dir", "else where")
    assert "haul undo j --job-dir 'else where'" in done.out


def test_a_damaged_job_is_shown_and_ends_in_2(haul: Box) -> None:
    plan(haul, "one")
    (shard,) = (haul.cwd / ".haul" / "jobs" / "one" / "shards").glob("*.db")
    shard.write_bytes(b"nonsense")
    result = haul("status", "one")
    assert result.code == 2
    assert "damaged" in result.out
    assert haul("status").code == 0


def test_watching_ends_when_nobody_works_on_the_job(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(haul, "one")
    with ExitStack() as held:
        held.enter_context(JobFolder.open(str(haul.cwd / ".haul" / "jobs"), "one").lock("haul apply"))

        async def pause(_stop: Stop) -> None:
            held.close()

        monkeypatch.setattr(status, "pause", pause)
        result = haul("status", "one", "--watch", "--json")
    assert result.code == 0
    assert [event["running"] for event in result.events] == [True, False]


def test_watching_is_for_one_job(haul: Box) -> None:
    assert haul("status", "--watch").code == 2
    assert haul("status", "nope").code == 2
