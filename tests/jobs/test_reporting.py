import csv
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.jobs.journals import COPIED, DENIED, START, add_shard, begun, make_job, row

from haulyard.errors import ConfigError, JobError
from haulyard.events import Event, Warned
from haulyard.jobs.inventory import shard_ids
from haulyard.jobs.model import NO_RULE, Action, Conflict, Stage, Verb
from haulyard.jobs.reporting import Reported, write_report
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard

_EVIL = 'in/<script>alert(1)</script>,"x"\n.jpg'
RULES = '[[rule]]\nname = "by day"\nmatch = "^in/"\nto = "new/{name}"\n'


def _lines(reported: Reported) -> list[list[str]]:
    with open(os.path.join(reported.directory, "completion.csv"), newline="", encoding="utf-8") as file:
        return list(csv.reader(file, strict=True))


def _page(reported: Reported) -> str:
    return Path(reported.directory, "report.html").read_text(encoding="utf-8")


def _saved(reported: Reported) -> dict[str, Any]:
    return dict(json.loads(Path(reported.directory, "report.json").read_bytes()))


@pytest.fixture
def applied(tmp_path: Path) -> JobFolder:
    """A move with one object for every way to end."""
    folder = make_job(str(tmp_path), stage=Stage.APPLYING, rules=RULES, rules_name="days.toml")
    rows = [
        row("in/done"),
        row("in/copied"),
        row(_EVIL),
        row("in/left", rule=-1),
        row("in/late"),
        row("in/unmatched", action=Action.UNMATCHED, rule=NO_RULE),
        row("in/chained", action=Action.ORDERED),
        row("", "new/placeholder.txt", Action.FOLDER, rule=NO_RULE, size=0),
        row("in/taken", conflict=Conflict.EXISTS),
    ]
    add_shard(
        folder,
        rows,
        [
            begun(),
            (1, "copied", 1, COPIED),
            (1, "done", 2, {"marker": "m1"}),
            (2, "copied", 3, {**COPIED, "verified": "size only"}),
            (3, "failed", 4, DENIED),
            (5, "failed", 5, {**DENIED, "code": "SlowDown", "status": 503}),
            # A day later, by another process.
            begun(86400, 8),
            (5, "copied", 86401, {**COPIED, "destination": "new/late-2", "made": False}),
            (5, "done", 86402, {"destination": "new/late-2"}),
            (8, "done", 86402, {"size": 0, "seconds": 0.1}),
            (9, "skipped", 86403, {"reason": "something else is there"}),
        ],
    )
    add_shard(
        folder,
        [row("in/chained")],
        [begun(86404, 8), (1, "copied", 86405, COPIED), (1, "done", 86406, {})],
        name="ordered-00000.db",
    )
    return folder


def test_every_listed_object_has_exactly_one_line(applied: JobFolder) -> None:
    lines = _lines(write_report(applied))
    assert [(line[1], *line[3:6]) for line in lines] == [
        ("in/done", "succeeded", "200", ""),
        ("in/copied", "pending", "", "SourceNotDeleted"),
        ("in/%3Cscript%3Ealert%281%29%3C/script%3E%2C%22x%22%0A.jpg", "failed", "403", "AccessDenied"),
        ("in/left", "pending", "", ""),
        ("in/late", "succeeded", "200", ""),
        ("in/unmatched", "skipped", "", "Unmatched"),
        ("new/placeholder.txt", "succeeded", "200", ""),
        ("in/taken", "skipped", "", "LeftAlone"),
        ("in/chained", "succeeded", "200", ""),
    ]
    assert [line[0] for line in lines] == ["photos"] * 6 + ["archive", "photos", "photos"]


def test_messages_say_where_it_went_and_how_that_is_known(applied: JobFolder) -> None:
    lines = _lines(write_report(applied))
    assert json.loads(lines[0][6]) == {
        "destination": "s3://archive/new/in/done",
        "verified": "checksum",
        "etag": "e1",
        "marker": "m1",
    }
    assert json.loads(lines[1][6])["verified"] == "size only"
    assert lines[2][6] == "denied"
    # Where it is, not where it was planned to be, and as whole as all others.
    assert json.loads(lines[4][6])["destination"] == "s3://archive/new/late-2"
    assert lines[4][6].count('"destination"') == 1
    assert json.loads(lines[4][6])["made"] is False
    assert json.loads(lines[5][6]) == {"reason": "no rule takes it"}
    assert json.loads(lines[7][6])["reason"] == "something else is there"


