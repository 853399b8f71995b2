"""`haul restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.models import ListOptions, ListPage, ObjectHead, PutOptions, RestoreOptions
from haulyard.stores.base import GET, LIST, RESTORE
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.cli.conftest import Box

    from haulyard.models import GetOptions

CLASSES = {"cold": "GLACIER", "colder": "DEEP_ARCHIVE", "warm": "STANDARD", "smart": "INTELLIGENT_TIERING"}


class Archive(MemoryStore):
    """Objects in archive classes; the second request for one says that it is under way."""

    def __init__(self) -> None:
        super().__init__("b")
        self.asked: dict[str, RestoreOptions] = {}
        self.tiered = True

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        head = await super().head(key, options)
        archived = "ARCHIVE_ACCESS" if key == "smart" and self.tiered else ""
        return head._replace(storage_class=CLASSES[key], archive_status=archived)

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        async for page in super().list(prefix, options):
            yield ListPage([info._replace(storage_class=CLASSES[info.key]) for info in page.objects], [])

    async def restore(self, key: str, options: RestoreOptions = RESTORE) -> bool:
        asked_before = key in self.asked
        self.asked[key] = options
        return not asked_before


@pytest.fixture
def archive(haul: Box) -> Archive:
    store = Archive()
    haul.stores["b"] = store
    for key in CLASSES:
        haul.await_(store.put(key, b"x", PutOptions()))
    return store


def test_what_is_archived_is_asked_for_and_the_rest_is_passed_over(haul: Box, archive: Archive) -> None:
    result = haul("restore", "s3://b/", "--days", "7", "--tier", "bulk")
    assert result.code == 0
    assert set(result.out.splitlines()) == {
        "restore: memory://b/cold",
        "restore: memory://b/colder",
        "restore: memory://b/smart",
        "skip: memory://b/warm (STANDARD is not archived)",
    }
    assert archive.asked == {
        "cold": RestoreOptions(7, "Bulk"),
        "colder": RestoreOptions(7, "Bulk"),
        "smart": RestoreOptions(None, "Bulk"),
    }
    again = haul("restore", "s3://b/cold*")
    assert again.code == 0
    assert again.out.count("restored, or under way, already") == 2


def test_a_single_object_is_looked_at_first(haul: Box, archive: Archive) -> None:
    assert haul("restore", "s3://b/cold").out == "restore: memory://b/cold\n"
    assert "not archived" in haul("restore", "s3://b/warm").out
    archive.tiered = False
    assert "not archived" in haul("restore", "s3://b/smart").out
    assert haul("restore", "s3://b/nope").code == 4


def test_a_dry_run_asks_for_nothing(haul: Box, archive: Archive) -> None:
    assert "restore: memory://b/cold (dry run)" in haul("restore", "s3://b/", "-n").out
    assert not archive.asked


def test_filters_apply(haul: Box, archive: Archive) -> None:
    haul("restore", "s3://b/", "--include", "colder")
    assert list(archive.asked) == ["colder"]


def test_a_manifest_names_what_is_restored(haul: Box, archive: Archive) -> None:
    (haul.cwd / "keys").write_text("cold\nwarm\n")
    assert haul("restore", "s3://b/", "--manifest", str(haul.cwd / "keys")).code == 0
    assert list(archive.asked) == ["cold"]


@pytest.mark.parametrize(
    "words",
    [
        ["s3://b/cold", "--days", "0"],
        ["s3://b/cold", "--tier", "slow"],
        ["s3://b/", "s3://c/", "--manifest", "m"],
        ["local"],
    ],
)
def test_what_makes_no_sense_is_refused(haul: Box, archive: Archive, words: list[str]) -> None:
    assert haul("restore", *words).code == 2
    assert not archive.asked
