"""Files whose names mislead: what they are is told by what is in them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.ingest.text.reading import profile, read, texts

from haulyard.errors import IngestError
from haulyard.events import Warned


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'{"a":1}\n{"a":2}\n', "JSON Lines"),
        (b'\n {"a":1}\r\n{"a":2}\n', "JSON Lines"),
        (b'[{"a":1},{"a":2}]', "JSON"),
        (b'[\n  {"a": 1},\n  {"a": 2}\n]\n', "JSON"),
        (b'{\n"a": 1\n}\n{\n"a": 2\n}\n', "JSON"),
        (b'{"a":1, "b":"' + b"x" * 100_000 + b'"}\n{"a":2}\n', "JSON"),
        ('{"a":1}\n{"a":2}\n'.encode("utf-16"), "JSON Lines"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_json_is_read_as_that_whatever_its_name_says_and_told(data: bytes, what: str, name: str) -> None:
    got = read(data, name=name)
    assert [row["a"] for row in got.rows] == [1, 2]
    (told,) = got.events
    assert isinstance(told, Warned)
    assert told.message == f"s3://bucket/{name} is {what}, whatever its name says, and is read as that"


def test_json_is_csv_where_someone_says_so() -> None:
    got = read(b'{"a":1}\n{"a":2}\n', format="csv", header=True)
    assert got.rows == [{'{"a":1}': '{"a":2}'}]
    assert not got.events


@pytest.mark.parametrize(
    ("data", "name", "rows"),
    [
        (b"[id],[name]\n1,x\n", "a.csv", [{"[id]": 1, "[name]": "x"}]),
        (b'{"a":1},b\nx,1\n', "a.csv", [{'{"a":1}': "x", "b": 1}]),
        (
            b'{"a":1}\t5\n{"a":2}\t6\n',
            "a.tsv",
            [{"column_1": f'{{"a":{n}}}', "column_2": n + 4} for n in (1, 2)],
        ),
        (b"{x}\n1\n", "a.csv", [{"{x}": 1}]),
        (b"<a>,b\n1,2\n", "a.csv", [{"<a>": 1, "b": 2}]),
    ],
)
def test_what_merely_begins_like_json_or_markup_is_csv(
    data: bytes, name: str, rows: list[dict[str, object]]
) -> None:
    got = read(data, name=name, header=None if name == "a.csv" else False)
    assert got.rows == rows
    assert not got.events


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html>\n<html></html>", "HTML"),
        (b"\xef\xbb\xbf\r\n<html lang='en'>\n", "HTML"),
        (b"<!doctype HTML PUBLIC '-//W3C'>", "HTML"),
        (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>', "XML"),
        (b"<Error><Code>AccessDenied</Code></Error>", "XML"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a"])
def test_pages_and_documents_are_refused(data: bytes, what: str, name: str) -> None:
    with pytest.raises(IngestError, match=f"is {what}, not (CSV|JSONL)"):
        read(data, name=name)
    with pytest.raises(IngestError, match=f"is {what}, not"):
        profile(data, name=name)
    with pytest.raises(IngestError, match=f"is {what}, not"):
        read(data, texts("a"), name=name)


def test_markup_is_csv_where_someone_says_so() -> None:
    assert read(b"<html>\n1\n", format="csv").rows == [{"<html>": 1}]


@pytest.mark.parametrize("data", [b"   ", b" \n\t\n  \n", "  \n".encode("utf-16")])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
def test_white_space_alone_is_empty(data: bytes, name: str) -> None:
    with pytest.raises(IngestError, match="is empty: it has no columns"):
        read(data, name=name)
    assert read(data, texts("a"), name=name).rows == []


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"[]", "a.json", "is empty: no object in it has a key"),
        (b"{}\n{}\n", "a.jsonl", "is empty: no object in it has a key"),
        (b"[{},{}]", "a.json", "is empty: no object in it has a key"),
        (b"42", "a.json", "line 1: not an object"),
        (b"42\n43\n", "a.jsonl", "line 1: not an object"),
        (b"[[1],[2]]", "a.json", "line 1: not an object"),
        (b"a,b\n1,2\n", "a.json", "line 1: not JSON"),
        (b"a,b\n1,2\n", "a.jsonl", "line 1: not JSON"),
    ],
)
def test_json_without_any_column_is_an_error_that_says_why(data: bytes, name: str, message: str) -> None:
    with pytest.raises(IngestError, match=message) as raised:
        read(data, name=name)
    assert ("format='csv'" in raised.value.hint) == ("line 1" in message)
    with pytest.raises(IngestError):
        profile(data, name=name)


def test_json_without_any_column_has_those_that_a_schema_gives() -> None:
    schema = pa.schema([("a", pa.int64())])
    assert read(b"[]", schema, name="a.json").rows == []
    assert read(b"{}\n{}\n", schema, name="a.jsonl").rows == [{"a": None}] * 2
    assert read(b"42\n", schema, name="a.jsonl").reasons == ["not an object"]


def test_an_array_that_breaks_off_later_is_no_csv() -> None:
    with pytest.raises(IngestError) as raised:
        read(b'[{"a":1},\nx', name="a.json")
    assert "upload it again" in raised.value.hint
