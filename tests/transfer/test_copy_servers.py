"""Copies by parts inside real servers, as S3 wants them above 5 GiB, on a smaller scale."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from haulyard.config import Settings
from haulyard.models import PutOptions
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection
from haulyard.transfer import copy as copy_module
from haulyard.transfer.copy import Copier
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server

pytestmark = pytest.mark.anyio

MIB = 1024**2


@pytest.mark.parametrize("name", ["seaweedfs", "moto"])
async def test_a_copy_by_parts_keeps_content_metadata_and_tags(
    request: pytest.FixtureRequest,
    bucket_name: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
) -> None:
    monkeypatch.setattr(copy_module, "_COPIED_PART", 5 * MIB)
    server: Server = request.getfixturevalue(name)
    settings = Settings(endpoint_url=server.endpoint_url, region=server.region)
    content = os.urandom(12 * MIB)
    properties = PutOptions(
        content_type="text/x", cache_control="no-cache", metadata={"a": "b"}, tags={"team": "data"}
    )
    async with Connection(
        settings, credentials=Credentials(server.access_key, server.secret_key)
    ) as connection:
        bucket = bucket_name()
        await connection.client.create_bucket(bucket)
        store = connection.bucket(bucket)
        await store.put("k", content, properties)
        store.capabilities = replace(store.capabilities, max_put_size=10 * MIB)
        copier = Copier(store, store, TransferOptions(state_dir=str(tmp_path)), lambda event: None)
        done = await copier(Job(Item("k"), "copy"))
        head = await store.head("copy")
        assert (done.size, head.size) == (len(content), len(content))
        assert (head.content_type, head.cache_control, head.metadata) == ("text/x", "no-cache", {"a": "b"})
        assert await store.get_tags("copy") == {"team": "data"}
        async with await store.get("copy") as reader:
            assert await reader.read() == content
        assert [upload async for upload in store.list_uploads()] == []
    assert os.listdir(tmp_path / "uploads") == []
