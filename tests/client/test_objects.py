from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import (
    AsyncClient,
    ConfigError,
    Encryption,
    NotFound,
    PreconditionFailed,
    S3Error,
    Secret,
    StoreError,
    Unsupported,
)
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import Connect
    from tests.conftest import Server

pytestmark = pytest.mark.anyio


async def test_what_was_put_is_got(client: AsyncClient, bucket: str) -> None:
    result = await client.put(bucket + "a/b.txt", b"hello, world")
    assert await client.get(bucket + "a/b.txt") == b"hello, world"
    assert (await client.head(bucket + "a/b.txt")).etag == result.etag
    assert [each.algorithm for each in result.checksums] == ["CRC64NVME"]


@pytest.mark.parametrize("data", [b"", b"bytes", bytearray(b"array"), memoryview(b"view")[1:]])
async def test_any_kind_of_bytes_can_be_put(client: AsyncClient, bucket: str, data: Any) -> None:
    await client.put(bucket + "key", data)
    assert await client.get(bucket + "key") == bytes(data)


async def test_a_text_is_no_content(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match=r"not of str; encode it: text\.encode\(\)"):
        await client.put("s3://bucket/key", "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not of int"):
        await client.put("s3://bucket/key", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("span", "content"),
    [((0, 5), b"hello"), ((7, None), b"world"), ((-5, None), b"world"), ((7, 100), b"world")],
)
async def test_a_range_ends_before_its_end(
    client: AsyncClient, bucket: str, span: tuple[int, int | None], content: bytes
) -> None:
    await client.put(bucket + "key", b"hello, world")
    assert await client.get(bucket + "key", range=span) == content


async def test_a_range_behind_the_end_is_an_error(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"hello")
    with pytest.raises(StoreError) as caught:
        await client.get(bucket + "key", range=(5, 9))
    assert caught.value.code == "InvalidRange"


