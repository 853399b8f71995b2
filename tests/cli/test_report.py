"""`haul report`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.records.ledgers import make_job, make_ledger

if TYPE_CHECKING:
    from tests.cli.conftest import Box

FILES = {"report.html", "report.json", "completion.csv"}


@pytest.fixture(autouse=True)
def _applied(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)
    haul.bucket({"raw/a": b"1", "raw/b": b"22"})
    assert haul("plan", "copy", "s3://b/raw/", "s3://b/new/", "--job", "j").code == 0
    assert haul("apply", "j").code == 0


def test_a_report_lies_in_the_folder_of_its_job(haul: Box) -> None:
    result = haul("report")
    assert result.code == 0, result.err
    directory = haul.cwd / ".haul" / "jobs" / "j" / "report"
    assert {path.name for path in directory.iterdir()} == FILES
    assert str(directory / "report.html") in result.out.splitlines()


def test_a_report_goes_where_it_is_wanted(haul: Box) -> None:
    (event,) = haul("report", "j", "--to", "a/b", "--json").events
    assert {path.name for path in (haul.cwd / "a" / "b").iterdir()} == FILES
    assert event["summary"] == str(haul.cwd / "a" / "b" / "report.json")
    assert json.loads((haul.cwd / "a" / "b" / "report.json").read_text())["done"]["objects"] == 2


def test_a_records_job_has_a_report_with_its_dead_letters(haul: Box) -> None:
    where = haul.cwd / ".haul" / "jobs"
    make_ledger(make_job(str(where), "r")).close()
    (event,) = haul("report", "r", "--json").events
    assert (event["event"], event["records"], event["damaged"]) == ("report", 0, [])
    names = {path.name for path in (where / "r" / "report").iterdir()}
    assert names == {"report.html", "report.json", "dead-letters.jsonl"}
    (where / "r" / "records.db").write_bytes(b"nonsense")
    assert haul("report", "r").code == 2


def test_a_damaged_job_has_a_report_that_says_so_and_ends_in_2(haul: Box) -> None:
    (shard,) = (haul.cwd / ".haul" / "jobs" / "j" / "shards").glob("*.db")
    shard.write_bytes(b"nonsense")
    result = haul("report", "j")
    assert result.code == 2
    assert "damaged: " in result.out


def test_a_report_that_cannot_be_written_is_told(haul: Box) -> None:
    (haul.cwd / "file").write_bytes(b"")
    result = haul("report", "j", "--to", "file/below")
    assert result.code == 2
    assert "cannot be written" in result.err
    assert haul("report", "nope").code == 2
