from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.client.conftest import keys_below, read_tree, write_tree

from haulyard import AsyncClient, ConfigError, NotFound, S3NotFound, TransferDone, TransferError
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Connect

pytestmark = pytest.mark.anyio


async def test_a_second_sync_has_nothing_to_do(
    client: AsyncClient, bucket: str, tree: Path, tmp_path: Path
) -> None:
    first = await client.sync(tree, bucket + "in/")
    assert (first.done, first.skipped, first.bytes) == (4, 0, 10)
    again = await client.sync(tree, bucket + "in")
    assert (again.done, again.skipped) == (0, 4)
    down = await client.sync(bucket + "in/", tmp_path / "copy")
    assert (down.done, read_tree(tmp_path / "copy")) == (4, read_tree(tree))
    assert (await client.sync(bucket + "in/", tmp_path / "copy")).done == 0
    assert (await client.sync(bucket + "in/", bucket + "out/")).done == 4
    assert (await client.sync(bucket + "in/", bucket + "out/")).done == 0


async def test_what_changed_is_copied_and_what_is_gone_is_deleted_only_if_asked(
    client: AsyncClient, bucket: str, tree: Path
) -> None:
    await client.sync(tree, bucket)
    (tree / "a.txt").write_bytes(b"changed")
    (tree / "b.log").unlink()
    assert (await client.sync(tree, bucket)).done == 1
    assert "b.log" in await keys_below(client, bucket)
    events: list[object] = []
    result = await client.sync(tree, bucket, delete=True, on_event=events.append)
    assert (result.done, result.deleted) == (0, 1)
    assert [event.source for event in events if isinstance(event, TransferDone)] == [bucket + "b.log"]
    assert await keys_below(client, bucket) == ["a.txt", "sub/c.txt", "sub/deep/d.txt"]


async def test_what_the_patterns_leave_out_is_never_deleted(
    client: AsyncClient, bucket: str, tree: Path
) -> None:
    await client.sync(tree, bucket)
    for name in ("a.txt", "b.log"):
        (tree / name).unlink()
    assert (await client.sync(tree, bucket, delete=True, exclude="*.log")).deleted == 1
    assert "b.log" in await keys_below(client, bucket)


async def test_too_many_deletions_delete_nothing(client: AsyncClient, bucket: str, tree: Path) -> None:
    await client.sync(tree, bucket)
    for name in ("a.txt", "b.log"):
        (tree / name).unlink()
    with pytest.raises(TransferError, match="2 objects would be deleted, more than max_delete=1"):
        await client.sync(tree, bucket, delete=True, max_delete=1)
    assert len(await keys_below(client, bucket)) == 4
    assert (await client.sync(tree, bucket, delete=True, max_delete=2)).deleted == 2


async def test_an_empty_source_empties_nothing(client: AsyncClient, bucket: str, tree: Path) -> None:
    await client.sync(tree, bucket)
    with pytest.raises(NotFound):
        await client.sync(tree / "missing", bucket)
    (tree / "empty").mkdir()
    with pytest.raises(NotFound, match="would empty"):
        await client.sync(tree / "empty", bucket, delete=True)
    assert (await client.sync(tree / "empty", bucket)).done == 0
    assert len(await keys_below(client, bucket)) == 4


async def test_a_failed_copy_keeps_everything_from_being_deleted(connect: Connect, tree: Path) -> None:
    with FaultServer(Fault("PutObject", key="in/a.txt", attempts="all", status=403)) as server:
        server.objects["bucket", "in/extra"] = b"x"
        async with connect(server.url) as client:
            with pytest.raises(TransferError, match="sync: 1 objects failed"):
                await client.sync(tree, "s3://bucket/in/", delete=True)
            result = await client.sync(tree, "s3://bucket/in/", delete=True, check=False)
        assert (result.failed, result.deleted) == (1, 0)
        assert ("bucket", "in/extra") in server.objects


