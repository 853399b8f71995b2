from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import S3NotFound
from haulyard.stores.access.capabilities import EXPERIMENTS, prove
from haulyard.stores.assemble import Connection
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server
    from tests.stores.access.conftest import Opener

    from haulyard.stores.base import Capabilities, Store
    from haulyard.testing.faults import RecordedRequest

pytestmark = pytest.mark.anyio


def proved(capabilities: Capabilities) -> dict[str, bool | None]:
    return {name: getattr(capabilities, name) for name in EXPERIMENTS}


async def contents(store: Store) -> list[str]:
    keys = [info.key async for page in store.list() for info in page.objects]
    versions = [version.key async for page in store.list_versions() for version in page.versions]
    uploads = [upload.key async for upload in store.list_uploads()]
    return keys + versions + uploads


def writes(server: FaultServer) -> list[str]:
    return [request.operation for request in server.requests if request.method != "GET"]


async def test_seaweedfs_honours_all_but_lists_in_an_order_of_its_own(
    connect: Opener, seaweedfs: Server, bucket_name: Callable[[], str]
) -> None:
    bucket = bucket_name()
    keys = (seaweedfs.access_key, seaweedfs.secret_key)
    async with connect(seaweedfs.endpoint_url, keys) as connection:
        await connection.client.create_bucket(bucket)
        store = await connection.proved(bucket)
        assert proved(store.capabilities) == {**dict.fromkeys(EXPERIMENTS, True), "ordered_listing": False}
        assert await contents(store) == []
    assert connect.warnings == []


async def test_moto_ignores_conditions_on_copies_and_in_batches_and_checks_no_checksum(
    connect: Opener, moto: Server, bucket_name: Callable[[], str]
) -> None:
    bucket = bucket_name()
    async with connect(moto.endpoint_url) as connection:
        await connection.client.create_bucket(bucket)
        store = await connection.proved(bucket)
        assert proved(store.capabilities) == {
            "conditional_put": True,
            "conditional_copy": False,
            "conditional_delete": True,
            "conditional_batch_delete": False,
            "checksums": False,
            "ordered_listing": True,
        }
        assert await contents(store) == []


async def test_an_endpoint_is_asked_once_and_remembered_by_the_next_process(connect: Opener) -> None:
    with FaultServer(buckets=["one", "two"]) as server:
        async with connect(server.url) as connection:
            first = await connection.proved("one")
            asked = len(server.requests)
            assert (await connection.proved("two")).capabilities == first.capabilities
        async with connect(server.url) as connection:
            assert (await connection.proved("two")).capabilities == first.capabilities
        assert len(server.requests) == asked > 0


async def test_aws_is_known_and_never_asked(connect: Opener) -> None:
    async with connect("") as connection:
        assert set(proved((await connection.proved("bucket")).capabilities).values()) == {True}
    assert connect.events == []


async def test_work_that_does_not_write_asks_nothing_and_knows_what_was_remembered(connect: Opener) -> None:
    with FaultServer() as server:
        async with connect(server.url) as connection:
            before = await connection.proved("bucket", may_write=False)
            assert set(proved(before.capabilities).values()) == {None}
            assert server.requests == ()
            after = await connection.proved("bucket")
            asked = len(server.requests)
        async with connect(server.url) as connection:
            known = await connection.proved("bucket", may_write=False)
            assert known.capabilities == after.capabilities
        assert len(server.requests) == asked


async def test_where_deleting_is_denied_nothing_is_written_and_it_is_said(connect: Opener) -> None:
    with FaultServer(Fault("DeleteObject", attempts="all", status=403)) as server:
        async with connect(server.url) as connection:
            store = await connection.proved("bucket")
            await connection.proved("bucket")
        assert set(proved(store.capabilities).values()) == {None}
        # Once, although asked twice; and denials are not remembered for the next process.
        assert writes(server) == ["HeadBucket", "DeleteObject"]
        assert len(connect.warnings) == 1
        assert "could not be proved, the cautious way is taken" in connect.warnings[0]
        assert not (connect.state_dir / "endpoints").exists()


