"""Many objects removed, each accounted for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.transfer.stumbling import Stumbling, always, at

from haulyard.errors import AccessDenied, HaulError, S3CredentialsError, S3NotFound, S3ServerError
from haulyard.events import TransferDone
from haulyard.models import DeleteItem, DeleteOutcome
from haulyard.stores.memory import MemoryStore
from haulyard.transfer import deletion
from haulyard.transfer.deletion import delete_items
from haulyard.transfer.items import Item, Summary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

pytestmark = pytest.mark.anyio


async def paged(*pages: Sequence[str]) -> AsyncIterator[list[Item]]:
    for page in pages:
        yield [Item(key, 2) for key in page]


async def filled(*keys: str) -> Stumbling:
    store = Stumbling()
    for key in keys:
        await store.put(key, b"xx")
    return store


async def remove(
    store: MemoryStore, *pages: Sequence[str], stopped: Callable[[], bool] = lambda: False
) -> tuple[Summary, list[TransferDone]]:
    reports: list[TransferDone] = []
    summary = await delete_items(store, paged(*pages), reports.append, stopped=stopped)
    return summary._replace(seconds=0.0), reports


async def left(store: MemoryStore) -> list[str]:
    return [info.key async for page in store.list() for info in page.objects]


async def test_pages_go_in_batches_and_one_alone_by_itself() -> None:
    store = await filled("a", "b", "c", "d")
    summary, reports = await remove(store, ["a", "b"], ["c"], ["absent"])
    assert summary == Summary(done=4, bytes=8)
    # The store in memory removes the two of the batch one by one.
    assert (store.calls["delete_many"], store.calls["delete"]) == (1, 2 + 2)
    assert await left(store) == ["d"]
    assert TransferDone("delete", "memory://bucket/c", "", 2) in reports
    assert len(reports) == 4
    assert await remove(store) == (Summary(), [])


async def test_versions_are_removed_by_their_ids_and_markers_are_told() -> None:
    store = MemoryStore(versioned=True)
    version = (await store.put("k", b"xx")).version_id
    await store.put("k", b"yy")
    reports: list[TransferDone] = []

    async def pages() -> AsyncIterator[list[Item]]:
        yield [Item("k", 2, version_id=version)]
        yield [Item("k", -1)]

    summary = await delete_items(store, pages(), reports.append)
    assert (summary.done, summary.bytes) == (2, 2)
    assert reports[0].version_id == version
    assert reports[1].version_id not in {"", version}


class Refusing(Stumbling):
    """Refuses some of the keys of a batch."""

    async def delete_many(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        await asyncio.sleep(0)
        return [
            DeleteOutcome(item.key, error=AccessDenied("locked") if item.key == "b" else None)
            for item in items
        ]


async def test_a_key_that_fails_is_listed_and_the_others_go_on() -> None:
    summary, reports = await remove(Refusing(), ["a", "b", "c"])
    assert summary == Summary(done=2, failed=1, bytes=4)
    (failed,) = [report for report in reports if report.error is not None]
    assert (failed.source, str(failed.error)) == ("memory://bucket/b", "locked")


@pytest.mark.parametrize("operation", ["delete", "delete_many"])
async def test_a_request_that_fails_as_a_whole_fails_its_keys(operation: str) -> None:
    store = await filled("a", "b", "c", "d", "e")
    store.before[operation] = at(1, S3ServerError("500"))
    summary, reports = await remove(store, ["a", "b"], ["c"], ["d", "e"])
    assert summary.failed == (1 if operation == "delete" else 2)
    assert summary.done + summary.failed == len(reports) == 5
    assert len(await left(store)) == summary.failed


@pytest.mark.parametrize("error", [S3CredentialsError("x"), S3NotFound("x", code="NoSuchBucket")])
async def test_what_concerns_all_ends_it(error: HaulError) -> None:
    store = await filled("a", "b")
    store.before["delete_many"] = always(error)
    with pytest.raises(type(error)):
        await remove(store, ["a", "b"])


async def test_once_stopped_no_batch_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "BATCHES", 1)
    store = await filled("a", "b", "c")
    summary, _ = await remove(store, ["a"], ["b"], ["c"], stopped=lambda: store.calls["delete"] == 2)
    assert summary == Summary(done=2, bytes=4, interrupted=True)
    assert await left(store) == ["c"]


async def test_who_had_removed_everything_was_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "BATCHES", 1)
    store = await filled("a", "b")
    summary, _ = await remove(store, ["a"], ["b"], stopped=lambda: store.calls["delete"] == 2)
    assert summary == Summary(done=2, bytes=4)
