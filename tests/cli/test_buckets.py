"""`haul mb` and `haul rb`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import S3Conflict
from haulyard.models import DeleteItem

if TYPE_CHECKING:
    from tests.cli.conftest import Box

    from haulyard.stores.memory import MemoryStore


class Buckets:
    """The bucket calls of a client, over the stores of a box."""

    def __init__(self, stores: dict[str, MemoryStore]) -> None:
        self.stores = stores
        self.made: list[tuple[str, str, bool]] = []

    async def create_bucket(self, bucket: str, region: str = "", *, object_lock: bool = False) -> None:
        self.made.append((bucket, region, object_lock))

    async def delete_bucket(self, bucket: str) -> None:
        store = self.stores[bucket]
        if [version async for page in store.list_versions("") for version in page.versions]:
            raise S3Conflict("not empty", bucket=bucket, code="BucketNotEmpty", status=409)
        del self.stores[bucket]


@pytest.fixture
def buckets(haul: Box) -> Buckets:
    client = haul.client = Buckets(haul.stores)
    return client


def test_buckets_are_made_in_the_region_of_the_settings(haul: Box, buckets: Buckets) -> None:
    result = haul("mb", "s3://one", "two", "--region", "eu-central-1", "--object-lock")
    assert (result.code, result.out) == (0, "make bucket: s3://one\nmake bucket: s3://two\n")
    assert buckets.made == [("one", "eu-central-1", True), ("two", "eu-central-1", True)]


def test_a_key_is_no_bucket(haul: Box, buckets: Buckets) -> None:
    assert haul("mb", "s3://one/two").code == 2
    assert haul("rb", "s3://one/two").code == 2
    assert haul("mb", "one@two").code == 2


def test_an_empty_bucket_is_removed_and_a_full_one_is_not(haul: Box, buckets: Buckets) -> None:
    haul.bucket({}, "empty")
    haul.bucket({"k": b""}, "full")
    assert haul("rb", "s3://empty").code == 0
    assert haul("rb", "s3://full").code == 1
    assert list(haul.stores) == ["full"]


def test_force_wants_a_yes(haul: Box, buckets: Buckets) -> None:
    haul.bucket({"k": b""}, "full")
    result = haul("rb", "--force", "s3://full")
    assert result.code == 2
    assert "would remove everything in s3://full" in result.err
    assert haul.stores


def test_force_removes_versions_markers_and_uploads(haul: Box, buckets: Buckets) -> None:
    store = haul.bucket({f"k{n}": b"1" for n in range(3)}, "full", versioned=True)
    haul.put(store, "k0", b"2")
    haul.await_(store.delete_many([DeleteItem("k1")]))
    haul.await_(store.create_multipart("unfinished"))
    result = haul("rb", "--force", "--yes", "--json", "s3://full")
    assert result.code == 0
    assert [event["action"] for event in result.events] == ["delete"] * 5 + ["remove bucket"]
    assert not haul.stores


def test_force_on_an_empty_bucket_is_fine(haul: Box, buckets: Buckets) -> None:
    haul.bucket({}, "empty", versioned=True)
    assert haul("rb", "--force", "--yes", "s3://empty").code == 0


def test_a_bucket_that_is_missing_is_not_found(haul: Box, buckets: Buckets) -> None:
    assert haul("rb", "--force", "--yes", "s3://nope").code == 4
