"""The values of bulk jobs fit together."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, Action, Conflict, Operation, Verb


def test_the_table_has_the_columns_of_an_operation() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(PLAN_DDL)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({PLAN_TABLE})")]
    assert tuple(columns) == PLAN_COLUMNS == Operation._fields


def test_words_are_as_reports_show_them() -> None:
    assert (Action.IN_PLACE.word, Conflict.EXISTS.word) == ("in-place", "exists")


def test_verbs_know_what_they_touch() -> None:
    assert {verb for verb in Verb if verb.writes_elsewhere} == {Verb.COPY, Verb.MOVE}
    assert {verb for verb in Verb if verb.deletes} == {Verb.MOVE, Verb.DELETE}
