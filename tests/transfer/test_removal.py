"""Moves: nothing is deleted before its copy is known to be one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.transfer.stumbling import Stumbling, always

from haulyard.errors import AccessDenied, HaulError, IntegrityError, NotFound, SourceChanged, StoreError
from haulyard.events import Event, TransferDone, Warned, ignore
from haulyard.models import PutOptions
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.engine import mover
from haulyard.transfer.evidence import ContentComparer
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.removal import then_remove

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from haulyard.stores.base import Store

pytestmark = pytest.mark.anyio

OPTIONS = TransferOptions(durable=True)


class Moving:
    """Moves one object between two stores."""

    def __init__(self, source: Store, destination: Store) -> None:
        self.source = source
        self.destination = destination
        self.events: list[Event] = []
        self.verify = False
        self.report: Callable[[TransferDone], TransferDone] = lambda done: done

    async def __call__(self, item: Item | None = None, target: str = "d") -> TransferDone:
        real = mover(self.source, self.destination, OPTIONS, ignore)

        async def move(job: Job) -> TransferDone:
            return self.report(await real(job))

        comparer = ContentComparer(self.source, self.destination) if self.verify else None
        moving = then_remove(
            move, self.source, self.destination, OPTIONS, self.events.append, same_content=comparer
        )
        return await moving(Job(item or Item("k"), target))

    async def fails(self, error: type[BaseException], *words: Item | str) -> BaseException:
        with pytest.raises(error) as caught:
            await self(*words)  # type: ignore[arg-type]
        return caught.value


@pytest.fixture
def source() -> Stumbling:
    return Stumbling("from")


@pytest.fixture
def destination() -> Stumbling:
    return Stumbling("to")


@pytest.fixture
def moving(source: Stumbling, destination: Stumbling) -> Moving:
    return Moving(source, destination)


async def is_gone(store: Store, key: str = "k") -> bool:
    try:
        await store.head(key)
    except NotFound:
        return True
    return False


@pytest.mark.parametrize("size", [0, 5])
async def test_objects_files_and_objects_again_are_moved(tmp_path: Path, size: int) -> None:
    directory = LocalStore(tmp_path / "root")
    await directory.put("k", b"x" * size)
    ends: list[Store] = [directory, Stumbling("one"), Stumbling("two"), LocalStore(tmp_path / "other")]
    for here, there in pairwise(ends):
        done = await Moving(here, there)(target="k")
        assert (done.action, done.size, done.verified) == ("move", size, "checksum")
        assert await is_gone(here)
    assert (tmp_path / "other" / "k").read_bytes() == b"x" * size


async def test_what_is_skipped_or_failed_is_not_deleted(moving: Moving, source: Stumbling) -> None:
    await source.put("k", b"x")
    moving.report = lambda done: done._replace(action="skip", reason="exists already")
    assert (await moving()).action == "skip"
    moving.report = lambda done: done._replace(error=HaulError("x"))
    assert (await moving()).error is not None
    assert not await is_gone(source)


@pytest.mark.parametrize("proved", [True, None, False])
async def test_a_source_that_was_replaced_after_it_was_copied_stays(
    moving: Moving, source: Stumbling, destination: Stumbling, proved: bool | None
) -> None:
    source.capabilities = replace(source.capabilities, conditional_delete=proved)
    await source.put("k", b"old")
    destination.after["put"] = lambda count: MemoryStore.put(source, "k", b"new")
    error = await moving.fails(SourceChanged)
    assert "memory://from/k was replaced after it was copied" in str(error)
    assert await source.content("k") == b"new"
    assert await destination.content("d") == b"old"
    assert moving.events == []
    destination.after.clear()
    assert (await moving()).action == "move"
    assert await is_gone(source)
    assert source.calls["head"] == (1 if proved else 3) + 2


@pytest.mark.parametrize("proved", [True, None])
async def test_a_source_that_somebody_deleted_meanwhile_is_moved(
    moving: Moving, source: Stumbling, destination: Stumbling, proved: bool | None
) -> None:
    source.capabilities = replace(source.capabilities, conditional_delete=proved)
    await source.put("k", b"x")
    destination.after["put"] = lambda count: MemoryStore.delete(source, "k")
    assert (await moving()).action == "move"


async def test_a_source_that_may_not_be_deleted_is_told(moving: Moving, source: Stumbling) -> None:
    await source.put("k", b"x")
    source.before["delete"] = always(AccessDenied("denied", hint="allow s3:DeleteObject"))
    await moving.fails(AccessDenied)
    message = "memory://from/k was copied to memory://to/d but not deleted"
    assert moving.events == [Warned(message, "allow s3:DeleteObject")]


async def test_a_source_without_an_etag_is_not_deleted(moving: Moving, source: Stumbling) -> None:
    await source.put("k", b"x")
    moving.report = lambda done: done._replace(source_etag="")
    error = await moving.fails(IntegrityError)
    assert "has no ETag" in str(error)
    assert not await is_gone(source)


async def test_a_copy_of_another_size_is_no_copy(
    moving: Moving, source: Stumbling, destination: Stumbling
) -> None:
    await source.put("k", b"content")
    destination.after["put"] = lambda count: MemoryStore.put(destination, "d", b"cut")
    moving.report = lambda done: done._replace(verified="size only")
    error = await moving.fails(IntegrityError)
    assert "has 3 bytes instead of 7" in str(error)
    assert not await is_gone(source)
    destination.after.clear()
    await moving()
    assert await is_gone(source)


async def test_contents_are_compared_where_that_is_asked_for(
    moving: Moving, source: Stumbling, destination: Stumbling
) -> None:
    moving.verify = True
    await source.put("k", b"content")
    destination.after["put"] = lambda count: MemoryStore.put(destination, "d", b"another")
    moving.report = lambda done: done._replace(verified="size only")
    error = await moving.fails(IntegrityError)
    assert "has another content" in str(error)
    assert not await is_gone(source)
    destination.after.clear()
    await moving()
    assert await is_gone(source)


async def test_a_version_is_not_moved(moving: Moving, source: Stumbling) -> None:
    await source.put("k", b"x")
    error = await moving.fails(StoreError, Item("k", version_id="v1"))
    assert "a version cannot be moved" in str(error)
    assert source.calls["get"] == 0
    assert not await is_gone(source)


class Elsewhere(Stumbling):
    """The same objects under another address."""

    def __init__(self, store: Stumbling, bucket: str) -> None:
        super().__init__(bucket)
        self._versions = store._versions


@pytest.mark.parametrize("other", ["from", "arn:aws:s3:eu-west-1:123456789012:accesspoint/from"])
async def test_one_bucket_under_two_addresses_is_not_moved_onto_itself(source: Stumbling, other: str) -> None:
    await source.put("k", b"only copy")
    for ends in ((source, Elsewhere(source, other)), (Elsewhere(source, other), source)):
        error = await Moving(*ends).fails(IntegrityError, Item("k"), "k")
        assert "seems to be its own destination" in str(error)
        assert await source.content("k") == b"only copy"
    # Under another name it is an ordinary move.
    await Moving(source, Elsewhere(source, other))(Item("k"), "other")
    assert await source.content("other") == b"only copy"


async def test_two_buckets_of_one_name_are_two_if_they_differ(source: Stumbling) -> None:
    other = Stumbling("from")
    await source.put("k", b"x")
    await Moving(source, other)(Item("k"), "k")
    await source.put("k", b"y")
    await Moving(source, other)(Item("k"), "k")
    assert await other.content("k") == b"y"
    assert await is_gone(source)


async def test_a_file_that_changed_after_it_was_sent_stays(tmp_path: Path, destination: Stumbling) -> None:
    (tmp_path / "k").write_bytes(b"old")
    destination.after["put"] = lambda count: (tmp_path / "k").write_bytes(b"newer")
    await Moving(LocalStore(tmp_path), destination).fails(SourceChanged)
    assert (tmp_path / "k").read_bytes() == b"newer"


async def test_metadata_goes_along(moving: Moving, source: Stumbling, destination: Stumbling) -> None:
    await source.put("k", b"x", PutOptions(metadata={"a": "b"}, content_type="text/x"))
    await moving()
    head = await destination.head("d")
    assert (head.metadata, head.content_type) == ({"a": "b"}, "text/x")
