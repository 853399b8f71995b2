"""`haul uploads`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from tests.cli.conftest import Box


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.age = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.age


@pytest.fixture
def ids(haul: Box) -> tuple[str, str]:
    """Two uploads: an old one of ``a/old``, a new one of ``b``."""
    clock = Clock()
    store = haul.stores["b"] = MemoryStore("b", clock=clock)
    clock.age = timedelta(days=8)
    old = haul.await_(store.create_multipart("a/old"))
    clock.age = timedelta(0)
    return old, haul.await_(store.create_multipart("b"))


def listed(haul: Box, url: str = "s3://b") -> list[str]:
    return [event["upload_id"] for event in haul("uploads", "--json", url).events]


def test_uploads_are_listed_with_their_objects(haul: Box, ids: tuple[str, str]) -> None:
    old, new = ids
    lines = haul("uploads", "s3://b").out.splitlines()
    assert [line.split()[2:] for line in lines] == [[old, "s3://b/a/old"], [new, "s3://b/b"]]
    assert listed(haul, "s3://b/a/") == [old]


def test_an_upload_is_aborted_by_id(haul: Box, ids: tuple[str, str]) -> None:
    old, new = ids
    result = haul("uploads", "abort", "s3://b/b", "--upload-id", new)
    assert (result.code, result.out) == (0, f"abort: s3://b/b {new}\n")
    assert listed(haul) == [old]
    again = haul("uploads", "abort", "s3://b/b", "--upload-id", new)
    assert again.code == 4
    assert "there is no upload" in again.err


def test_uploads_are_aborted_by_age(haul: Box, ids: tuple[str, str]) -> None:
    _, new = ids
    assert "(dry run)" in haul("uploads", "abort", "s3://b", "--older-than", "7d", "-n").out
    assert len(listed(haul)) == 2
    assert haul("uploads", "abort", "s3://b", "--older-than", "7d").code == 0
    assert listed(haul) == [new]


def test_nothing_is_aborted_without_saying_which(haul: Box, ids: tuple[str, str]) -> None:
    for words in (["abort", "s3://b"], ["abort"], ["s3://b", "s3://c"], ["s3://b", "--older-than", "old"]):
        assert haul("uploads", *words).code == 2
    assert len(listed(haul)) == 2
