"""sync as its users meet it: one tree like another, then nothing to do, and nothing deleted in doubt."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.e2e.saying import says

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.conftest import Program

Tree = dict[str, bytes]
#: Among them keys that a store which keeps directories lists in another order than S3.
TREE: Tree = {
    "a.txt": b"a",
    "a/b": b"b" * 300_000,
    "a-b": b"",
    "a0": b"0",
    "ü/😀": b"u",
    "large": b"l" * 9_000_000,
}


def write(root: Path, tree: Mapping[str, bytes]) -> None:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(root: Path) -> Tree:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def keys(haul: Program, url: str) -> list[str]:
    return [event["key"] for event in haul.ok("ls", "-r", "--json", url).events]


def actions(haul: Program, *words: str) -> list[str]:
    """Return what a sync did, sorted, with paths relative to where they lie."""
    lines = haul.ok("sync", *words, "--json").events
    return sorted(f"{line['action']} {line['source'].rpartition('/tree/')[2]}" for line in lines)


def test_up_down_and_across_and_again_with_nothing_to_do(haul: Program, bucket: str) -> None:
    write(haul.cwd / "tree", TREE)
    other = ["--source-endpoint-url", haul.environ["AWS_ENDPOINT_URL_S3"].replace("127.0.0.1", "localhost")]
    runs = (
        ("tree", f"{bucket}/one"),
        (f"{bucket}/one/", f"{bucket}/two/"),
        (f"{bucket}/two", f"{bucket}/three", *other),
        (f"{bucket}/three", "back/deep"),
    )
    for words in runs:
        first = haul.ok("sync", *words)
        assert len(first.out.splitlines()) == len(TREE)
        again = haul.ok("sync", *words)
        assert (again.out, again.err) == ("", f"nothing to do: {len(TREE)} objects are in place\n")
    assert read(haul.cwd / "back/deep") == TREE


def test_what_differs_goes_and_what_is_extra_is_deleted_only_on_demand(haul: Program, bucket: str) -> None:
    write(haul.cwd / "tree", {"same": b"1", "longer": b"2", "newer": b"3", "gone": b"4", "keep.log": b"5"})
    url = f"{bucket}/tree/"
    haul.ok("sync", "tree", url)
    write(haul.cwd / "tree", {"longer": b"22", "new": b"6"})
    later = time.time() + 10
    os.utime(haul.cwd / "tree/newer", (later, later))
    for name in ("gone", "keep.log"):
        (haul.cwd / "tree" / name).unlink()
    assert actions(haul, "tree", url, "--size-only", "-n") == ["upload longer", "upload new"]
    assert actions(haul, "tree", url, "--checksum", "-n") == ["upload longer", "upload new"]
    assert actions(haul, "tree", url) == ["upload longer", "upload new", "upload newer"]
    os.utime(haul.cwd / "tree/newer", (0, 0))
    dry = haul.ok("sync", "tree", url, "--delete", "-n", "--exclude", "*.log")
    assert dry.out == f"delete: {url}gone (dry run)\n"
    refused = haul("sync", "tree", url, "--delete", "--max-delete", "1")
    says(refused, 1, "2 objects would be deleted, more than --max-delete 1", "--dry-run")
    assert haul.ok("sync", "tree", url, "--delete", "--exclude", "*.log").out == f"delete: {url}gone\n"
    assert keys(haul, url) == [f"tree/{name}" for name in ("keep.log", "longer", "new", "newer", "same")]


def test_down_deletes_too_and_leaves_what_it_does_not_know(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/tree/k", stdin=b"x")
    write(haul.cwd / "out", {"k": b"of another size", "extra": b"x", "d/extra": b"x"})
    os.mkfifo(haul.cwd / "out/fifo")
    done = haul.ok("sync", f"{bucket}/tree", "out", "--delete")
    assert sorted(line.split()[0] for line in done.out.splitlines()) == ["delete:", "delete:", "download:"]
    assert read(haul.cwd / "out") == {"k": b"x"}
    assert (haul.cwd / "out/fifo").exists()


def test_nothing_is_deleted_where_a_copy_failed(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/tree/d/f", stdin=b"x")
    haul.ok("put", "-", f"{bucket}/tree/g", stdin=b"x")
    write(haul.cwd / "out", {"d": b"a file where a directory is needed", "extra": b"x"})
    done = haul("sync", f"{bucket}/tree", "out", "--delete")
    assert done.code == 1
    assert "a file stands where a directory is needed" in done.err
    assert "were not copied: nothing was deleted" in done.err
    assert read(haul.cwd / "out") == {"d": b"a file where a directory is needed", "extra": b"x", "g": b"x"}


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        ("sync empty {b}/tree/ --delete", 4, "--delete would empty {b}/tree/", "haul rm"),
        ("sync {b}/nothing/ d --delete", 4, "--delete would empty", "haul rm"),
        ("sync d {b}/tree --exclude * --delete", 4, "--delete would empty", "filters"),
        ("sync no-dir {b}/tree", 4, "no-dir: no such file or directory", ""),
        ("sync d/g {b}/tree", 2, "d/g is a file, and sync works on directories", "haul cp"),
        ("sync d s3://no-such-bucket-here/", 4, "NoSuchBucket", "haul mb"),
        ("sync s3://no-such-bucket-here/ d", 4, "NoSuchBucket", "haul mb"),
        ("sync d d", 2, "both", ""),
        ("sync {b}/tree {b}/tree/", 2, "is both source and destination", "another"),
        ("sync d {b}/tree --max-delete 3", 2, "means nothing without --delete", "--delete"),
        ("sync d {b}/tree d", 2, "one argument too many", "--help"),
        ("sync d -", 2, "- stands for one stream", "haul put"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    prepared: tuple[Program, str], words: str, code: int, message: str, hint: str
) -> None:
    haul, bucket = prepared
    says(haul(*words.format(b=bucket).split()), code, message.format(b=bucket), hint)


def test_what_was_wrong_has_changed_nothing(prepared: tuple[Program, str]) -> None:
    haul, bucket = prepared
    assert keys(haul, bucket) == ["k", "tree/g", "tree/h"]
    assert read(haul.cwd) == {"f": b"x", "d/g": b"x", "d/h": b"x"}


def test_an_empty_source_without_delete_is_a_warning(haul: Program, bucket: str) -> None:
    (haul.cwd / "empty").mkdir()
    done = haul.ok("sync", "empty", f"{bucket}/tree")
    assert "there is nothing to sync under" in done.err
    assert keys(haul, bucket) == []
