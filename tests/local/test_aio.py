"""The asynchronous face does what the synchronous one does."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
import pytest

from haulyard.local import AsyncEmbeddedStore, EmbeddedStatus, EmbeddedStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def public(face: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(face, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_faces_have_the_same_methods() -> None:
    assert public(AsyncEmbeddedStore) == public(EmbeddedStore)


async def test_start_status_environment_and_stop(tmp_path: Path) -> None:
    store = AsyncEmbeddedStore(tmp_path)
    started = await store.start(attached=True)
    assert await store.status() == started
    assert (await store.environment())["AWS_ENDPOINT_URL_S3"] == started.endpoint_url
    assert await store.stop(grace=0)
    assert not (await store.status()).running


async def test_it_ends_with_the_block(tmp_path: Path) -> None:
    async with AsyncEmbeddedStore(tmp_path) as store:
        assert (await store.status()).running
    assert not (await store.status()).running


async def test_a_cancelled_run_ends_the_server(tmp_path: Path) -> None:
    store = AsyncEmbeddedStore(tmp_path)
    ready = anyio.Event()

    def on_ready(_: EmbeddedStatus) -> None:
        anyio.from_thread.run_sync(ready.set)

    async with anyio.create_task_group() as group:
        group.start_soon(store.run, on_ready)
        await ready.wait()
        assert (await store.status()).running
        group.cancel_scope.cancel()
    assert not (await store.status()).running
