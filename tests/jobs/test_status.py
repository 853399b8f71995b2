import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.journals import COPIED, DENIED, START, add_shard, begun, make_job, row

from haulyard.jobs.inventory import shard_ids
from haulyard.jobs.model import Action, Stage
from haulyard.jobs.status import JobStatus, _rate, status_of, table
from haulyard.journal.folder import Holder, JobFolder
from haulyard.journal.shard import Shard


def _long_ago() -> float:
    return START + 10 * 86400 * 365


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = make_job(str(tmp_path), stage=Stage.APPLYING)
    rows = [row(f"in/{at}") for at in range(1, 6)] + [row("in/x", action=Action.SKIPPED)]
    add_shard(
        made,
        rows,
        [
            begun(),
            (1, "copied", 1, COPIED),
            (1, "done", 2, {}),
            (2, "copied", 3, COPIED),
            (3, "failed", 4, DENIED),
            (4, "failed", 5, DENIED),
            (4, "copied", 6, COPIED),
            (4, "done", 7, {}),
        ],
    )
    add_shard(made, [row("in/7", size=-1), row("in/8")], name="00001.db")
    return made


def test_counts_are_by_the_last_phase_over_all_shards(folder: JobFolder) -> None:
    status = status_of(folder, clock=_long_ago)
    assert status.phases == {"done": 2, "copied": 1, "failed": 1, "": 3}
    assert (status.objects, status.size, status.left, status.failed) == (7, 600, 4, 1)
    assert status.failures == (("in/3", "denied"),)
    assert (status.is_running, status.rate, status.seconds_left) == (False, 0.0, None)
    assert status.damaged == ()


def test_people_read_where_it_stands_and_what_to_type_next(folder: JobFolder) -> None:
    assert status_of(folder, clock=_long_ago).text().splitlines() == [
        "job: move s3://photos/in/ to s3://archive/",
        "  begun, not finished",
        "  7 objects: 2 done, 1 copied, their sources not yet deleted, 1 failed, 3 left; 200 B of 600 B done",
        "  failed, 1 of 1:",
        "    in/3: denied",
        "  go on: haul apply job",
        "  see what happened: haul report job",
        "  take it back: haul undo job",
    ]


def test_programs_read_the_same_as_numbers(folder: JobFolder) -> None:
    fields = status_of(folder, clock=_long_ago).fields()
    assert fields["phases"] == {
        "done": {"objects": 2, "bytes": 200},
        "copied": {"objects": 1, "bytes": 100},
        "failed": {"objects": 1, "bytes": 100},
        "left": {"objects": 3, "bytes": 200},
    }
    assert fields["next"] == ["haul apply job", "haul report job", "haul undo job"]
    assert fields["holder"] is None


def test_a_running_job_tells_by_whom_how_fast_and_how_long_still(folder: JobFolder) -> None:
    with folder.lock("apply"), Shard.open(folder.shard_paths()[0], owner="apply"):
        status = status_of(folder, clock=lambda: START + 60)
    assert status.holder is not None
    assert status.holder.command == "apply"
    # Two came to their end within the minute before.
    assert status.rate == pytest.approx(2 / 60)
    assert status.seconds_left == pytest.approx(4 * 30)
    assert "running: process" in status.lines()[1]
    assert "about 2 min left" in status.lines()[1]
    assert [step.command for step in status.steps] == ["haul status job"]


def test_the_rate_of_a_run_that_has_just_begun_is_that_since_it_began() -> None:
    holder = Holder(1, "host", "haul apply", 100.0)
    assert _rate(30, holder, 110.0) == pytest.approx(3)
    assert _rate(30, holder, 100.1) == pytest.approx(30)
    assert _rate(30, holder, 300.0) == pytest.approx(30 / 60)
    assert _rate(30, holder, 50.0) == pytest.approx(30 / 60)
    assert _rate(30, None, 110.0) == 0.0


def test_what_ended_more_than_a_minute_ago_makes_no_rate(folder: JobFolder) -> None:
    with folder.lock("apply"):
        status = status_of(folder, clock=lambda: START + 65)
    assert status.rate == pytest.approx(1 / 60)


def test_a_finished_shard_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_job(str(tmp_path), stage=Stage.APPLIED)
    add_shard(
        folder,
        [row("in/1"), row("in/2")],
        [begun(), (1, "done", 1, COPIED), (2, "failed", 2, {"message": "denied"})],
        tally={
            "phases": {"done": 1, "failed": 1},
            "sizes": {"done": 100, "failed": 100},
            "failures": [["in/2", "denied"]],
        },
    )

    def refuse(*_: object) -> None:
        raise AssertionError

    for method in ("entries", "last_phases", "rows"):
        monkeypatch.setattr(Shard, method, refuse)
    status = status_of(folder, clock=_long_ago)
    assert status.phases == {"done": 1, "failed": 1}
    assert status.sizes == {"done": 100, "failed": 100}
    assert status.failures == (("in/2", "denied"),)
    assert status.left == 0


def test_a_damaged_shard_is_said_and_the_others_are_counted(folder: JobFolder) -> None:
    with closing(sqlite3.connect(folder.shard_paths()[0])) as connection, connection:
        connection.execute("UPDATE log SET body = '[]' WHERE seq = 2")
    status = status_of(folder, clock=_long_ago)
    assert status.phases == {"": 2}
    (said,) = status.damaged
    assert "00000.db is damaged at commit 2" in said
    assert any(line.startswith("  damaged: ") for line in status.lines())
    assert "damaged" in status.row()[2]


