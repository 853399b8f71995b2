from __future__ import annotations

from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.transfer.listed import BATCH_COLUMNS, CsvLines, KeyLines, Listed


def test_keys_are_taken_as_they_are() -> None:
    lines = ["a/b.txt", "", "with space ", "a+b%20c", '"quoted",comma', "caf\u00e9\r", "# no comment"]
    assert KeyLines("keys.txt")([line.encode() for line in lines]) == [
        Listed(1, "", "a/b.txt"),
        Listed(3, "", "with space "),
        Listed(4, "", "a+b%20c"),
        Listed(5, "", '"quoted",comma'),
        Listed(6, "", "caf\u00e9"),
        Listed(7, "", "# no comment"),
    ]


def test_lines_are_counted_over_all_pages() -> None:
    for read in (KeyLines("m"), CsvLines("m")):
        read([b"b,a"] * 10)
        assert read([b"b,c"])[0].line == 11


def test_urls_name_their_bucket() -> None:
    assert KeyLines("keys.txt")([b"s3://bucket/a/b"]) == [Listed(1, "bucket", "a/b")]
    with pytest.raises(ConfigError, match=r"keys\.txt, line 1: s3://bucket/ names no object"):
        KeyLines("keys.txt")([b"s3://bucket/"])


def test_paths_lose_the_dot_that_find_writes() -> None:
    assert KeyLines("-", paths=True)([b"./a/./b"]) == [Listed(1, "", "a/./b")]
    assert KeyLines("-")([b"./a"]) == [Listed(1, "", "./a")]


@pytest.mark.parametrize("read", [KeyLines("m"), CsvLines("m")])
def test_what_is_not_utf_8_is_named_by_its_line(read: KeyLines | CsvLines) -> None:
    with pytest.raises(ConfigError, match="m, line 3: it is not UTF-8"):
        read([b"b,a", b"b,b", b"b,\xff"])


def test_rows_are_bucket_key_and_maybe_version() -> None:
    lines = [b"b,a%2Fb+c", b'"b","d","v1"', b"", b"b,e,\r"]
    assert CsvLines("m.csv")(lines) == [
        Listed(1, "b", "a/b c"),
        Listed(2, "b", "d", "v1"),
        Listed(4, "b", "e", ""),
    ]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_every_key_survives_its_encoding(key: str) -> None:
    assert CsvLines("m.csv")([f"b,{quote_plus(key)}".encode()])[0].key == key


@pytest.mark.parametrize("heading", [b"Bucket,Key", b"bucket,key,version_id", b'"BUCKET","KEY","VersionId"'])
def test_a_heading_is_no_row(heading: bytes) -> None:
    read = CsvLines("m.csv")
    assert read([heading, b"b,x"]) == [Listed(2, "b", "x")]
    assert read([heading])[0].line == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"b", "1 columns instead of bucket,key"),
        (b"b,k,v,more", "4 columns instead of bucket,key"),
        (b"b,", "the key is empty"),
        (b"b,%ff", "the key %ff is not URL-encoded UTF-8"),
        (b'b,"k"x', "'.' expected after"),
        (b'b,"k', "unexpected end of data"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(line: bytes, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CsvLines("m.csv")([b"b,fine", line])
    assert str(caught.value).startswith("m.csv, line 2: ")
    assert problem.replace("'.'", "','") in str(caught.value)
    assert "bucket,key[,version]" in caught.value.hint


def test_a_quoted_line_feed_is_no_part_of_a_key() -> None:
    with pytest.raises(ConfigError, match=r"m\.csv, line 2: a quotation mark is not closed"):
        CsvLines("m.csv")([b"b,fine", b'b,"k', b'x"', b"b,k"])


COLUMNS = ("bucket", "key", "versionid", "islatest", "isdeletemarker", "size")


def test_of_an_inventory_of_versions_only_the_current_objects_count() -> None:
    lines = [
        b'"b","now","v3","true","false","1"',
        b'"b","old","v2","false","false","1"',
        b'"b","gone","v1","true","true",""',
    ]
    assert CsvLines("i", COLUMNS)(lines) == [Listed(1, "b", "now", size=1)]


def test_rows_of_an_inventory_have_all_its_columns_and_no_heading() -> None:
    with pytest.raises(ConfigError, match="i, line 1: 2 columns instead of 6 columns"):
        CsvLines("i", COLUMNS)([b"bucket,key"])
    assert CsvLines("i", ("bucket", "key"))([b"bucket,key"]) == [Listed(1, "bucket", "key")]


def test_columns_without_bucket_and_key_are_refused() -> None:
    with pytest.raises(ConfigError, match="no columns Bucket and Key but size"):
        CsvLines("i", ("size",))
    assert CsvLines("i", BATCH_COLUMNS)([b"b,k"]) == [Listed(1, "b", "k")]
