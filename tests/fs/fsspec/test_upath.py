"""Paths of universal-pathlib."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from upath import UPath

if TYPE_CHECKING:
    from haulyard.fs import HaulFileSystem


def test_a_upath_reads_writes_and_walks(fs: HaulFileSystem, place: str, options: dict[str, Any]) -> None:
    root = UPath(f"haul://{place}/root", **options)
    (root / "a" / "b.txt").write_text("hello")
    (root / "c.bin").write_bytes(b"\0\1")
    assert (root / "a" / "b.txt").read_text() == "hello"
    assert sorted(each.name for each in root.iterdir()) == ["a", "c.bin"]
    assert [each.name for each in root.glob("**/*.txt")] == ["b.txt"]
    assert (root / "a").is_dir()
    assert (root / "c.bin").is_file()
    assert (root / "c.bin").stat().st_size == 2
    assert str(root / "a" / "b.txt") == f"haul://{place}/root/a/b.txt"
    (root / "c.bin").unlink()
    assert not (root / "c.bin").exists()
    with pytest.raises(FileNotFoundError):
        (root / "c.bin").read_bytes()


def test_a_upath_moves_within_its_bucket(place: str, options: dict[str, Any]) -> None:
    root = UPath(f"haul://{place}", **options)
    (root / "x").write_bytes(b"1")
    (root / "x").rename(root / "y")
    assert not (root / "x").exists()
    assert (root / "y").read_bytes() == b"1"


@pytest.mark.parametrize(
    "url",
    [
        "haul://bucket",
        "haul://bucket/",
        "haul://bucket/key",
        "haul://bucket/a b#c?d/key.tar.gz",
        "haul://b//k",
    ],
)
def test_a_path_is_cut_as_one_of_s3_is(url: str) -> None:
    ours, theirs = UPath(url, anon=True), UPath(url.replace("haul", "s3"), anon=True)
    for name in ("parts", "name", "stem", "suffix", "drive", "root", "anchor", "path"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for mine, other in ((ours, theirs), (ours.parent, theirs.parent)):
        assert str(mine) == str(other).replace("s3://", "haul://")


def test_the_first_path_of_a_program_is_cut_right() -> None:
    program = """
from upath import UPath
path = UPath("haul://bucket/dir/file.csv")
print(path.name, path.parts, path.parent, path.relative_to(UPath("haul://bucket/dir")))
"""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "file.csv ('bucket/', 'dir', 'file.csv') haul://bucket/dir file.csv\n"


def test_the_bucket_may_be_joined_or_an_option() -> None:
    assert str(UPath("haul://", bucket="bucket", anon=True)) == "haul://bucket/"
    assert str(UPath("haul://", anon=True).joinpath("bucket", "key")) == "haul://bucket/key"


def test_a_bucket_that_is_there_is_not_made_again(bucket: str, options: dict[str, Any]) -> None:
    with pytest.raises(FileExistsError):
        UPath(f"haul://{bucket}", **options).mkdir()


def test_all_of_a_bucket_is_globbed_and_walked(bucket: str, options: dict[str, Any]) -> None:
    root = UPath(f"haul://{bucket}", **options)
    (root / "a" / "b.txt").write_text("1")
    (root / "c.txt").write_text("2")
    assert sorted(map(str, root.glob("**/*.txt"))) == [f"haul://{bucket}/a/b.txt", f"haul://{bucket}/c.txt"]
    assert sorted(each.name for each in root.iterdir()) == ["a", "c.txt"]
    assert [(str(at.relative_to(root)), dirs, files) for at, dirs, files in root.walk()] == [
        (".", ["a"], ["c.txt"]),
        ("a", [], ["b.txt"]),
    ]
