from __future__ import annotations

import csv
import io
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.jobs.plan.finished_plans import finished_plan
from tests.jobs.planning.sealed_plans import row

from haulyard.errors import ConfigError
from haulyard.jobs.model import Action
from haulyard.jobs.plan import export
from haulyard.transfer.listed import CsvLines, Listed

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.jobs.plan import Plan

ODD = "=1+1, new\nline\r\n\"quoted\" 'single'\x01\x00\t ünï\U0001f600 a+b %41?"
ROWS = [
    row("a", "x/a"),
    row("b c", "x/b"),
    row("left", action=Action.UNMATCHED),
    row(ODD, "x/" + ODD)._replace(size=-1, modified=0.0),
    row("p", "q"),
    row("q", "r"),
    row("", "folder/placeholder.txt", Action.FOLDER),
]
COLUMNS = (
    "shard id action rule key version size modified etag storage_class destination wave conflict present"
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return finished_plan(str(tmp_path), ROWS)


def test_a_manifest_names_what_is_acted_on_and_is_read_again(plan: Plan, tmp_path: Path) -> None:
    assert plan.export(tmp_path / "manifest.csv", "s3-batch") == 5
    lines = (tmp_path / "manifest.csv").read_bytes().splitlines()
    assert lines[:2] == [b"bucket,a", b"bucket,b%20c"]
    assert all(line.isascii() for line in lines)
    named = CsvLines("manifest.csv")(lines)
    assert {(each.bucket, each.version_id) for each in named} == {("bucket", "")}
    assert [each.key for each in named] == ["a", "b c", ODD, "q", "p"]


def test_a_manifest_has_versions_where_the_plan_has_them(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), [row("a", "x", version="v1"), row("b", "y", version="v2"), row("c")])
    stream = io.BytesIO()
    assert plan.export(stream, "s3-batch") == 2
    assert stream.getvalue() == b"bucket,a,v1\nbucket,b,v2\n"
    assert CsvLines("m")(stream.getvalue().splitlines())[1] == Listed(2, "bucket", "b", "v2")


def test_a_manifest_has_no_mixture_of_versions(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), [row("a", "x", version="v1"), row("b", "y")])
    with pytest.raises(ConfigError, match="some objects of the plan have versions"):
        plan.export(tmp_path / "manifest.csv", "s3-batch")
    assert os.listdir(tmp_path) == ["job"]


def test_a_manifest_needs_a_bucket(tmp_path: Path) -> None:
    plan = finished_plan(str(tmp_path), ROWS, source="/data")
    with pytest.raises(ConfigError, match="/data is no bucket"):
        plan.export(tmp_path / "m", "s3-batch")


def test_csv_has_all_objects_exactly(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    assert plan.export(str(path), "csv") == len(ROWS)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert list(rows[0]) == COLUMNS.split()
    assert {each["key"] for each in rows} == {each.key for each in ROWS}
    assert rows[0] == {
        "shard": "00000",
        "id": "1",
        "action": "act",
        "rule": "logs",
        "key": "a",
        "version": "",
        "size": "1",
        "modified": "1970-01-01 00:00:01.500000+00:00",
        "etag": "etag of a",
        "storage_class": "STANDARD",
        "destination": "x/a",
        "wave": "0",
        "conflict": "none",
        "present": "",
    }
    (odd,) = [each for each in rows if each["key"] == ODD]
    assert (odd["destination"], odd["size"], odd["modified"]) == ("x/" + ODD, "", "")
    assert [(each["key"], each["wave"]) for each in rows[-2:]] == [("q", "0"), ("p", "1")]


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(keys=st.lists(KEYS, min_size=1, max_size=5))
def test_any_key_survives_csv_and_manifest(keys: list[str]) -> None:
    rows: list[tuple[Any, ...]] = [row(key, "x" + key) for key in keys]
    stream = io.BytesIO()
    export.write_csv(stream, [("00000", rows)], lambda _: "rule")
    text = io.StringIO(stream.getvalue().decode(), newline="")
    assert [each["key"] for each in csv.DictReader(text, strict=True)] == keys
    stream = io.BytesIO()
    export.write_manifest(stream, "b", rows)
    lines = stream.getvalue().splitlines()
    assert [entry.key for entry in CsvLines("m", ("bucket", "key"))(lines)] == keys


def test_parquet_has_all_objects_with_types(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(export, "_GROUP", 2)
    path = tmp_path / "plan.parquet"
    assert plan.export(path, "parquet") == len(ROWS)
    file = parquet.ParquetFile(path)
    assert file.num_row_groups > 1
    table = file.read()
    file.close()
    assert table.column_names == COLUMNS.split()
    rows = table.to_pylist()
    assert [each["key"] for each in rows] == ["a", "b c", "left", ODD, "", "q", "p"]
    assert rows[0]["modified"] == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    assert (rows[0]["action"], rows[0]["rule"], rows[0]["size"], rows[0]["wave"]) == ("act", "logs", 1, 0)
    assert (rows[3]["size"], rows[3]["modified"]) == (None, None)


def test_parquet_without_pyarrow_names_the_extra(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match="needs pyarrow") as caught:
        plan.export(tmp_path / "plan.parquet", "parquet")
    assert "haulyard[data]" in caught.value.hint
    assert os.listdir(tmp_path) == ["job"]


def test_an_unknown_format_is_named(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format orc") as caught:
        plan.export(tmp_path / "plan.orc", "orc")
    assert caught.value.hint == "the formats are s3-batch, csv, parquet"


def test_a_file_that_cannot_be_written_is_told(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/plan\.csv cannot be written: No such file"):
        plan.export(tmp_path / "nowhere" / "plan.csv", "csv")


def test_a_stream_of_the_callers_stays_open(plan: Plan) -> None:
    stream = io.BytesIO()
    for format_ in export.FORMATS:
        plan.export(stream, format_)
    assert stream.tell() > 0
