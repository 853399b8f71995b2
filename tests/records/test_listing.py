"""The source objects of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, NotFound
from haulyard.models import GetOptions, PutOptions
from haulyard.records.listing import source_objects
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.filters import Pattern
from haulyard.transfer.selection import select, select_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.models import ObjectHead
    from haulyard.records.model import SourceObject

pytestmark = pytest.mark.anyio


async def store_of(*keys: str) -> MemoryStore:
    store = MemoryStore("b", versioned=True)
    for key in keys:
        await store.put(key, key.encode(), PutOptions())
    return store


async def found(*args: Any, **more: Any) -> list[SourceObject]:
    return [each async for page in source_objects(*args, **more) for each in page]


async def test_objects_are_numbered_in_the_order_of_reading() -> None:
    store = await store_of("in/a", "in/bb", "out/c")
    objects = await found(store, select("in/"))
    assert [(each.id, each.key, each.size) for each in objects] == [(1, "in/a", 4), (2, "in/bb", 5)]
    assert [each.etag for each in objects] == [(await store.head(key)).etag for key in ("in/a", "in/bb")]
    assert [each.key for each in await found(store, select("*c"))] == ["out/c"]


async def test_what_filters_leave_out_has_no_number() -> None:
    store = await store_of("in/a", "in/b", "in/c")
    objects = await found(store, select("in/"), [Pattern(include=False, text="b")])
    assert [(each.id, each.key) for each in objects] == [(1, "in/a"), (2, "in/c")]


async def test_a_single_object_is_asked_for_also_in_an_older_version() -> None:
    store = MemoryStore("b", versioned=True)
    old = await store.put("k", b"old", PutOptions())
    await store.put("k", b"newer", PutOptions())
    (newest,) = await found(store, select("k"))
    assert (newest.size, newest.version_id) == (5, "")
    (one,) = await found(store, select("k"), version_id=old.version_id)
    assert (one.size, one.version_id) == (3, old.version_id)
    head = await store.head("k", GetOptions(version_id=old.version_id))
    assert one.etag == head.etag


async def test_what_is_not_there_is_not_found() -> None:
    store = await store_of("in/a")
    for key in ("nope", "nope/", "nope*"):
        with pytest.raises(NotFound):
            await found(store, select(key))


async def test_a_manifest_says_what_is_read(tmp_path: Path) -> None:
    store = await store_of(*(f"in/{at:03}" for at in range(100)))
    manifest = tmp_path / "keys.txt"
    manifest.write_text("".join(f"in/{at:03}\n" for at in range(99, -1, -1)))
    objects = await found(store, select_manifest("in/"), manifest=str(manifest))
    assert [each.id for each in objects] == list(range(1, 101))
    assert [each.key for each in objects] == [f"in/{at:03}" for at in range(99, -1, -1)]
    assert all(each.etag and each.size == 6 for each in objects)
    manifest.write_text("in/gone\n")
    with pytest.raises(NotFound):
        await found(store, select_manifest("in/"), manifest=str(manifest))


async def test_files_of_this_machine_have_what_tells_that_they_changed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n")
    store = LocalStore(str(tmp_path))
    (before,) = await found(store, select("a.csv", raw=True))
    (tmp_path / "a.csv").write_text("b\nc\n")
    (after,) = await found(store, select("a.csv", raw=True))
    assert before.etag
    assert before.etag != after.etag


async def test_an_object_that_nothing_tells_from_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = await store_of("k")
    head = store.head

    async def bare(key: str, options: GetOptions | None = None) -> ObjectHead:
        return (await head(key, options or GetOptions()))._replace(etag="")

    monkeypatch.setattr(store, "head", bare)
    with pytest.raises(ConfigError, match="has no ETag"):
        await found(store, select("k"))
