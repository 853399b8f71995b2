"""Probes of processes that were killed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from haulyard.models import ListOptions
from haulyard.stores.access.leftovers import noted, remove_leftovers
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server
    from tests.stores.access.conftest import Opener

pytestmark = pytest.mark.anyio

PREFIX = "tree/.haul-probe-0123/"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def notes(state: Path) -> list[str]:
    return sorted(os.listdir(state / "probes"))


async def kill(state: Path, store: MemoryStore) -> None:
    """Leave behind what a killed process does: its note, unlocked, and its probes."""
    with noted(str(state), store, PREFIX):
        (name,) = notes(state)
        content = (state / "probes" / name).read_bytes()
    (state / "probes" / name).write_bytes(content)
    await store.put(PREFIX + "a", b"x")
    await store.create_multipart(PREFIX + "b")
    await store.put("tree/mine", b"x")


async def left(store: MemoryStore) -> list[str]:
    objects = [info.key async for page in store.list() for info in page.objects]
    return objects + [upload.key async for upload in store.list_uploads()]


async def test_what_was_noted_is_removed_and_nothing_else(state: Path, store: MemoryStore) -> None:
    await remove_leftovers(str(state), store)
    await kill(state, store)
    await remove_leftovers(str(state), store)
    assert await left(store) == ["tree/mine"]
    assert notes(state) == []


async def test_a_note_is_gone_once_its_probes_are(state: Path, store: MemoryStore) -> None:
    with noted(str(state), store, PREFIX):
        assert notes(state) == [".haul-probe-0123.json"]
        # Whoever is alive is left alone.
        await store.put(PREFIX + "a", b"x")
        await remove_leftovers(str(state), store)
        assert await left(store) == [PREFIX + "a"]
    assert notes(state) == []


async def test_no_empty_directory_stays_where_a_store_has_some(
    state: Path, connect: Opener, seaweedfs: Server, bucket_name: Callable[[], str]
) -> None:
    async with connect(seaweedfs.endpoint_url, (seaweedfs.access_key, seaweedfs.secret_key)) as connection:
        await connection.client.create_bucket(bucket := bucket_name())
        store = connection.bucket(bucket)
        await store.put("tree/mine", b"x")
        await store.put(PREFIX + "order/a/b", b"x")
        with noted(str(state), store, PREFIX):
            (name,) = notes(state)
            content = (state / "probes" / name).read_bytes()
        (state / "probes" / name).write_bytes(content)
        await remove_leftovers(str(state), store)
        pages = [page async for page in store.list("tree/", ListOptions(delimiter="/"))]
        assert [each for page in pages for each in page.prefixes] == []


async def test_those_of_another_store_are_left_to_it(state: Path, store: MemoryStore) -> None:
    await kill(state, store)
    await remove_leftovers(str(state), MemoryStore())
    assert len(notes(state)) == 1
    await remove_leftovers(str(state), store)
    assert notes(state) == []


async def test_a_note_that_says_nothing_is_no_error(state: Path, store: MemoryStore) -> None:
    (state / "probes").mkdir(parents=True)
    (state / "probes" / "cut.json").write_bytes(b'{"store"')
    await remove_leftovers(str(state), store)


async def test_where_no_note_can_be_kept_probing_goes_on(tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "file").write_bytes(b"")
    with noted(str(tmp_path / "file"), store, PREFIX):
        await store.put("k", b"x")
    await remove_leftovers(str(tmp_path / "file"), store)
