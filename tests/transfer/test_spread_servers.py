"""Listings in parallel of real servers: one in byte order, one in the order of its directories."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.config import Settings
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection
from haulyard.stores.base import LIST
from haulyard.transfer import spread
from haulyard.transfer.spread import SpreadListing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import Server

    from haulyard.models import ListOptions, ListPage
    from haulyard.stores.s3 import S3Store

pytestmark = pytest.mark.anyio

KEYS = (
    *(f"in/d{day}/h{hour}/part-{number:02}" for day in range(3) for hour in range(2) for number in range(9)),
    *(f"in/flat/{number:03}" for number in range(0, 400, 13)),
    *("in/a", "in/a-b", "in/a.txt", "in/a0", "in/caf\u00e9/\u65e5\u672c", "in/with space/+%", "in/x&y<z"),
    *("in2/other", "i"),
)


class SmallPages:
    """The store, in pages of five keys."""

    def __init__(self, store: S3Store, *, ordered: bool) -> None:
        self._store = store
        self.capabilities = replace(store.capabilities, ordered_listing=ordered)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        return self._store.list(prefix, replace(options, page_size=5))


@pytest.mark.parametrize(("name", "ordered"), [("seaweedfs", False), ("moto", False), ("moto", True)])
async def test_every_key_of_a_server_is_listed_once(
    request: pytest.FixtureRequest,
    bucket_name: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    ordered: bool,
) -> None:
    monkeypatch.setattr(spread, "PAGE", 5)
    server: Server = request.getfixturevalue(name)
    settings = Settings(endpoint_url=server.endpoint_url, region=server.region)
    credentials = Credentials(server.access_key, server.secret_key)
    async with Connection(settings, credentials=credentials) as connection:
        bucket = bucket_name()
        await connection.client.create_bucket(bucket)
        store = connection.bucket(bucket)
        await asyncio.gather(*(store.put(key, b"") for key in KEYS))
        small: Any = SmallPages(store, ordered=ordered)
        for prefix in ("in/", "in/d", ""):
            listing = SpreadListing(small, prefix, workers=6)
            keys = [info.key async for page in listing for info in page]
            assert sorted(keys) == sorted(key for key in KEYS if key.startswith(prefix))
        if ordered:
            half = SpreadListing(small, workers=6)
            pages = half.pages()
            before = [info.key for _ in range(7) for info in await anext(pages)]
            await pages.aclose()
            rest = SpreadListing(small, workers=6, start=half.position())
            after = [info.key async for page in rest for info in page]
            assert sorted(before + after) == sorted(KEYS)
