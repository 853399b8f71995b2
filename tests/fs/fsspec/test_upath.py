"""Paths of universal-pathlib."""

from __future__ import annotations

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