async def test_properties_are_kept(client: AsyncClient, bucket: str) -> None:
    await client.put(
        bucket + "key.csv",
        b"a,b",
        metadata={"origin": "here"},
        tags={"team": "data"},
        cache_control="no-cache",
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    head = await client.head(bucket + "key.csv")
    assert head.content_type == "text/csv"
    assert head.metadata["origin"] == "here"
    assert head.cache_control == "no-cache"
    assert head.expires == "Wed, 02 Jan 2030 03:04:05 GMT"
    assert await client.get_tags(bucket + "key.csv") == {"team": "data"}


async def test_an_unknown_property_is_a_type_error(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="colour"):
        await client.put("s3://bucket/key", b"", colour="blue")  # type: ignore[call-arg]


async def test_a_create_only_write_replaces_nothing(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"first", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        await client.put(bucket + "key", b"second", if_none_match="*")
    assert await client.get(bucket + "key") == b"first"


async def test_a_write_and_a_delete_can_be_bound_to_an_etag(client: AsyncClient, bucket: str) -> None:
    first = await client.put(bucket + "key", b"first")
    second = await client.put(bucket + "key", b"second", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        await client.put(bucket + "key", b"third", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        await client.get(bucket + "key", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        await client.delete(bucket + "key", if_match=first.etag)
    await client.delete(bucket + "key", if_match=second.etag)
    assert not await client.exists(bucket + "key")


async def test_a_condition_that_the_endpoint_would_ignore_is_refused(connect: Connect) -> None:
    def forget(request: Any) -> bool:
        return "if-match" in request.headers

    # A store that takes every conditional delete for an unconditional one.
    with FaultServer(Fault("DeleteObject", attempts="all", where=forget, status=204, body=b"")) as server:
        server.objects["bucket", "key"] = b"x"
        async with connect(server.url) as client:
            with pytest.raises(Unsupported, match="condition"):
                await client.delete("s3://bucket/key", if_match="0")
        assert ("bucket", "key") in server.objects


async def test_an_sse_c_key_goes_with_reading_and_writing(client: AsyncClient, bucket: str) -> None:
    encryption = Encryption("SSE-C", customer_key=Secret(bytes(range(32))))
    await client.put(bucket + "key", b"secret", encryption=encryption)
    assert await client.get(bucket + "key", encryption=encryption) == b"secret"
    assert (await client.head(bucket + "key", encryption=encryption)).size == 6
    with pytest.raises(S3Error):
        await client.get(bucket + "key")


async def test_existence_of_objects_and_buckets(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"")
    assert await client.exists(bucket + "key")
    assert not await client.exists(bucket + "other")
    assert await client.exists(bucket)
    assert not await client.exists("s3://no-such-bucket-here")


async def test_what_is_not_there_is_not_found_and_counts_as_deleted(client: AsyncClient, bucket: str) -> None:
    for call in (client.get, client.head):
        with pytest.raises(NotFound, match="nothing"):
            await call(bucket + "nothing")
    assert (await client.delete(bucket + "nothing")).error is None


async def test_many_are_deleted_each_with_its_outcome_in_order(
    client: AsyncClient, bucket: str, settings: dict[str, Any], bucket_name: Callable[[], str]
) -> None:
    other = f"s3://{bucket_name()}/"
    await client.make_bucket(other)
    uris = [bucket + "1", other + "2", bucket + "3", other + "4"]
    for uri in uris[:3]:
        await client.put(uri, b"")
    outcomes = await client.delete_many(iter(uris))
    assert [(outcome.key, outcome.error) for outcome in outcomes] == [(key, None) for key in "1234"]
    assert not any([await client.exists(uri) for uri in uris])
    assert await client.delete_many([]) == []


async def test_one_key_that_cannot_be_deleted_spoils_no_other(connect: Connect) -> None:
    body = (
        "<DeleteResult><Deleted><Key>a</Key></Deleted>"
        "<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
    )
    with FaultServer(Fault("DeleteObjects", body=body)) as server:
        async with connect(server.url) as client:
            one, other = await client.delete_many(["s3://bucket/a", "s3://bucket/b"])
    assert one.error is None
    assert "AccessDenied" in str(other.error)


async def test_tags_are_replaced_and_removed(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"")
    await client.set_tags(bucket + "key", {"a": "1", "b": "2"})
    await client.set_tags(bucket + "key", {"c": "3"})
    assert await client.get_tags(bucket + "key") == {"c": "3"}
    await client.set_tags(bucket + "key", {})
    assert await client.get_tags(bucket + "key") == {}


async def test_acls_are_read_and_replaced(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"")
    await client.set_acl(bucket + "key", "private")
    acl = await client.get_acl(bucket + "key")
    assert {grant.permission for grant in acl.grants} == {"FULL_CONTROL"}
    await client.set_acl(bucket + "key", acl)


async def test_versions_are_read_listed_and_deleted(
    moto: Server, connect: Connect, bucket_name: Callable[[], str]
) -> None:
    import boto3

    uri = f"s3://{bucket_name()}/"
    async with connect(moto.endpoint_url) as client:
        await client.make_bucket(uri)
        s3 = boto3.client(
            "s3",
            endpoint_url=moto.endpoint_url,
            region_name=moto.region,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        s3.put_bucket_versioning(Bucket=uri[5:-1], VersioningConfiguration={"Status": "Enabled"})
        s3.close()
        first = await client.put(uri + "key", b"first")
        await client.put(uri + "key", b"second")
        assert await client.get(uri + "key", version_id=first.version_id) == b"first"
        marker = await client.delete(uri + "key")
        assert not await client.exists(uri + "key")
        await client.delete(uri + "key", version_id=marker.marker_version_id)
        assert await client.get(uri + "key") == b"second"
        versions = [version async for version in client.list_versions(uri)]
        assert [version.is_latest for version in versions] == [True, False]
        assert (await client.delete_tree(uri, all_versions=True)).deleted == 2
        assert [version async for version in client.list_versions(uri)] == []


async def test_an_archived_object_is_restored(
    moto: Server, connect: Connect, bucket_name: Callable[[], str]
) -> None:
    uri = f"s3://{bucket_name()}/"
    async with connect(moto.endpoint_url) as client:
        await client.make_bucket(uri)
        await client.put(uri + "cold", b"x", storage_class="GLACIER")
        assert await client.restore(uri + "cold", days=2, tier="Bulk")
        assert "ongoing-request" in (await client.head(uri + "cold")).restore


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("some/file", "is a local path"),
        ("-", "is a local path"),
        ("s3://bucket", "names a bucket"),
        ("s3://bucket/", "names a bucket"),
        ("ftp://host/file", "not a scheme"),
    ],
)
async def test_what_names_no_object_is_refused(client: AsyncClient, uri: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await client.get(uri)


async def test_two_versions_in_one_call_are_refused(client: AsyncClient) -> None:
    with pytest.raises(ConfigError, match="two versions"):
        await client.get("https://bucket.s3.amazonaws.com/key?versionId=1", version_id="2")
