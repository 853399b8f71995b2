"""`haul ls`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from haulyard.models import BucketInfo
from haulyard.s3.listing import ListParse

if TYPE_CHECKING:
    from tests.cli.conftest import Box

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def keys(text: str) -> list[str]:
    return [re.sub(rf"^{STAMP} +\d+ ", "", line) for line in text.splitlines()]


def test_a_bucket_shows_its_top_like_a_directory(haul: Box) -> None:
    haul.bucket({"a/one": b"1", "a/two": b"22", "top.txt": b"333"})
    result = haul("ls", "s3://b")
    assert result.code == 0
    first, second = result.out.splitlines()
    assert first == "                           PRE a/"
    assert re.fullmatch(rf"{STAMP}          3 top\.txt", second)


def test_a_prefix_without_its_slash_shows_what_starts_with_it(haul: Box) -> None:
    haul.bucket({"log": b"", "logs/x": b"", "other": b""})
    assert keys(haul("ls", "s3://b/log").out) == ["                           PRE logs/", "log"]


def test_below_a_prefix_names_are_relative_and_recursive_ones_are_whole(haul: Box) -> None:
    haul.bucket({"a/x/1": b"", "a/y": b""})
    assert keys(haul("ls", "s3://b/a/").out) == ["                           PRE x/", "y"]
    assert keys(haul("ls", "-r", "s3://b/a/").out) == ["a/x/1", "a/y"]


def test_wildcards_cross_slashes_and_raw_switches_them_off(haul: Box) -> None:
    haul.bucket({"a/1.gz": b"", "a/b/2.gz": b"", "a/3.txt": b"", "a/*.gz": b""})
    assert keys(haul("ls", "s3://b/a/*.gz").out) == ["a/*.gz", "a/1.gz", "a/b/2.gz"]
    assert keys(haul("ls", "--raw", "s3://b/a/*.gz").out) == ["*.gz"]


def test_what_matches_nothing_is_not_found(haul: Box) -> None:
    haul.bucket({"a": b""})
    for words in (["s3://b/zzz*"], ["s3://b/zzz"], ["-r", "s3://b/zzz/"]):
        result = haul("ls", *words)
        assert result.code == 4
        assert result.err.startswith("haul ls: nothing")
    assert haul("ls", "s3://nope").code == 4


def test_an_empty_bucket_is_no_error(haul: Box) -> None:
    haul.bucket({})
    assert haul("ls", "s3://b").code == 0


def test_sizes_for_people_and_sums(haul: Box) -> None:
    haul.bucket({"a": b"x" * 1536, "c": b"y"})
    result = haul("ls", "--human-readable", "--summarize", "s3://b")
    assert re.search(r"   1\.5 KiB a\n", result.out)
    assert result.out.endswith("\nTotal Objects: 2\n   Total Size: 1.5 KiB\n")
    assert haul("ls", "--summarize", "s3://b").out.endswith("   Total Size: 1537\n")


def test_versions_show_which_is_the_latest_and_which_a_marker(haul: Box) -> None:
    store = haul.bucket({"k": b"1"}, versioned=True)
    haul.put(store, "k", b"22")
    haul.await_(store.delete("k"))
    lines = haul("ls", "--versions", "s3://b/k").out.splitlines()
    assert [line.split()[3] for line in lines] == ["marker", "older", "older"]
    events = haul("ls", "--all-versions", "--json", "s3://b/k").events
    assert [(each["event"], each["is_latest"], each["size"]) for each in events] == [
        ("version", True, 0),
        ("version", False, 2),
        ("version", False, 1),
    ]


def test_json_gives_one_object_a_line(haul: Box) -> None:
    haul.bucket({"p/x": b"", "ü": b"12"})
    prefix, found, summary = haul("ls", "--json", "--summarize", "s3://b").events
    assert prefix == {"event": "prefix", "url": "s3://b/p/", "prefix": "p/"}
    assert found["url"] == "s3://b/ü"
    assert found["size"] == 2
    assert found["last_modified"].endswith("Z")
    assert summary == {"event": "summary", "objects": 1, "size": 2}


def test_keys_cannot_steer_the_terminal(haul: Box) -> None:
    haul.bucket({"a\x1b[2J\nb": b""})
    assert keys(haul("ls", "s3://b").out) == [r"a\x1b[2J\nb"]


def test_buckets_come_from_all_pages(haul: Box) -> None:
    class Client:
        async def list_buckets(self, token: str = "") -> ListParse[list[BucketInfo], str]:
            made = datetime(2024, 5, 6, tzinfo=UTC)
            if not token:
                return ListParse([BucketInfo("one", made)], "more", is_truncated=True)
            return ListParse([BucketInfo("two", None, "eu-west-1")], "", is_truncated=False)

    haul.client = Client()
    lines = haul("ls").out.splitlines()
    assert re.fullmatch(rf"{STAMP} one", lines[0])
    assert lines[1] == " " * 20 + "two"
    assert [event.get("region") for event in haul("ls", "--json").events] == [None, "eu-west-1"]
    assert haul("ls", "-r").code == 2


def test_local_paths_are_refused(haul: Box) -> None:
    result = haul("ls", "./here")
    assert result.code == 2
    assert "s3://bucket/here" in result.err


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("s3:/data", "s3://data"),
        ("s3:data/x", "s3://data/x"),
        ("data", "s3://data"),
        ("/data", "s3://bucket/data"),
    ],
)
def test_the_hint_names_the_url_that_was_meant(haul: Box, text: str, meant: str) -> None:
    assert haul("ls", text).err.endswith(f"  write {meant}\n")


def test_several_urls_have_a_heading_each_and_one_that_fails_does_not_end_the_others(haul: Box) -> None:
    haul.bucket({"a/1": b"1", "b/2": b"2"})
    result = haul("ls", "s3://b/a/", "s3://b/nope", "s3://b/b/", "--summarize")
    shown = [line.split()[-1] for line in result.out.splitlines() if line]
    assert shown == ["s3://b/a/:", "1", "s3://b/nope:", "s3://b/b/:", "2", "2", "2"]
    assert (result.code, "s3://b/nope" in result.err) == (1, True)
