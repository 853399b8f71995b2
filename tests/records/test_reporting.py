from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.records.ledgers import START, letter, make_job, make_ledger

from haulyard.errors import ConfigError
from haulyard.events import Warned
from haulyard.records.account import Account
from haulyard.records.ledger import Commit, Ledger
from haulyard.records.model import SourceObject
from haulyard.records.reporting import RecordsReported, write_report

if TYPE_CHECKING:
    from haulyard.events import Event
    from haulyard.journal.folder import JobFolder


def _account() -> Account:
    account = Account(calls=1010, retries=10, refused=4, bytes_read=4096)
    for run in range(2):
        account.begin_run(START + run * 3600, 7 + run, "host")
        for second in range(10):
            account.end("delivered", START + run * 3600 + second, 50)
            account.durations.add(0.01 * (second + 1), 50)
        account.goes_on(START + run * 3600 + 10)
    account.end("passed_over", START + 3609, 3)
    account.end("rejected", START + 3609, 2)
    account.errors.update({"HTTP 429": 4, "HTTP 422": 2})
    return account


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = make_job(str(tmp_path))
    with make_ledger(made) as ledger:
        ledger.commit(
            Commit(
                {"watermark": [4, 0, 0], "blocks": []},
                _account().to_json(),
                letters=[letter(1, reason="<script>alert(1)</script>"), letter(2, status=0, kind="failed")],
            )
        )
    made.write("state", {"stage": "finished"})
    return made


def _saved(reported: RecordsReported) -> dict[str, Any]:
    return dict(json.loads(Path(reported.directory, "report.json").read_bytes()))


def _page(reported: RecordsReported) -> str:
    return Path(reported.directory, "report.html").read_text(encoding="utf-8")


def _letters(reported: RecordsReported) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in Path(reported.directory, "dead-letters.jsonl").read_bytes().splitlines()
    ]


def test_the_summary_has_every_number(folder: JobFolder) -> None:
    saved = _saved(write_report(folder, clock=lambda: START + 9999))
    assert (saved["job"], saved["kind"], saved["stage"], saved["reported"]) == (
        "job",
        "records",
        "finished",
        START + 9999,
    )
    assert (saved["records"], saved["delivered"], saved["failed"], saved["passed_over"]) == (1005, 1000, 2, 3)
    assert (saved["working_seconds"], len(saved["runs"])) == (20, 2)
    assert saved["throughput"]["bin_seconds"] == 1
    assert sum(records for _, records, _ in saved["throughput"]["bins"]) == 1005
    assert saved["latency"]["count"] == 1000
    assert saved["errors"] == {"HTTP 429": 4, "HTTP 422": 2}
    assert [(each["record"], each["error"]) for each in saved["failures"]] == [
        ("in/1.csv, line 3", "HTTP 422"),
        ("in/1.csv, line 4", "failed"),
    ]
    assert saved["next"] == ["haul process --dead-letters job", "haul process --retry-failed job"]


def test_the_page_is_about_records_and_escapes_what_strangers_said(folder: JobFolder) -> None:
    page = _page(write_report(folder))
    assert "<title>job: Process report</title>" in page
    for text in (
        "Records a second",
        "Time for each of the calls",
        "Errors by kind",
        "HTTP 429",
        "Median call",
    ):
        assert text in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "${API_KEY}" in page


def test_the_dead_letters_that_are_left_are_beside_it(folder: JobFolder) -> None:
    reported = write_report(folder)
    assert [each["address"]["row"] for each in _letters(reported)] == [1, 2]
    assert _saved(reported)["completion"] == {"file": "dead-letters.jsonl", "letters": 2}


def test_people_and_programs_learn_where_it_is(folder: JobFolder, tmp_path: Path) -> None:
    reported = write_report(folder, directory=str(tmp_path / "out"))
    assert reported.text().splitlines() == [
        "job: 1,000 of 1,005 records delivered, 3 passed over, 2 failed",
        *(str(tmp_path / "out" / name) for name in ("report.html", "report.json", "dead-letters.jsonl")),
    ]
    assert reported.is_whole
    fields = reported.fields()
    assert (fields["records"], fields["page"]) == (1005, str(tmp_path / "out" / "report.html"))


def test_a_job_that_did_nothing_yet_has_a_report_too(tmp_path: Path) -> None:
    reported = write_report(make_job(str(tmp_path)))
    assert reported.text().startswith("job: 0 of 0 records delivered, 0 failed")
    assert _letters(reported) == []


@pytest.mark.parametrize(
    ("statement", "letters"),
    [
        ("UPDATE state SET body = '{}' WHERE name = 'account'", 0),
        ("UPDATE letter SET reason = 'x' WHERE id = 150", 100),
    ],
)
def test_a_damaged_job_has_a_report_of_what_can_be_read(tmp_path: Path, statement: str, letters: int) -> None:
    folder = make_job(str(tmp_path))
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(account=_account().to_json(), letters=[letter(row) for row in range(200)]))
    with closing(sqlite3.connect(f"{folder.path}/records.db")) as connection, connection:
        connection.execute(statement)
    reported = write_report(folder)
    assert not reported.is_whole
    assert len(_saved(reported)["damaged"]) == 1
    assert "is damaged" in _page(reported)
    assert "damaged: " in reported.text()
    assert len(_letters(reported)) == letters


def test_what_cannot_be_read_to_its_end_is_a_notice(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path))
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(unread={2: "damaged at 17"}))
    reported = write_report(folder)
    assert "Not read to its end: in/2.csv: damaged at 17" in _page(reported)
    assert _saved(reported)["objects_unread"] == 1


def test_more_failures_than_are_listed_are_all_in_the_file(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path))
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(letters=[letter(row) for row in range(1100)]))
    reported = write_report(folder)
    assert len(_saved(reported)["failures"]) == 1000
    assert "1,000 of 1,100; all are in dead-letters.jsonl" in _page(reported)
    assert len(_letters(reported)) == 1100


def test_without_matplotlib_it_has_tables_and_says_what_to_install(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    events: list[Event] = []
    page = _page(write_report(folder, emit=events.append))
    assert "<svg" not in page
    assert any(isinstance(event, Warned) and "haulyard[report]" in event.hint for event in events)


def test_a_place_that_cannot_be_written_is_said(folder: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(folder, directory=str(tmp_path / "file" / "report"))


def test_names_of_objects_cannot_break_the_page(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path))
    with Ledger.create(folder) as ledger:
        ledger.add_objects([SourceObject(1, 'in/<b>"x"\n.csv', 1, '"e"')])
        ledger.seal_objects()
        ledger.commit(Commit(letters=[letter(1)]))
    assert "<b>" not in _page(write_report(folder))
