from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.plan.finished_plans import finished_plan
from tests.jobs.planning.sealed_plans import row

from haulyard.errors import ConfigError, JobError
from haulyard.jobs.model import Action
from haulyard.jobs.plan import query
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.jobs.plan import Plan

ODD = "new\nline \"quoted\" 'single' ,;\x01 ünï\U0001f600"
ROWS = [
    row("logs/a", "archive/a", size=10),
    row("logs/b", "archive/b", size=20)._replace(rule=1),
    row("logs/c", action=Action.UNMATCHED)._replace(rule=-2),
    row(ODD, "archive/" + ODD)._replace(size=-1, modified=0.0),
    row("x", "same"),
    row("y", "same"),
]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return finished_plan(str(tmp_path), ROWS)


def asked(plan: Plan, sql: str) -> list[tuple[Any, ...]]:
    return list(plan.query(sql).rows)


def test_the_columns_have_the_names_of_the_documentation(plan: Plan) -> None:
    documented = (plan.query.__doc__ or "").split("``plan``      ``")[1].split("``")[0].split()
    assert list(plan.query("SELECT * FROM plan").columns) == documented
    assert plan.query("SELECT * FROM journal").columns == ("shard", "id", "phase", "at", "details")
    assert plan.query("SELECT * FROM outcome").columns == (*documented, "phase", "at", "details")
    assert plan.query("SELECT count(*) AS many FROM plan").columns == ("many",)


def test_a_plan_has_one_row_an_object_over_all_shards(plan: Plan) -> None:
    assert asked(plan, "SELECT shard, key FROM plan ORDER BY shard, id") == [
        ("00000", "logs/a"),
        ("00000", "logs/b"),
        ("00000", "logs/c"),
        ("00001", ODD),
        ("ordered-00000", "x"),
        ("ordered-00000", "y"),
    ]


def test_numbers_are_words_and_what_is_unknown_is_null(plan: Plan) -> None:
    assert asked(plan, "SELECT action, rule, conflict, count(*) FROM plan GROUP BY 1, 2, 3") == [
        ("act", "2", "none", 1),
        ("act", "logs", "collision", 2),
        ("act", "logs", "none", 2),
        ("unmatched", "", "none", 1),
    ]
    assert asked(plan, "SELECT key FROM plan WHERE size IS NULL AND modified IS NULL") == [(ODD,)]


def test_the_journal_has_the_last_phase_of_each_operation(plan: Plan) -> None:
    async def work() -> None:
        path = os.path.join(plan.path, "shards", "00000.db")
        async with Shard.open(path, owner="test") as shard:
            await shard.record([0, "begun", 1.0, {"pid": 1}])
            await shard.record([1, "copied", 2.0, {"etag": "e"}], [2, "failed", 2.5, {"code": "SlowDown"}])
            await shard.record([1, "done", 3.0, {"marker": 'odd "v"'}])

    asyncio.run(work())
    assert asked(plan, "SELECT * FROM journal") == [
        ("00000", 1, "done", 3.0, '{"marker": "odd \\"v\\""}'),
        ("00000", 2, "failed", 2.5, '{"code": "SlowDown"}'),
    ]
    assert asked(plan, "SELECT key, phase, details ->> '$.code' FROM outcome WHERE rule = '2'") == [
        ("logs/b", "failed", "SlowDown")
    ]
    assert asked(plan, "SELECT count(*) FROM outcome WHERE phase IS NULL") == [(4,)]


def test_an_outcome_is_where_the_object_really_is(plan: Plan) -> None:
    async def work() -> None:
        path = os.path.join(plan.path, "shards", "00000.db")
        async with Shard.open(path, owner="test") as shard:
            await shard.record([1, "copied", 2.0, {"destination": "archive/a-1"}], [1, "done", 3.0, {}])
            await shard.record([2, "copied", 2.0, {"destination": "archive/b-1"}])
            # Its copy was gone when it was looked for, and the planned name was free then.
            await shard.record([2, "copied", 4.0, {"etag": "e"}], [2, "done", 5.0, {}])

    asyncio.run(work())
    assert asked(plan, "SELECT key, destination FROM outcome WHERE shard = '00000' ORDER BY id") == [
        ("logs/a", "archive/a-1"),
        ("logs/b", "archive/b"),
        ("logs/c", ""),
    ]
    assert asked(plan, "SELECT destination FROM plan WHERE key = 'logs/a'") == [("archive/a",)]


def test_common_table_expressions_and_windows_are_understood(plan: Plan) -> None:
    sql = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
    SELECT i, (SELECT sum(size) OVER () FROM plan LIMIT 1) FROM n
    """
    assert asked(plan, sql) == [(1, 33), (2, 33), (3, 33)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM plan",
        "DELETE FROM _plan",
        "INSERT INTO _plan SELECT * FROM _plan",
        "CREATE TABLE t(x)",
        "ATTACH '/etc/passwd' AS p",
        "ATTACH 'file:new.db?mode=rwc' AS p",
        "PRAGMA journal_mode=WAL",
        "VACUUM INTO 'copy.db'",
        "BEGIN",
        "DROP VIEW plan",
        "SELECT load_extension('x')",
    ],
)
def test_a_query_can_only_read(plan: Plan, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        plan.query(sql)
    assert "the tables are plan (shard id action" in caught.value.hint
    assert os.listdir(tmp_path) == ["job"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT", "incomplete input"),
        ("SELECT keyy FROM plan", "no such column: keyy"),
        ("SELECT * FROM plans", "no such table: plans"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("", "asks for nothing"),
        ("-- nothing", "asks for nothing"),
    ],
)
def test_a_mistake_in_a_query_is_named(plan: Plan, sql: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan.query(sql)
    assert "outcome" in caught.value.hint


def test_a_query_that_fails_while_it_runs_is_told(plan: Plan) -> None:
    with pytest.raises(ConfigError, match="malformed JSON"):
        asked(plan, "SELECT json_extract(key, '$.a') FROM plan")


def test_only_the_tables_that_are_asked_for_are_read(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shard, "entries", None)
    assert asked(plan, "SELECT count(*) FROM plan") == [(6,)]
    monkeypatch.setattr(Shard, "rows", None)
    assert asked(plan, "SELECT 1") == [(1,)]


def test_rows_come_while_they_are_read_and_may_be_left(plan: Plan) -> None:
    rows = plan.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n").rows
    assert next(rows) == (1,)
    assert next(rows) == (2,)
    del rows


def test_no_room_for_the_temporary_tables_is_told(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        with closing(sqlite3.connect("", isolation_level=None)) as connection:
            connection.execute("PRAGMA max_page_count=2")
            connection.execute("CREATE TABLE t(x)")
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")

    monkeypatch.setattr(query, "_fill", full)
    with pytest.raises(JobError, match="temporary tables of the query failed: database or disk is full"):
        plan.query("SELECT * FROM plan")
