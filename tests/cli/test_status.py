"""`haul status`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.records.ledgers import letter, make_job, make_ledger

from haulyard.cli import status
from haulyard.journal.folder import JobFolder
from haulyard.records.account import Account
from haulyard.records.ledger import Commit

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


def test_damaged_jobs_and_jobs_of_every_kind_are_in_the_table(haul: Box) -> None:
    plan(haul, "a-bulk")
    where = str(haul.cwd / ".haul" / "jobs")
    with make_ledger(make_job(where, "b-records")) as ledger:
        account = Account(delivered=3, rejected=1)
        ledger.commit(Commit(account=account.to_json(), letters=[letter(1)]))
    JobFolder.create(where, "c-other", {"kind": "other"})
    damaged = Path(make_job(where, "d-damaged").path, "job.json")
    damaged.write_text("{}")
    broken = make_job(where, "e-broken")
    Path(broken.path, "records.db").write_bytes(b"no database")
    broken.write("state", {"stage": "processing"})
    result = haul("status")
    assert [line.split()[:6] for line in result.out.splitlines()] == [
        ["job", "verb", "state", "objects", "done", "failed"],
        ["a-bulk", "copy", "planned", "2", "0", "0"],
        ["b-records", "process", "listing", "4", "3", "1"],
        ["c-other", "planning,", "damaged", "0", "0", "0"],
        ["d-damaged", "unknown", "0", "0", "0"],
        ["e-broken", "process", "processing,", "damaged", "0", "0"],
    ]
    events = haul("status", "--json").events
    assert [event["job"] for event in events] == ["a-bulk", "b-records", "c-other", "d-damaged", "e-broken"]
    assert (events[1]["records"], events[1]["dead_letters"]) == (4, 1)


def test_a_records_job_is_told_in_detail(haul: Box) -> None:
    make_ledger(make_job(str(haul.cwd / ".haul" / "jobs"), "r")).close()
    result = haul("status", "r")
    assert result.code == 0
    assert "r: process s3://data/in/ to https://api.example/v1?key=${API_KEY}" in result.out
    assert haul("status", "r", "--json").events[0]["objects"] == 3


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
