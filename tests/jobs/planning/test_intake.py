from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, JobError, NotFound
from haulyard.jobs.ends import Ends
from haulyard.jobs.model import Verb
from haulyard.jobs.planning.intake import Batch, Intake, fetch_tags
from haulyard.jobs.specification import Specification
from haulyard.models import ObjectInfo
from haulyard.stores.base import GET
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select, select_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from haulyard.models import GetOptions, ObjectHead
    from haulyard.stores.base import Store
    from haulyard.transfer.selection import Selection

pytestmark = pytest.mark.anyio


class Counting(MemoryStore):
    """Counts how many HEADs are under way."""

    most = now = 0

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return await super().head(key, options)


async def store_of(*keys: str, ordered: bool | None = True) -> Counting:
    store = Counting("bucket")
    store.capabilities = replace(store.capabilities, ordered_listing=ordered)
    for key in keys:
        await store.put(key, key.encode())
    return store


def intake(
    store: Store, selection: Selection, position: Mapping[str, Any] | None = None, **options: Any
) -> Intake:
    specification = Specification(Verb.COPY, "memory://bucket/", **options)
    ends = Ends(store, selection, store, Target.parse("out/"))
    return Intake(ends, specification, concurrency=3, position=position)


async def keys_of(intake: Intake) -> list[str]:
    return sorted([info.key async for batch in intake.batches() for info in batch.objects])


async def test_a_tree_is_listed_and_counted() -> None:
    found = intake(await store_of("in/a", "in/b", "out/c"), select("in/"))
    assert await keys_of(found) == ["in/a", "in/b"]
    assert found.requests == {"list": 1}
    assert found.position() == {"spans": []}
    assert found.latency > 0.0


async def test_a_listing_without_order_has_no_position() -> None:
    found = intake(await store_of("in/a", ordered=None), select("in/"))
    assert await keys_of(found) == ["in/a"]
    assert found.position() is None


async def test_what_is_complete_is_not_asked_for_again() -> None:
    assert await keys_of(intake(await store_of("in/a"), select("in/"), {"complete": True})) == []


async def test_the_end_of_a_listing_is_a_position_too() -> None:
    assert await keys_of(intake(await store_of("in/a"), select("in/"), {"spans": []})) == []


async def test_a_listing_goes_on_from_its_spans() -> None:
    position = {"spans": [["in/", "in/a", "in/c"], ["in/", "in/d", ""]]}
    store = await store_of(*(f"in/{letter}" for letter in "abcdef"))
    assert await keys_of(intake(store, select("in/"), position)) == ["in/b", "in/c", "in/e", "in/f"]


async def test_a_directory_is_listed_too(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("x")
    assert await keys_of(intake(LocalStore(tmp_path), select(""))) == ["d/x"]


async def test_an_absent_object_that_is_a_prefix_is_explained() -> None:
    with pytest.raises(ConfigError, match="is a directory or prefix"):
        await keys_of(intake(await store_of("in/a/b"), select("in/a")))
    with pytest.raises(NotFound):
        await keys_of(intake(await store_of("in/a/b"), select("in/x")))


async def test_a_single_object_can_be_filtered_out() -> None:
    assert await keys_of(intake(await store_of("in/a"), select("in/a"), filters=((False, "a"),))) == []


async def test_what_a_manifest_does_not_tell_is_asked_some_at_a_time(tmp_path: Path) -> None:
    store = await store_of(*(f"in/{number}" for number in range(8)))
    (tmp_path / "keys.txt").write_text("".join(f"in/{number}\n" for number in (3, 1, 9, 2, 0)))
    found = intake(store, select_manifest("in/"), manifest=str(tmp_path / "keys.txt"))
    async with aclosing(found.batches()) as batches:
        objects = [info async for batch in batches for info in batch.objects]
    assert [info.key for info in objects] == ["in/3", "in/1", "in/9", "in/2", "in/0"]
    assert [info.size for info in objects] == [4, 4, -1, 4, 4]
    assert store.most == 3
    assert found.requests == {"head": 5}
    assert (found.position() or {})["entries"] == 5


async def test_what_an_inventory_tells_is_believed(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b'"bucket","in/a","7","2026-01-02T03:04:05.000Z","e","GLACIER"\n')
    (tmp_path / "manifest.json").write_text(
        '{"sourceBucket": "bucket", "destinationBucket": "arn:aws:s3:::i", "fileFormat": "CSV",'
        ' "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass",'
        ' "files": [{"key": "inv/data.csv"}]}'
    )
    store = await store_of()
    found = intake(store, select_manifest("in/"), manifest=str(tmp_path / "manifest.json"))
    async with aclosing(found.batches()) as batches:
        assert [batch async for batch in batches] == [
            Batch([ObjectInfo("in/a", 7, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "e", "GLACIER")])
        ]
    assert found.requests == {"head": 0}


async def test_a_manifest_that_ends_too_early_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("in/a\n")
    position = {"entries": 2, "checksum": 1}
    found = intake(
        await store_of("in/a"), select_manifest("in/"), position, manifest=str(tmp_path / "keys.txt")
    )
    with pytest.raises(JobError, match="not the one"):
        await keys_of(found)


async def test_tags_are_fetched_for_those_that_are_wanted() -> None:
    store = await store_of("a", "b")
    await store.set_tags("a", {"x": "y"})
    moment = datetime.fromtimestamp(0, UTC)
    batch = Batch([ObjectInfo(key, 1, moment) for key in ("a", "b", "gone")])
    assert await fetch_tags(store, batch, [True, False, True], 2) == [{"x": "y"}, None, {}]
    assert await fetch_tags(store, batch, [False] * 3, 2) == [None] * 3
