from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.records.ledgers import START, letter, make_job, make_ledger

from haulyard.journal.folder import Holder, JobFolder
from haulyard.records.account import Account
from haulyard.records.ledger import Commit, Ledger
from haulyard.records.stages import FINISHED, LISTING, PROCESSING, UNKNOWN
from haulyard.records.status import RecordsStatus, next_steps, status_of


def _account() -> Account:
    account = Account(calls=11, retries=1, bytes_read=300)
    account.begin_run(START, 7, "host")
    account.end("delivered", START + 4, 8)
    account.end("rejected", START + 4, 2)
    account.throughput.add(START + 4, 0, 300)
    account.goes_on(START + 5)
    return account


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = make_job(str(tmp_path))
    with make_ledger(made) as ledger:
        ledger.commit(
            Commit(
                {"watermark": [3, 0, 0], "blocks": []},
                _account().to_json(),
                letters=[letter(1), letter(2, line=0)],
                unread={2: "cut short at 17"},
            )
        )
    made.write("state", {"stage": PROCESSING})
    return made


def test_people_read_where_it_stands_and_what_to_type_next(folder: JobFolder) -> None:
    assert status_of(folder).text().splitlines() == [
        "job: process s3://data/in/ to https://api.example/v1?key=${API_KEY}",
        "  begun, not finished",
        "  2 of 3 objects done, 300 B of 600 B read",
        "  10 records: 8 delivered, 2 failed (2 rejected)",
        "  11 calls, 1 of them again",
        "  5 s of work in 1 run, 2 records a second on the average",
        "  objects that cannot be read to their end, 1 of 1:",
        "    in/2.csv: cut short at 17",
        "  dead letters, 2 of 2:",
        "    in/1.csv, line 3: 422 no such city",
        "    in/1.csv, offset 0, row 2: 422 no such city",
        "  go on: haul process --job job",
        "  look at what failed: haul process --dead-letters job",
        "  send again what failed: haul process --retry-failed job",
        "  see what happened: haul report job",
    ]


def test_programs_read_the_same_as_numbers(folder: JobFolder) -> None:
    fields = status_of(folder).fields()
    assert (fields["records"], fields["delivered"], fields["failed"], fields["retries"]) == (10, 8, 2, 1)
    assert (fields["objects"], fields["objects_done"], fields["bytes"], fields["bytes_read"]) == (
        3,
        2,
        600,
        300,
    )
    assert (fields["dead_letters"], fields["objects_unread"]) == (2, 1)
    assert fields["unread"] == [{"key": "in/2.csv", "message": "cut short at 17"}]
    assert (fields["stage"], fields["running"], fields["seconds_left"]) == ("processing", False, None)


def test_its_line_in_the_table_counts_records(folder: JobFolder) -> None:
    assert status_of(folder).row() == ("job", "process", "processing", "10", "8", "2", "0", "0", "0")


def test_a_running_job_tells_by_whom_how_fast_and_how_long_still(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "holder", lambda: Holder(7, "host", "haul process", START))
    status = status_of(folder, clock=lambda: START + 10)
    assert (status.rate, status.byte_rate, status.seconds_left) == (1, 30, 10)
    assert status.lines()[1].startswith("  running: process 7 on host (haul process, since ")
    assert status.lines()[1].endswith("; 1 records a second, about 10 s left")
    assert [step.command for step in status.steps] == ["haul status job"]
    assert status.row()[2] == "running"
    # What was more than a minute ago makes no rate.
    assert status_of(folder, clock=lambda: START + 120).rate == 0


def test_it_is_told_while_somebody_writes(folder: JobFolder) -> None:
    with folder.lock("haul process"), Ledger.open(folder) as ledger:
        ledger.commit(Commit(account=Account(delivered=99).to_json()))
        status = status_of(folder)
        assert (status.is_running, status.account.delivered) == (True, 99)


def test_a_job_that_has_just_been_made_is_listing(tmp_path: Path) -> None:
    status = status_of(make_job(str(tmp_path)))
    assert (status.stage, status.listed, status.damaged) == (LISTING, None, ())
    assert status.lines()[1] == "  the source is not listed yet"
    assert status.fields()["objects"] is None


@pytest.mark.parametrize(
    ("stage", "letters", "commands"),
    [
        (LISTING, 0, ["haul process --job j", "haul report j"]),
        (PROCESSING, 0, ["haul process --job j", "haul report j"]),
        (FINISHED, 0, ["haul report j"]),
        (FINISHED, 2, ["haul process --dead-letters j", "haul process --retry-failed j", "haul report j"]),
        (UNKNOWN, 2, []),
    ],
)
def test_each_stage_has_its_next_commands(stage: str, letters: int, commands: list[str]) -> None:
    assert [step.command for step in next_steps("j", stage, letters, is_running=False)] == commands


@pytest.mark.parametrize(
    ("stage", "letters", "commands"),
    [
        (PROCESSING, 0, ["haul report j"]),
        (FINISHED, 2, ["haul process --dead-letters j", "haul report j"]),
    ],
)
def test_what_a_program_began_is_not_gone_on_with_by_a_command(
    stage: str, letters: int, commands: list[str]
) -> None:
    steps = next_steps("j", stage, letters, is_running=False, is_ours=False)
    assert [step.command for step in steps] == commands


def test_resolved_letters_are_not_told(folder: JobFolder) -> None:
    with Ledger.open(folder) as ledger:
        ledger.commit(Commit(resolved=[1], at=START))
    status = status_of(folder)
    assert status.letters == 1
    assert [name for name, _ in status.samples] == ["in/1.csv, offset 0, row 2"]


def test_what_is_damaged_is_said_and_not_raised(folder: JobFolder) -> None:
    with closing(sqlite3.connect(f"{folder.path}/records.db")) as connection, connection:
        connection.execute("UPDATE state SET body = '{}' WHERE name = 'account'")
    status = status_of(folder)
    assert "is damaged in its state 'account'" in status.damaged[0]
    assert "damaged" in status.text()
    assert status.row()[2] == "processing, damaged"


def test_a_missing_ledger_is_said(folder: JobFolder) -> None:
    Path(folder.path, "records.db").unlink()
    assert status_of(folder).damaged == ("records.db is missing",)


@pytest.mark.parametrize("stage", ["applied", None])
def test_a_stage_that_cannot_be_is_said(folder: JobFolder, stage: str | None) -> None:
    if stage:
        folder.write("state", {"stage": stage})
    else:
        Path(folder.path, "state.json").write_text("{}")
    status = status_of(folder)
    assert status.stage == UNKNOWN
    assert "state.json" in status.damaged[0]
    assert status.account.delivered == 8


def test_names_and_reasons_cannot_steer_a_terminal() -> None:
    status = RecordsStatus(
        "job",
        "s3://data/\x1b[2J",
        "https://api/",
        samples=(("a\r", "no\x1b[31m"),),
        letters=1,
        damaged=("\x07",),
    )
    assert not set("\x1b\r\x07") & set(status.text())
