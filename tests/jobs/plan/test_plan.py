from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.jobs.plan.finished_plans import finished_plan
from tests.jobs.planning.sealed_plans import make_plan, row

from haulyard.errors import ConfigError, JobError
from haulyard.jobs.model import FALLBACK, NO_RULE, Action, Verb
from haulyard.jobs.plan import Plan
from haulyard.jobs.specification import Specification

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    row("a", "b"),
    row("b", "c"),
    row("c", action=Action.UNMATCHED),
    row("d", "x"),
    row("e", action=Action.UNSAFE),
]


def test_operations_are_given_once_each_and_those_with_an_order_last(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS)
    given = list(plan.operations())
    assert [(each.key, each.wave) for each in given] == [("c", 0), ("d", 0), ("e", 0), ("b", 0), ("a", 1)]
    assert {each.action for each in given} == {Action.ACT, Action.UNMATCHED, Action.UNSAFE}


def test_operations_are_chosen_by_action_or_by_its_word(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS)
    assert [each.key for each in plan.operations({Action.ACT})] == ["d", "b", "a"]
    assert [each.key for each in plan.operations(["unmatched", "unsafe"])] == ["c", "e"]
    with pytest.raises(ConfigError, match="no action moved") as caught:
        plan.operations(["moved"])
    assert "in-place" in caught.value.hint


def test_rules_are_called_by_name_or_number(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS)
    assert [plan.rule(index) for index in (0, 1, 2, FALLBACK, NO_RULE)] == ["logs", "2", "", "fallback", ""]
    (tmp_path / "without").mkdir()
    assert finished_plan(str(tmp_path / "without"), ROWS, rules="").rule(0) == ""


def test_a_plan_says_what_and_where_it_is(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS)
    assert (plan.name, plan.path) == ("job", str(tmp_path / "job"))
    assert plan.specification.source == "s3://bucket/in/"


def test_the_directory_of_jobs_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished_plan(str(tmp_path), ROWS)
    monkeypatch.setenv("HAUL_JOB_DIR", str(tmp_path))
    assert Plan.open("job").path == str(tmp_path / "job")


def test_there_is_no_such_job(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no job other"):
        Plan.open("other", tmp_path)


@pytest.mark.parametrize("stage", ["planning", "listed", None])
def test_an_unfinished_plan_is_not_opened(tmp_path: Path, stage: str | None) -> None:
    folder = make_plan(str(tmp_path), ROWS, specification=Specification(Verb.MOVE, "s3://b/").to_json())
    if stage:
        folder.write("state", {"stage": stage})
    with pytest.raises(JobError, match="not finished"):
        Plan.open("job", tmp_path)


def test_a_missing_summary_is_told(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"summary of job job is missing"):
        _ = finished_plan(str(tmp_path), ROWS).summary


def test_a_plan_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS)
    with closing(sqlite3.connect(tmp_path / "job" / "shards" / "00001.db")) as connection, connection:
        connection.execute("UPDATE op SET destination = 'elsewhere' WHERE key = 'd'")
    with pytest.raises(JobError, match=r"00001\.db is damaged"):
        list(plan.operations())
    with pytest.raises(JobError, match=r"00001\.db is damaged"):
        plan.query("SELECT * FROM plan")
    with pytest.raises(JobError, match=r"00001\.db is damaged"):
        plan.export(tmp_path / "plan.csv", "csv")
    assert sorted(os.listdir(tmp_path)) == ["job"]


def test_reading_a_plan_leaves_its_files_as_they_are(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS)
    shards = tmp_path / "job" / "shards"
    before = {path.name: path.read_bytes() for path in shards.iterdir() if path.suffix == ".db"}
    list(plan.operations())
    list(plan.query("SELECT * FROM outcome").rows)
    plan.export(tmp_path / "plan.csv", "csv")
    assert {path.name: path.read_bytes() for path in shards.iterdir() if path.suffix == ".db"} == before
    assert json.loads((tmp_path / "job" / "state.json").read_text())["content"] == {"stage": "planned"}