def test_the_summary_counts_by_the_last_phase(applied: JobFolder) -> None:
    reported = write_report(applied, clock=lambda: START)
    summary = _saved(reported)
    assert summary == json.loads(json.dumps(reported.summary))
    assert summary["listed"] == {"objects": 8, "bytes": 800}
    assert summary["acting"] == {"objects": 8, "bytes": 700}
    counts = {name: summary[name]["objects"] for name in ("done", "copied", "failed", "skipped", "left")}
    assert counts == {"done": 4, "copied": 1, "failed": 1, "skipped": 1, "left": 1}
    assert summary["verified"] == {"checksum": 3, "size only": 1}
    assert summary["left_alone"] == {"unmatched": {"objects": 1, "bytes": 100}}
    assert summary["conflicts"] == {"exists": {"objects": 1, "bytes": 100}}
    assert summary["errors"] == [
        {"error": "AccessDenied", "recorded": 1, "objects": 1},
        {"error": "SlowDown", "recorded": 1, "objects": 0},
    ]
    assert [(each["rule"], each["objects"]) for each in summary["rules"]] == [
        ("by day", 6),
        ("(fallback)", 1),
    ]
    assert summary["failures"] == [
        {"key": _EVIL, "error": "AccessDenied", "message": "denied", "at": START + 4}
    ]
    assert summary["next"] == ["haul apply job", "haul undo job"]
    assert summary["reported"] == START


def test_time_counts_only_while_somebody_worked(applied: JobFolder) -> None:
    summary = write_report(applied).summary
    assert [(run["start"], run["end"], run["pid"]) for run in summary["runs"]] == [
        (START, START + 5, 7),
        (START + 86400, START + 86406, 8),
    ]
    assert summary["working_seconds"] == 11
    assert summary["throughput"]["mean_objects_a_second"] == pytest.approx(4 / 11, abs=0.001)
    assert sum(each[1] for each in summary["throughput"]["bins"]) == 4
    assert sum(each[2] for each in summary["throughput"]["bins"]) == 400
    assert summary["latency"]["count"] == 5


def test_the_peak_is_that_of_the_steps_that_are_shown(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.APPLIED)
    ended = [0.05] * 96 + [float(at) for at in range(1, 12)]
    rows = [row(f"in/{at}") for at in range(len(ended))]
    add_shard(folder, rows, [begun(), *((item, "done", at, COPIED) for item, at in enumerate(ended, 1))])
    reported = write_report(folder)
    told = reported.summary["throughput"]
    assert told["bin_seconds"] == 1
    assert told["peak_objects_a_second"] == max(each[1] for each in told["bins"]) == 96
    assert "peak 96, over 1 s" in _page(reported)


def test_conflicts_are_named_and_explained(applied: JobFolder) -> None:
    text = _page(write_report(applied))
    assert "<h2>Conflicts over destinations</h2>" in text
    assert "collision: several sources have one destination" in text


def test_the_page_shows_the_numbers_and_escapes_keys(applied: JobFolder) -> None:
    text = _page(write_report(applied))
    assert "<script" not in text
    assert "in/&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for told in (
        "by day",
        "s3://archive/",
        "AccessDenied",
        "haul apply job",
        "size only",
        "source not yet deleted",
    ):
        assert told in text


def test_only_the_first_failures_are_on_the_page_and_all_in_the_completion_report(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.APPLIED)
    path = add_shard(folder, [row(f"in/{at}") for at in range(1, 1203)])

    async def fail_all() -> None:
        async with Shard.open(path, owner="test") as shard:
            await shard.record(*[[item, "failed", START, DENIED] for item in range(1, 1203)])

    anyio.run(fail_all)
    reported = write_report(folder)
    assert len(reported.summary["failures"]) == 1000
    assert reported.failed == 1202
    assert "1,000 of 1,202; all are in completion.csv" in _page(reported)
    assert sum(line[3] == "failed" for line in _lines(reported)) == 1202


def test_a_job_that_was_only_planned_has_a_report(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.PLANNED)
    add_shard(folder, [row("in/a"), row("in/b", action=Action.IN_PLACE)])
    reported = write_report(folder)
    assert [(line[3], line[5]) for line in _lines(reported)] == [("pending", ""), ("skipped", "InPlace")]
    assert reported.summary["runs"] == []
    assert "haul apply job" in _page(reported)


def test_what_was_undone_is_told_apart(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.UNDOING)
    done = [(item, "done", item, COPIED) for item in (1, 2, 3)]
    undoing = [
        (1, "undone", 101, {}),
        (2, "kept", 102, {"reason": "it changed since"}),
        (3, "returned", 103, {}),
    ]
    add_shard(
        folder, [row(f"in/{at}") for at in range(3)], [begun(), *done, begun(100, 9, undo=True), *undoing]
    )
    reported = write_report(folder)
    assert [(line[3], line[5]) for line in _lines(reported)] == [
        ("undone", ""),
        ("succeeded", "KeptByUndo"),
        ("pending", "CopyNotDeleted"),
    ]
    assert json.loads(_lines(reported)[1][6])["reason"] == "it changed since"
    assert [run["command"] for run in reported.summary["runs"]] == ["apply", "undo"]
    said = "job: 0 of 3 objects done, 0 failed, 1 left, 1 undone, 1 kept by undo"
    assert reported.text().splitlines()[0] == said
    assert (reported.fields()["undone"], reported.fields()["kept"]) == (1, 1)


