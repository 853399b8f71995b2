from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard import AsyncClient, CommonPrefix, NotFound, ObjectInfo
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from tests.client.conftest import Connect

pytestmark = pytest.mark.anyio


async def test_a_listing_yields_what_starts_with_the_key(client: AsyncClient, bucket: str) -> None:
    for key in ("data/1", "data/2", "database", "other"):
        await client.put(bucket + key, key.encode())
    assert [info.key async for info in client.list(bucket + "data/")] == ["data/1", "data/2"]
    assert sorted([info.key async for info in client.list(bucket + "data")]) == [
        "data/1",
        "data/2",
        "database",
    ]
    sizes = {info.key: info.size async for info in client.list(bucket)}
    assert sizes == {"data/1": 6, "data/2": 6, "database": 8, "other": 5}


async def test_a_delimiter_folds_what_lies_deeper(client: AsyncClient, bucket: str) -> None:
    for key in ("a/1", "a/2", "b/1", "top"):
        await client.put(bucket + key, b"")
    entries = [entry async for entry in client.list(bucket, delimiter="/")]
    assert [entry for entry in entries if isinstance(entry, CommonPrefix)] == [
        CommonPrefix("a/"),
        CommonPrefix("b/"),
    ]
    assert [entry.key for entry in entries if isinstance(entry, ObjectInfo)] == ["top"]


async def test_a_listing_can_start_behind_a_key(client: AsyncClient, bucket: str) -> None:
    for key in "abc":
        await client.put(bucket + key, b"")
    assert [info.key async for info in client.list(bucket, start_after="a")] == ["b", "c"]


async def test_pages_are_fetched_as_they_are_wanted(connect: Connect) -> None:
    with FaultServer() as server:
        for number in range(2500):
            server.objects["bucket", f"{number:04}"] = b""
        async with connect(server.url) as client:
            listing = client.list("s3://bucket")
            assert (await anext(listing)).key == "0000"
            assert len(server.requests) == 1
            assert len([info async for info in listing]) == 2499
            assert len(server.requests) == 3


async def test_a_missing_bucket_is_an_error_and_an_empty_prefix_is_not(
    client: AsyncClient, bucket: str
) -> None:
    assert [info async for info in client.list(bucket + "nothing/")] == []
    with pytest.raises(NotFound):
        await anext(client.list("s3://no-such-bucket-here"))


async def test_buckets_are_listed(client: AsyncClient, bucket: str) -> None:
    names = [each.name async for each in client.buckets()]
    assert bucket[5:-1] in names