async def test_what_is_denied_stays_unproved_and_the_rest_is_proved(connect: Opener) -> None:
    with FaultServer(Fault("CopyObject", attempts="all", status=403)) as server:
        async with connect(server.url) as connection:
            store = await connection.proved("bucket", below="mine/")
        results = proved(store.capabilities)
        assert results.pop("conditional_copy") is None
        assert set(results.values()) == {True}
        assert list(server.objects) == []
        assert {request.key[:17] for request in server.requests if request.key} == {"mine/.haul-probe-"}
    assert len(connect.warnings) == 1


@pytest.mark.parametrize("status", [400, 501])
async def test_a_store_that_knows_no_conditions_is_not_believed_to_honour_them(
    connect: Opener, status: int
) -> None:
    def is_conditional(request: RecordedRequest) -> bool:
        return not {"if-match", "if-none-match"}.isdisjoint(request.headers)

    with FaultServer(
        Fault("PutObject", attempts="all", where=is_conditional, status=status),
        Fault("DeleteObject", attempts="all", where=is_conditional, status=status),
    ) as server:
        async with connect(server.url) as connection:
            results = proved((await connection.proved("bucket")).capabilities)
        assert results["conditional_put"] is results["conditional_delete"] is False
        assert results["conditional_batch_delete"] is results["ordered_listing"] is True
        assert list(server.objects) == []
    assert connect.warnings == []


async def test_what_a_struggling_store_leaves_open_is_not_remembered(connect: Opener) -> None:
    with FaultServer(Fault("ListObjectsV2", attempts="all", status=500)) as server:
        async with connect(server.url, retries=1) as connection:
            assert (await connection.proved("bucket")).capabilities.ordered_listing is None
        server.script()
        async with connect(server.url) as connection:
            assert (await connection.proved("bucket")).capabilities.ordered_listing is True


async def test_a_missing_bucket_is_said_at_once(connect: Opener) -> None:
    with FaultServer(buckets=[]) as server:
        async with connect(server.url) as connection:
            with pytest.raises(S3NotFound, match="bucket"):
                await connection.proved("bucket")


async def test_probes_are_removed_where_the_work_is_cancelled(connect: Opener) -> None:
    with FaultServer(Fault("ListObjectsV2", stall=True)) as server:
        async with connect(server.url) as connection:
            task = asyncio.ensure_future(connection.proved("bucket"))
            await server.wait_for_async(lambda request: request.operation == "ListObjectsV2")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert list(server.objects) == []
        server.release()


@pytest.mark.parametrize("name", ["moto", "seaweedfs"])
async def test_probes_leave_neither_versions_nor_markers_behind(
    connect: Opener,
    name: str,
    request: pytest.FixtureRequest,
    bucket_name: Callable[[], str],
    keep_versions: Callable[[Server, str], None],
) -> None:
    bucket, server = bucket_name(), request.getfixturevalue(name)
    async with connect(server.endpoint_url, (server.access_key, server.secret_key)) as connection:
        await connection.client.create_bucket(bucket)
        keep_versions(server, bucket)
        store = await connection.proved(bucket)
        await connection.check_access(bucket)
        # SeaweedFS does not tell of every delete marker.
        assert await contents(store) == []
    assert connect.warnings == []


async def test_what_cannot_be_removed_is_named(connect: Opener) -> None:
    denied = Fault("DeleteObject", attempts="all", where=lambda request: "order" in request.key, status=403)
    with FaultServer(denied) as server:
        async with connect(server.url) as connection:
            await connection.proved("bucket")
    assert any("probes could not be removed: s3://bucket/.haul-probe-" in text for text in connect.warnings)


async def test_a_directory_that_cannot_be_written_costs_only_the_memory(connect: Opener) -> None:
    connect.state_dir.write_text("a file where the directory should be")
    with FaultServer() as server:
        async with connect(server.url) as connection:
            store = await connection.proved("bucket")
    assert store.capabilities.conditional_put is True
    assert any("cannot be kept" in text for text in connect.warnings)


async def test_a_store_of_which_everything_is_known_is_not_asked(connect: Opener) -> None:
    async with connect("http://127.0.0.1:1") as connection:
        store = connection.bucket("bucket")
        store.capabilities = (await aws_store()).capabilities
        assert await prove(store, "/nowhere", endpoint="x") == store.capabilities


async def aws_store() -> Store:
    from haulyard.config import Settings

    async with Connection(Settings()) as connection:
        return connection.bucket("bucket")