async def test_ways_to_compare(client: AsyncClient, bucket: str, tree: Path) -> None:
    await client.sync(tree, bucket)
    later = time.time() + 60
    os.utime(tree / "a.txt", (later, later))
    assert (await client.sync(tree, bucket, size_only=True)).done == 0
    assert (await client.sync(tree, bucket, checksum=True)).done == 0
    (tree / "b.log").write_bytes(b"cc")
    os.utime(tree / "b.log", (0, 0))
    assert (await client.sync(tree, bucket, no_clobber=True, exclude="b.log")).done == 0
    assert (await client.sync(tree, bucket, checksum=True)).done == 1
    assert await client.get(bucket + "b.log") == b"cc"
    assert (await client.sync(tree, bucket)).done == 1


async def test_files_that_are_newer_are_kept_or_replaced(
    client: AsyncClient, bucket: str, tmp_path: Path
) -> None:
    await client.put(bucket + "a", b"theirs")
    write_tree(tmp_path / "here", {"a": b"mine..."})
    later = time.time() + 60
    os.utime(tmp_path / "here" / "a", (later, later))
    assert (await client.sync(bucket, tmp_path / "here", update=True)).done == 0
    assert (await client.sync(bucket, tmp_path / "here")).done == 1
    os.utime(tmp_path / "here" / "a", (later, later))
    assert (await client.sync(bucket, tmp_path / "here")).done == 0
    assert (await client.sync(bucket, tmp_path / "here", exact_timestamps=True)).done == 1


async def test_arguments_that_contradict_each_other(client: AsyncClient, tree: Path) -> None:
    with pytest.raises(ConfigError, match="exact_timestamps"):
        await client.sync(tree, "s3://bucket/", exact_timestamps=True)
    with pytest.raises(ConfigError, match="max_delete"):
        await client.sync(tree, "s3://bucket/", max_delete=1)
    with pytest.raises(ConfigError, match="contradict"):
        await client.sync(tree, "s3://bucket/", size_only=True, checksum=True)
    with pytest.raises(ConfigError, match="both ends are local"):
        await client.sync(tree, tree / "sub")
    with pytest.raises(ConfigError, match="both source and destination"):
        await client.sync("s3://bucket/a/", "s3://bucket/a")
    with pytest.raises(ConfigError, match="names a version"):
        await client.sync(tree, "https://bucket.s3.amazonaws.com/key?versionId=1")


async def test_a_tree_is_deleted_and_nothing_that_starts_alike(client: AsyncClient, bucket: str) -> None:
    for key in ("data/1", "data/2.log", "data/sub/3", "database"):
        await client.put(bucket + key, b"")
    assert (await client.delete_tree(bucket + "data", include="*.log")).deleted == 1
    assert (await client.delete_tree(bucket + "data")).deleted == 2
    assert await keys_below(client, bucket) == ["database"]
    assert (await client.delete_tree(bucket + "data/")).deleted == 0
    assert (await client.delete_tree(bucket)).deleted == 1
    with pytest.raises(S3NotFound):
        await client.delete_tree("s3://no-such-bucket-here")
    with pytest.raises(ConfigError, match="is a local path"):
        await client.delete_tree("data")


async def test_objects_that_cannot_be_deleted_are_named(connect: Connect) -> None:
    body = (
        "<DeleteResult><Deleted><Key>in/a</Key></Deleted>"
        "<Error><Key>in/b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
    )
    with FaultServer(Fault("DeleteObjects", body=body)) as server:
        server.objects["bucket", "in/a"] = server.objects["bucket", "in/b"] = b""
        async with connect(server.url) as client:
            with pytest.raises(TransferError, match="delete: 1 objects failed, 1 did not") as caught:
                await client.delete_tree("s3://bucket/in/")
    (failure,) = caught.value.failures
    assert isinstance(failure, TransferDone)
    assert failure.source == "s3://bucket/in/b"
