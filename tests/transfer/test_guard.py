"""What exists is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.transfer.stumbling import Stumbling, always

from haulyard.errors import AccessDenied
from haulyard.events import TransferDone
from haulyard.models import Encryption, GetOptions, Secret
from haulyard.stores.local import LocalStore
from haulyard.transfer.guard import guarded, looking_at
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

MOVED = TransferDone("copy", "", "", 0)
NO_CLOBBER, UPDATE = TransferOptions(no_clobber=True), TransferOptions()
KEY = Encryption("SSE-C", customer_key=Secret(b"k" * 32))


class Guarded:
    """A source of one object that changed at noon, and a destination."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, 12, tzinfo=UTC)
        self.source, self.destination = Stumbling("from"), Stumbling("to")
        for store in (self.source, self.destination):
            store._versions._clock = lambda: self.now

    async def __call__(self, options: TransferOptions, item: Item | None = None) -> TransferDone:
        async def move(job: Job) -> TransferDone:
            return MOVED

        item = item or Item("k", 3, self.now.timestamp())
        return await guarded(move, self.source, self.destination, options)(Job(item, "d"))


async def test_what_is_not_there_is_written() -> None:
    guard = Guarded()
    assert await guard(NO_CLOBBER) is MOVED
    assert await guard(UPDATE) is MOVED


async def test_no_clobber_keeps_anything() -> None:
    guard = Guarded()
    await guard.destination.put("d", b"other")
    expected = TransferDone("skip", "memory://from/k", "memory://to/d", 3, reason="exists already")
    assert await guard(NO_CLOBBER) == expected


@pytest.mark.parametrize(
    ("content", "seconds", "replaced"),
    [
        (b"old", 0, False),
        (b"old", -0.9, False),
        (b"old", -1, True),
        (b"old", 60, False),
        (b"longer", 60, True),
    ],
)
async def test_update_replaces_what_is_older_or_of_another_size(
    content: bytes, seconds: float, replaced: bool
) -> None:
    guard = Guarded()
    noon, guard.now = guard.now + timedelta(seconds=0.9), guard.now + timedelta(seconds=0.9 + seconds)
    await guard.destination.put("d", content)
    done = await guard(UPDATE, Item("k", 3, noon.timestamp()))
    assert (done is MOVED) is replaced
    if not replaced:
        assert done.reason == "is not newer"


async def test_a_source_that_no_listing_described_is_asked() -> None:
    guard = Guarded()
    await guard.source.put("k", b"new")
    await guard.destination.put("d", b"old")
    assert (await guard(UPDATE, Item("k"))).reason == "is not newer"
    assert guard.source.calls["head"] == 1
    await guard.source.put("k", b"longer")
    assert await guard(UPDATE, Item("k")) is MOVED


async def test_a_destination_without_a_time_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guarded()
    await guard.destination.put("d", b"old")
    version = guard.destination._versions.find("d", "", "test")
    version.head = version.head._replace(last_modified=None)
    assert await guard(UPDATE) is MOVED
    await guard.source.put("k", b"new")
    source = guard.source._versions.find("k", "", "test")
    source.head = source.head._replace(last_modified=None)
    version.head = version.head._replace(last_modified=guard.now)
    assert (await guard(UPDATE, Item("k"))).reason == "is not newer"


async def test_what_may_not_be_looked_at_is_not_replaced() -> None:
    guard = Guarded()
    guard.destination.before["head"] = always(AccessDenied("denied"))
    with pytest.raises(AccessDenied):
        await guard(NO_CLOBBER)


def test_only_the_customers_own_key_goes_with_a_look(tmp_path: Path) -> None:
    store = Stumbling()
    assert looking_at(store, KEY) == GetOptions(encryption=KEY)
    assert looking_at(store, Encryption("aws:kms")) == looking_at(store, None) == GetOptions()
    # The key is that of the other end.
    assert looking_at(LocalStore(tmp_path), KEY) == GetOptions()


async def test_a_local_end_is_not_asked_with_the_others_key(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"old")

    async def move(job: Job) -> TransferDone:
        return MOVED

    local = LocalStore(tmp_path)
    options = replace(NO_CLOBBER, put=replace(NO_CLOBBER.put, encryption=KEY), source_encryption=KEY)
    done = await guarded(move, Stumbling(), local, options)(Job(Item("k"), "d"))
    assert done.reason == "exists already"
    update = replace(options, no_clobber=False)
    await Stumbling().put("d", b"x")
    guard = guarded(move, local, local, update)
    assert (await guard(Job(Item("d"), "d"))).reason == "is not newer"
