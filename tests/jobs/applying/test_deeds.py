"""Archived objects asked for, and numbers of days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import LONG_AGO, put_now, store_of

from haulyard.errors import ConfigError, SourceChanged
from haulyard.jobs.applying.copied import LeftAlone
from haulyard.jobs.applying.deeds import check_days, etag_now, restore
from haulyard.jobs.model import Operation
from haulyard.stores.base import RESTORE
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from haulyard.models import RestoreOptions

pytestmark = pytest.mark.anyio


class Archive(MemoryStore):
    """Takes requests for archived objects."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.asked: list[tuple[str, RestoreOptions]] = []
        self.is_new = True

    async def restore(self, key: str, options: RestoreOptions = RESTORE) -> bool:
        """Take note of the request."""
        self.asked.append((key, options))
        return self.is_new


def archive_of(storage_class: str, archive_status: str = "") -> tuple[Archive, Operation]:
    store = store_of({"a": b"a"}, kind=Archive)
    assert isinstance(store, Archive)
    version = store._versions.current("a")
    assert version is not None
    version.head = version.head._replace(storage_class=storage_class, archive_status=archive_status)
    return store, Operation(1, 0, 0, "a", "", 1, 0.0, version.head.etag, storage_class, "")


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
async def test_archived_objects_are_asked_for(storage_class: str) -> None:
    store, operation = archive_of(storage_class)
    await restore(store, operation, 7, "Bulk")
    ((key, options),) = store.asked
    assert (key, options.days, options.tier) == ("a", 7, "Bulk")


async def test_what_a_plan_does_not_say_is_looked_up() -> None:
    store, operation = archive_of("GLACIER")
    await restore(store, operation._replace(storage_class=""), None, "Standard")
    assert store.asked[0][1].days == 1


async def test_intelligent_tiering_takes_no_days() -> None:
    store, operation = archive_of("INTELLIGENT_TIERING", "ARCHIVE_ACCESS")
    await restore(store, operation, 7, "Standard")
    assert store.asked[0][1].days is None


@pytest.mark.parametrize("storage_class", ["STANDARD", "INTELLIGENT_TIERING", "GLACIER_IR"])
async def test_what_can_be_read_is_left_alone(storage_class: str) -> None:
    store, operation = archive_of(storage_class)
    with pytest.raises(LeftAlone, match="not archived"):
        await restore(store, operation, 7, "Standard")
    assert store.asked == []


async def test_what_is_under_way_is_left_alone() -> None:
    store, operation = archive_of("GLACIER")
    store.is_new = False
    with pytest.raises(LeftAlone, match="already"):
        await restore(store, operation, 7, "Standard")


@pytest.mark.parametrize("days", [0, -1])
def test_days_that_are_none_are_refused(days: int) -> None:
    with pytest.raises(ConfigError, match="--days"):
        check_days(days)
    check_days(None)
    check_days(1)


def listed(size: int, modified: float) -> Operation:
    """Return what an inventory without ETags makes of an object."""
    return Operation(1, 0, 0, "a", "", size, modified, "", "STANDARD", "")


async def test_an_object_is_known_by_size_and_time_where_an_inventory_has_no_etag() -> None:
    store = store_of({"a": b"a"})
    etag = (await store.head("a")).etag
    assert await etag_now(store, listed(1, LONG_AGO.timestamp() + 1.5)) == etag
    assert await etag_now(store, listed(1, 0.0)) == etag
    with pytest.raises(SourceChanged, match="kept"):
        await etag_now(store, listed(2, 0.0))


async def test_an_object_of_the_same_size_that_is_newer_than_the_inventory_is_not_the_one_in_it() -> None:
    store = store_of({"a": b"a"})
    put_now(store, "a", b"b")
    with pytest.raises(SourceChanged, match="kept"):
        await etag_now(store, listed(1, LONG_AGO.timestamp() + 1.5))
