"""Files and directories: described, listed, made and deleted; the root, and what has no path."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import Conflict, NotFound, PreconditionFailed, S3Error, TransferError, UnsafeName
from haulyard.events import Warned
from haulyard.fs import NewNode, NodeInfo, StorageStats
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio


async def write(provider: S3Provider, *paths: str) -> None:
    for path in paths:
        await provider.write_file(path, path.encode())


def shown(nodes: list[NodeInfo]) -> list[str]:
    return [f"{node.path}/" if node.is_dir else node.path for node in nodes]


async def test_directories_are_there_while_a_file_lies_in_them(provider: S3Provider) -> None:
    await write(provider, "a/b/c.txt", "a/x.txt", "top.txt")
    assert shown(await provider.list_directory()) == ["a/", "top.txt"]
    assert shown(await provider.list_directory("/")) == ["a/", "top.txt"]
    assert shown(await provider.list_directory("a")) == ["a/b/", "a/x.txt"]
    assert await provider.get_node_info("a/b") == NodeInfo("a/b", is_dir=True)
    assert await provider.exists("a/b/")
    await provider.delete_node("a/b/c.txt")
    assert not await provider.exists("a/b")
    with pytest.raises(NotFound):
        await provider.list_directory("a/b")


async def test_a_listing_tells_size_time_and_etag(provider: S3Provider) -> None:
    before = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    written = await provider.write_file("a/b.txt", b"1234")
    (node,) = await provider.list_directory("a")
    assert (node.path, node.size, node.etag, node.storage_class) == ("a/b.txt", 4, written.etag, "STANDARD")
    assert node.modified is not None
    assert node.modified >= before
    # Which is not guessed: what is stored may be another.
    assert node.content_type is None
    await provider.set_metadata("a/b.txt", {}, content_type="text/x-mine")
    assert [each.content_type for each in await provider.list_directory("a")] == [None]
    assert (await provider.get_node_info("a/b.txt")).content_type == "text/x-mine"


async def test_the_root_is_always_there(provider: S3Provider) -> None:
    assert await provider.list_directory() == []
    assert await provider.exists("")
    assert await provider.get_node_info("/") == NodeInfo("", is_dir=True)


async def test_what_is_not_there_is_said(provider: S3Provider) -> None:
    for call in (
        provider.get_node_info("nothing"),
        provider.list_directory("nothing"),
        provider.delete_node("nothing"),
        provider.delete_node("nothing/", recursive=True),
    ):
        with pytest.raises(NotFound, match="nothing"):
            await call
    assert not await provider.exists("nothing")
    assert [node async for node in provider.scan("nothing")] == []


async def test_a_file_and_a_directory_may_have_one_name(scripted: S3Provider) -> None:
    await write(scripted, "a", "a/b")
    assert [(node.path, node.is_dir) for node in await scripted.list_directory()] == [
        ("a", False),
        ("a", True),
    ]
    assert not (await scripted.get_node_info("a")).is_dir
    assert (await scripted.get_node_info("a/")).is_dir
    assert await scripted.read_file("a") == b"a"
    await scripted.delete_node("a")
    assert (await scripted.get_node_info("a")).is_dir
    await write(scripted, "a")
    await scripted.delete_node("a/", recursive=True)
    assert shown(await scripted.list_directory()) == ["a"]


async def test_keys_that_no_path_leads_to_are_left_out_and_told(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    events: list[Any] = []
    provider = opened(on_faults(), on_event=events.append)
    for key in ("a//b", "a/../c", "/x", "a/fine", "..", "a/.haul-probe-1/x"):
        faults.objects["bucket", f"tenants/7/{key}"] = b"x"
    assert shown(await provider.list_directory()) == ["a/"]
    assert shown(await provider.list_directory("a")) == ["a/fine"]
    assert [node.path async for node in provider.scan()] == ["a/fine"]
    told = [event.message for event in events if isinstance(event, Warned)]
    assert len(told) == 3
    assert "2 keys" in told[0]
    assert "'tenants/7/a/../'" in told[1]


async def test_a_scan_goes_deep_and_past_a_page(scripted: S3Provider, faults: FaultServer) -> None:
    names = [f"d{number % 3}/{number:04}" for number in range(2100)]
    for name in names:
        faults.objects["bucket", f"tenants/7/{name}"] = b"12"
    faults.objects["bucket", "tenants/77/outside"] = b"x"
    assert [node.path async for node in scripted.scan()] == sorted(names)
    assert len(await scripted.list_directory("d0")) == 700
    stats = await scripted.get_storage_stats()
    assert stats == StorageStats(2100, 4200, 0, {"STANDARD": (2100, 4200)})


# Making


async def test_a_file_is_created_once(provider: S3Provider) -> None:
    node = await provider.create_node(NewNode("a/new.csv", metadata={"by": "me"}, tags={"t": "1"}))
    assert (node.size, node.content_type, node.metadata) == (0, "text/csv", {"by": "me"})
    assert await provider.get_object_tags("a/new.csv") == {"t": "1"}
    with pytest.raises(PreconditionFailed) as caught:
        await provider.create_node(NewNode("a/new.csv", content_type="text/plain"))
    assert (caught.value.wanted, caught.value.found) == ("*", node.etag)
    with pytest.raises(UnsafeName):
        await provider.create_node(NewNode("a/"))


async def test_where_conditions_are_ignored_a_look_has_to_do(
    on_moto: Config, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = opened(on_moto())
    store = await provider._volume.proved()
    monkeypatch.setattr(store, "capabilities", replace(store.capabilities, conditional_put=False))
    await provider.create_node(NewNode("a"))
    with pytest.raises(PreconditionFailed):
        await provider.create_node(NewNode("a"))


async def test_a_directory_without_a_marker_is_nothing_yet(scripted: S3Provider, faults: FaultServer) -> None:
    assert await scripted.create_node(NewNode("a/b", is_dir=True)) == NodeInfo("a/b", is_dir=True)
    assert not await scripted.exists("a/b")
    assert list(faults.objects) == []
    with pytest.raises(UnsafeName):
        await scripted.create_node(NewNode("a/../b", is_dir=True))


async def test_a_directory_gets_a_marker_where_that_is_asked_for(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(directory_markers=True))
    await provider.create_node(NewNode("a/b", is_dir=True))
    assert list(faults.objects) == [("bucket", "tenants/7/a/b/")]
    assert (await provider.get_node_info("a/b")).is_dir
    assert (await provider.get_node_info("a/b")).modified is not None
    assert await provider.list_directory("a/b") == []
    assert shown(await provider.list_directory("a")) == ["a/b/"]
    assert [node async for node in provider.scan()] == []
    assert (await provider.get_storage_stats())[:3] == (0, 0, 1)
    await provider.delete_node("a/b")
    assert list(faults.objects) == []


async def test_markers_exist_on_a_store_that_keeps_directories(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(directory_markers=True))
    await provider.create_node(NewNode("a", is_dir=True))
    assert await provider.exists("a/")
    assert await provider.list_directory("a") == []
    await provider.write_file("a/b", b"x")
    with pytest.raises(Conflict) as caught:
        await provider.delete_node("a/")
    assert caught.value.code == "DirectoryNotEmpty"
    await provider.delete_node("a/", recursive=True)
    assert not await provider.exists("a/b")


# Deleting


async def test_a_directory_that_is_not_empty_is_kept(provider: S3Provider) -> None:
    await write(provider, "a/b/c", "a/d", "ab")
    with pytest.raises(Conflict) as caught:
        await provider.delete_node("a")
    assert caught.value.code == "DirectoryNotEmpty"
    await provider.delete_node("a", recursive=True)
    assert [node.path async for node in provider.scan()] == ["ab"]


async def test_the_root_is_not_deleted(scripted: S3Provider, faults: FaultServer) -> None:
    for path in ("", "/", "."):
        with pytest.raises(UnsafeName, match="root"):
            await scripted.delete_node(path, recursive=True)
    assert faults.requests == ()


async def test_a_file_is_deleted_only_if_it_is_what_was_read(provider: S3Provider) -> None:
    old = await provider.write_file("a", b"old")
    new = await provider.write_file("a", b"new")
    with pytest.raises(PreconditionFailed) as caught:
        await provider.delete_node("a", if_match=old.etag)
    assert (caught.value.wanted, caught.value.found) == (old.etag, new.etag)
    await provider.delete_node("a", if_match=new.etag)
    assert not await provider.exists("a")


async def test_files_of_a_directory_that_could_not_be_deleted_are_named(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await write(scripted, "a/1", "a/2")
    denied = "<Error><Key>tenants/7/a/1</Key><Code>AccessDenied</Code></Error>"
    faults.script(Fault("DeleteObjects", body=f"<DeleteResult>{denied}</DeleteResult>", attempts="all"))
    with pytest.raises(TransferError) as caught:
        await scripted.delete_node("a", recursive=True)
    assert [failure.source for failure in caught.value.failures] == ["s3://bucket/tenants/7/a/1"]  # type: ignore[attr-defined]  # events


# The cache


async def test_what_was_asked_is_remembered_and_own_writes_are_seen(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await write(scripted, "a/b")
    for _ in range(3):
        assert (await scripted.get_node_info("a/b")).size == 3
        assert await scripted.exists("a/b")
        assert len(await scripted.list_directory("a")) == 1
    assert [each.operation for each in faults.requests] == ["PutObject", "HeadObject", "ListObjectsV2"]
    assert scripted.metrics.cache.hits == 7
    await scripted.write_file("a/b", b"longer")
    assert (await scripted.get_node_info("a/b")).size == 6
    assert (await scripted.list_directory("a"))[0].size == 6
    await scripted.delete_node("a/b")
    assert not await scripted.exists("a/b")
    assert not await scripted.exists("a/")
    assert await scripted.list_directory() == []


async def test_what_others_write_is_seen_after_a_refresh(scripted: S3Provider, faults: FaultServer) -> None:
    await write(scripted, "a/b")
    await scripted.get_node_info("a/b")
    await scripted.list_directory("a")
    faults.objects["bucket", "tenants/7/a/b"] = b"by somebody else"
    assert (await scripted.get_node_info("a/b")).size == 3
    scripted.refresh("a")
    assert (await scripted.get_node_info("a/b")).size == 16
    assert (await scripted.list_directory("a"))[0].size == 16


async def test_the_cache_can_be_switched_off(on_faults: Config, opened: Open, faults: FaultServer) -> None:
    provider = opened(on_faults(cache_ttl=0))
    await write(provider, "a")
    for _ in range(2):
        await provider.get_node_info("a")
    assert [each.operation for each in faults.requests].count("HeadObject") == 2


async def test_a_read_that_was_under_way_during_a_write_is_not_remembered(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await scripted.write_file("a", b"1")
    faults.script(Fault("HeadObject", stall=True, before=True))
    asking = asyncio.create_task(scripted.get_node_info("a"))
    request = await faults.wait_for_async(lambda each: each.operation == "HeadObject")
    await scripted.write_file("a", b"22")
    faults.script()
    faults.release(request)
    await asking
    assert (await scripted.get_node_info("a")).size == 2


# Cleaning up


async def test_unfinished_uploads_are_given_up_only_where_asked_for_and_below_the_prefix(
    scripted: S3Provider, faults: FaultServer
) -> None:
    store = scripted._volume.store
    for key in ("tenants/7/a/big", "tenants/77/big"):
        await store.create_multipart(key)
    await scripted.get_node_info("")
    assert await scripted.cleanup() == (1, ())
    assert (await scripted.cleanup(uploads_older_than=timedelta(hours=1))).uploads == ()
    assert (await scripted.cleanup(uploads_older_than=timedelta(seconds=-5))).uploads == ("a/big",)
    assert [key for _, key, _ in faults.uploads] == ["tenants/77/big"]


# Beginning and end


async def test_a_wrong_bucket_or_key_is_found_at_the_start(
    on_faults: Config, opened: Open, on_seaweedfs: Config, faults: FaultServer
) -> None:
    await opened(on_faults()).initialize()
    assert faults.requests[-1].parameters["prefix"] == "tenants/7/"
    with pytest.raises(S3Error) as caught:
        await opened(on_seaweedfs(secret_key="wrong")).initialize()
    assert caught.value.hint
    faults.script(Fault("*", status=404, body="<Error><Code>NoSuchBucket</Code></Error>", attempts="all"))
    with pytest.raises(NotFound):
        async with opened(on_faults()):
            pytest.fail("it was entered")
    provider = opened(on_faults())
    for call in (provider.exists, provider.delete_node):
        with pytest.raises(NotFound) as missing:
            await call("a")
        assert missing.value.code == "NoSuchBucket"