def test_a_plan_with_conflicts_says_how_to_begin(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.PLANNED)
    add_shard(folder, [row("in/a", conflict=Conflict.EXISTS)])
    folder.write("summary", {"actions": {"act": [1, 100]}, "findings": {"exists": 1}})
    commands = write_report(folder).summary["next"]
    assert commands == ["haul plan show job", "haul apply job --on-conflict skip|overwrite|suffix"]


def test_a_damaged_journal_is_said_and_nothing_is_guessed(applied: JobFolder) -> None:
    with closing(sqlite3.connect(applied.shard_paths()[0])) as connection, connection:
        connection.execute("UPDATE log SET body = replace(body, 'm1', 'm2') WHERE seq = 3")
    reported = write_report(applied)
    assert not reported.is_whole
    assert "is damaged at commit 3" in reported.summary["damaged"][0]
    assert "is damaged at commit 3" in _page(reported)
    assert "damaged" in reported.text()
    lines = _lines(reported)
    assert len(lines) == 9
    assert (lines[0][3], lines[0][5]) == ("pending", "JournalDamaged")
    # The other shard is whole.
    assert lines[-1][3] == "succeeded"


def test_a_missing_shard_is_said(applied: JobFolder) -> None:
    applied.write("state", {**(applied.read("state") or {}), "shards": shard_ids(applied)})
    lost = applied.shard_paths()[-1]
    Path(lost).unlink()
    reported = write_report(applied)
    assert not reported.is_whole
    assert reported.summary["damaged"] == [f"{lost} is missing"]


def test_a_file_that_is_no_shard_is_said(applied: JobFolder) -> None:
    Path(applied.shards, "00001.db").write_bytes(b"nothing of the kind" * 100)
    reported = write_report(applied)
    assert len(reported.summary["damaged"]) == 1
    assert len(_lines(reported)) == 9


def test_without_the_library_one_line_says_what_to_install(
    applied: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    events: list[Event] = []
    reported = write_report(applied, emit=events.append)
    assert len(_lines(reported)) == 9
    assert "AccessDenied" in _page(reported)
    (event,) = events
    assert isinstance(event, Warned)
    assert "haulyard[report]" in event.hint


def test_a_report_is_replaced_by_the_next(applied: JobFolder) -> None:
    first = write_report(applied)
    second = write_report(applied)
    assert first.directory == second.directory
    assert sorted(os.listdir(second.directory)) == ["completion.csv", "report.html", "report.json"]


def test_a_report_can_be_written_elsewhere(applied: JobFolder, tmp_path: Path) -> None:
    reported = write_report(applied, directory=str(tmp_path / "some" / "where"))
    assert sorted(os.listdir(tmp_path / "some" / "where")) == ["completion.csv", "report.html", "report.json"]
    assert reported.directory == str(tmp_path / "some" / "where")
    assert not os.path.exists(os.path.join(applied.path, "report"))


def test_a_place_that_cannot_be_written_is_named(applied: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written to .*file"):
        write_report(applied, directory=str(tmp_path / "file" / "below"))


def test_a_job_that_runs_is_reported_as_running(applied: JobFolder) -> None:
    with applied.lock("apply"):
        reported = write_report(applied)
    assert reported.summary["running"] is True
    assert "The job was running" in _page(reported)


@pytest.mark.parametrize(("verb", "code"), [(Verb.MOVE, "SourceNotDeleted"), (Verb.RETAG, "TagsNotSet")])
def test_what_is_half_done_is_pending_with_what_is_missing(tmp_path: Path, verb: Verb, code: str) -> None:
    folder = make_job(str(tmp_path), verb=verb, stage=Stage.APPLYING)
    add_shard(folder, [row("in/a")], [begun(), (1, "copied", 1, {"old_tags": {"a": "b"}})])
    assert _lines(write_report(folder))[0][3:6] == ["pending", "", code]


def test_ends_on_this_machine_have_no_bucket(tmp_path: Path) -> None:
    folder = make_job(
        str(tmp_path), verb=Verb.COPY, source="s3://photos/in/", destination="/srv/files", stage=Stage.APPLIED
    )
    add_shard(folder, [row("in/a", "a")], [begun(), (1, "done", 1, COPIED)])
    (line,) = _lines(write_report(folder))
    assert json.loads(line[6])["destination"] == "/srv/files/a"


def test_another_kind_of_job_is_refused(tmp_path: Path) -> None:
    folder = JobFolder.create(str(tmp_path), "ship", {"kind": "ship"})
    with pytest.raises(JobError, match="no bulk job"):
        write_report(folder)


def test_what_is_printed_names_the_files(applied: JobFolder) -> None:
    reported = write_report(applied)
    assert reported.text().splitlines()[0] == "job: 4 of 8 objects done, 1 failed, 2 left, 1 skipped"
    assert str(reported.fields()["page"]).endswith("job/report/report.html")
    assert reported.fields()["failed"] == 1