def test_a_missing_shard_is_said(folder: JobFolder) -> None:
    folder.write("state", {**(folder.read("state") or {}), "shards": shard_ids(folder)})
    Path(folder.shard_paths()[1]).unlink()
    (said,) = status_of(folder, clock=_long_ago).damaged
    assert said.endswith("00001.db is missing")


def test_a_tampered_state_is_said(folder: JobFolder) -> None:
    path = Path(folder.path, "state.json")
    path.write_text(path.read_text().replace("applying", "applied"))
    status = status_of(folder, clock=_long_ago)
    assert status.stage == "unknown"
    assert status.objects == 7
    assert "damaged" in status.text()


@pytest.mark.parametrize(
    ("stage", "phases", "commands"),
    [
        (Stage.PLANNING, {}, ["haul plan … --job job"]),
        (Stage.PLANNED, {"": 3}, ["haul plan show job", "haul apply job"]),
        (Stage.APPLIED, {"done": 3}, ["haul report job", "haul undo job"]),
        (Stage.APPLIED, {"failed": 3}, ["haul apply job", "haul report job", "haul undo job"]),
        (Stage.UNDOING, {"undone": 3}, ["haul undo job", "haul report job"]),
        (Stage.UNDONE, {"undone": 3}, ["haul report job"]),
    ],
)
def test_each_stage_has_its_next_commands(stage: Stage, phases: dict[str, int], commands: list[str]) -> None:
    status = JobStatus("job", "move", stage=stage, phases=phases)
    assert [step.command for step in status.steps] == commands


def test_the_table_counts_an_object_once_and_as_the_detail_does(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.UNDONE)
    add_shard(
        folder,
        [row("in/1"), row("in/2"), row("in/3")],
        [
            begun(),
            *((item, "done", item, COPIED) for item in (1, 2, 3)),
            begun(100, 9, undo=True),
            (1, "undone", 101, {}),
            (2, "undone", 101, {}),
            (3, "kept", 102, {"reason": "it changed since"}),
        ],
    )
    status = status_of(folder, clock=_long_ago)
    assert "  3 objects: 2 undone, 1 kept by undo; 0 B of 300 B done" in status.lines()
    assert [line.split() for line in table([status])] == [
        ["job", "verb", "state", "objects", "done", "failed", "undone", "kept"],
        ["job", "move", "undone", "3", "0", "0", "2", "1"],
    ]


def test_the_table_has_no_columns_for_what_no_job_has(folder: JobFolder) -> None:
    status = status_of(folder, clock=_long_ago)
    assert [line.split() for line in table([status])] == [
        ["job", "verb", "state", "objects", "done", "failed"],
        ["job", "move", "applying", "7", "2", "1"],
    ]


def test_undecided_conflicts_are_part_of_the_next_command(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.PLANNED)
    folder.write("summary", {"actions": {"act": [3, 300]}, "findings": {"collisions": 2, "exists": 1}})
    status = status_of(folder)
    decide = "haul apply job --on-conflict skip|overwrite|suffix"
    assert status.lines()[-1] == f"  do it, and decide about 3 conflicts: {decide}"
    assert status.fields()["undecided_conflicts"] == 3
    folder.write("state", {**(folder.read("state") or {}), "on_conflict": "skip"})
    assert status_of(folder).lines()[-1] == "  do it: haul apply job"


def test_that_apply_refuses_unmatched_keys_is_said_before_anybody_tries(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.PLANNED)
    folder.write(
        "summary", {"actions": {"act": [3, 300], "unmatched": [1, 100]}, "findings": {"collisions": 2}}
    )
    assert status_of(folder).lines()[-1] == (
        "  apply refuses, for no rule takes 1 object (unmatched.txt); add a rule or a [fallback]"
        " and plan again: haul plan … --job job --new"
    )


def test_keys_and_reasons_cannot_steer_a_terminal(tmp_path: Path) -> None:
    folder = make_job(str(tmp_path), stage=Stage.APPLIED)
    details: dict[str, Any] = {**DENIED, "message": "no\r\x1b[2J"}
    add_shard(folder, [row("in/\x1b[31mred")], [begun(), (1, "failed", 1, details)])
    text = status_of(folder).text()
    assert "\x1b" not in text
    assert "in/\\x1b[31mred: no\\x0d\\x1b[2J" in text


def test_what_the_plan_leaves_alone_is_told_from_its_summary(folder: JobFolder) -> None:
    folder.write(
        "summary", {"actions": {"act": [5, 500], "skipped": [1, 100], "ordered": [1, 1], "cycle": [0, 0]}}
    )
    status = status_of(folder, clock=_long_ago)
    assert status.left_alone == {"skipped": 1}
    assert "  left alone by the plan: 1 skipped" in status.lines()


def test_a_tampered_summary_is_said(folder: JobFolder) -> None:
    Path(folder.path, "summary.json").write_text("{}")
    status = status_of(folder, clock=_long_ago)
    assert "summary.json is damaged" in status.damaged[0]
    assert status.objects == 7
