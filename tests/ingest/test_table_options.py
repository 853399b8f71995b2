"""Arguments of the functions for tables: names that do not exist, values that make no sense, and help."""

from __future__ import annotations

import pydoc
from typing import TYPE_CHECKING, Any

import pytest

import haulyard
from haulyard import (
    ConfigError,
    TableOptions,
    describe_table,
    describe_table_async,
    export_table,
    export_table_async,
    load_table,
    load_table_async,
    read_table,
    read_table_async,
    scan,
    scan_async,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCKING = (read_table, scan, describe_table, load_table, export_table)
AWAITED = (read_table_async, scan_async, describe_table_async, load_table_async, export_table_async)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("id,name\n1,Ann\n2,Bob\n")
    return path


def called(function: Callable[..., Any], source: Path, tmp_path: Path, **options: Any) -> None:
    if function is load_table:
        load_table(source, db=tmp_path / "a.duckdb", **options)
    elif function is export_table:
        export_table(source, tmp_path / "a.csv", **options)
    elif function is scan:
        list(scan(source, **options))
    else:
        function(source, **options)


@pytest.mark.parametrize("function", BLOCKING)
def test_an_option_that_does_not_exist_is_told_with_the_nearest(
    function: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    name = function.__name__
    with pytest.raises(TypeError) as caught:
        called(function, people, tmp_path, delimeter=";")
    assert str(caught.value) == (
        f"{name}() got an unexpected keyword argument 'delimeter'. Did you mean 'delimiter'?"
    )
    with pytest.raises(TypeError, match=r"'colour'; haulyard\.TableOptions has all options"):
        called(function, people, tmp_path, colour="blue")


def test_an_argument_that_is_no_option_may_have_been_meant(people: Path) -> None:
    wrong: Any = {"max_reject": 1}
    with pytest.raises(TypeError, match="Did you mean 'max_rejects'"):
        read_table(people, **wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"delimiter": ";;"}, "cannot be the delimiter"),
        ({"delimiter": ",", "quote": ","}, "different characters"),
        ({"quote": "é"}, "cannot be the quote"),
        ({"delimiter": 3}, "delimiter=3 is no text"),
        ({"encoding": None}, "encoding=None is no text"),
        ({"encoding": "klingon"}, "is not the name of a text encoding"),
        ({"header": "no"}, "header='no' is neither True nor False"),
        ({"memory": 0}, "memory=0 is no number of bytes"),
        ({"memory": "1GB"}, "memory='1GB' is no number of bytes"),
        ({"names": "id"}, "names='id' is one text"),
        ({"nulls": "NA"}, "nulls='NA' is one text"),
        ({"format": "xlsx"}, "format='xlsx' is not allowed"),
    ],
)
@pytest.mark.parametrize("function", BLOCKING)
def test_options_that_make_no_sense_are_refused(
    function: Callable[..., Any], wrong: dict[str, Any], told: str, people: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        called(function, people, tmp_path, **wrong)
    assert not (tmp_path / "a.duckdb").exists()
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("wrong", [-1, True, "3", 0.5])
@pytest.mark.parametrize("function", [each for each in BLOCKING if each is not describe_table])
def test_what_is_no_number_of_rejects_is_refused(
    function: Callable[..., Any], wrong: Any, people: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="is no number of rows") as caught:
        called(function, people, tmp_path, max_rejects=wrong)
    assert "None allows any number" in caught.value.hint


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"delimiter": ";;"}, "cannot be the delimiter"),
        ({"where": "id >"}, "it ends too early"),
        ({"where": 7}, "a int is no condition on rows"),
        ({"max_rejects": -1}, "is no number of rows"),
        ({"mode": "upsert", "key": "id"}, "key='id' is one text"),
    ],
)
def test_arguments_are_judged_also_where_there_is_nothing_to_do(
    people: Path, tmp_path: Path, wrong: Any, told: str
) -> None:
    db = tmp_path / "a.duckdb"
    load_table(people, db=db)
    assert load_table(people, db=db).files_known == 1
    with pytest.raises(ConfigError, match=told):
        load_table(people, db=db, **wrong)
    unknown: Any = {"delimeter": ";"}
    with pytest.raises(TypeError, match="delimiter"):
        load_table(people, db=db, **unknown)


@pytest.mark.parametrize("function", BLOCKING + AWAITED)
def test_help_has_every_argument_and_every_option(function: Callable[..., Any]) -> None:
    text = pydoc.plain(pydoc.render_doc(function))
    for name in TableOptions.__annotations__:
        assert f"    {name}: " in text
    for name in ("sources", "columns", "client"):
        assert f"    {name}: " in text
    assert "Raises:" in text


def test_help_of_a_blocking_function_keeps_its_own_example() -> None:
    text = pydoc.plain(pydoc.render_doc(load_table))
    assert '>>> loaded = load_table("s3://demo' in text
    assert ">>> loaded = await" not in text


def test_options_are_public() -> None:
    assert haulyard.TableOptions is TableOptions
    assert set(TableOptions.__annotations__) == {
        *("format", "compression", "encoding", "delimiter", "quote", "escape", "header", "names"),
        *("schema", "nulls", "on_drift", "hive", "memory", "manifest", "recursive"),
    }
