from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.conftest import keys_below, read_tree, write_tree

from haulyard import (
    AsyncClient,
    BytesMoved,
    ConfigError,
    NotFound,
    S3NotFound,
    S3PermissionError,
    SourceChanged,
    TransferDone,
    TransferError,
    UnsafeName,
)
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Connect

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def test_a_file_goes_up_and_comes_back(client: AsyncClient, bucket: str, tmp_path: Path) -> None:
    content = os.urandom(20 * MIB)
    (tmp_path / "large.csv").write_bytes(content)
    up = await client.upload(tmp_path / "large.csv", bucket, metadata={"a": "b"})
    assert (up.done, up.failed, up.bytes) == (1, 0, len(content))
    head = await client.head(bucket + "large.csv")
    assert (head.content_type, head.metadata["a"]) == ("text/csv", "b")
    down = await client.download(bucket + "large.csv", tmp_path / "copy")
    assert down.bytes == len(content)
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize(
    ("source", "target", "keys"),
    [
        ("tree/", "x/", ["x/a.txt", "x/b.log", "x/sub/c.txt", "x/sub/deep/d.txt"]),
        ("tree", "x/", ["x/tree/a.txt", "x/tree/b.log", "x/tree/sub/c.txt", "x/tree/sub/deep/d.txt"]),
        ("tree", "x", ["x/a.txt", "x/b.log", "x/sub/c.txt", "x/sub/deep/d.txt"]),
    ],
)
async def test_trees_are_named_as_cp_names_them(
    client: AsyncClient, bucket: str, tree: Path, source: str, target: str, keys: list[str]
) -> None:
    result = await client.upload(f"{tree.parent}/{source}", bucket + target, recursive=True)
    assert (result.done, result.bytes) == (4, 10)
    assert await keys_below(client, bucket) == keys


async def test_a_tree_comes_back_as_it_went(
    client: AsyncClient, bucket: str, tree: Path, tmp_path: Path
) -> None:
    await client.upload(tree, bucket + "in", recursive=True)
    assert (await client.download(bucket + "in/", f"{tmp_path}/one/", recursive=True)).done == 4
    assert (await client.download(bucket + "in", tmp_path / "two", recursive=True)).done == 4
    assert (await client.download(bucket + "in", f"{tmp_path}/three/", recursive=True)).done == 4
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two") == read_tree(tree)
    assert read_tree(tmp_path / "three" / "in") == read_tree(tree)


async def test_patterns_choose_what_takes_part(client: AsyncClient, bucket: str, tree: Path) -> None:
    await client.upload(tree, bucket + "one", recursive=True, exclude="*.log")
    assert await keys_below(client, bucket + "one/") == ["one/a.txt", "one/sub/c.txt", "one/sub/deep/d.txt"]
    await client.upload(
        tree, bucket + "two", recursive=True, include=["*.log", "sub/*"], exclude=["*/deep/*"]
    )
    assert await keys_below(client, bucket + "two/") == ["two/b.log", "two/sub/c.txt"]


async def test_one_object_is_downloaded_into_a_directory_or_under_a_name(
    client: AsyncClient, bucket: str, tmp_path: Path
) -> None:
    await client.put(bucket + "dir/name.txt", b"x")
    await client.download(bucket + "dir/name.txt", tmp_path)
    await client.download(bucket + "dir/name.txt", f"{tmp_path}/new/")
    await client.download(bucket + "dir/name.txt", tmp_path / "other")
    assert read_tree(tmp_path) == {"name.txt": b"x", "new/name.txt": b"x", "other": b"x"}


async def test_what_exists_is_kept_where_nothing_may_be_replaced(
    client: AsyncClient, bucket: str, tree: Path, tmp_path: Path
) -> None:
    await client.put(bucket + "in/a.txt", b"older")
    up = await client.upload(tree, bucket + "in", recursive=True, no_clobber=True)
    assert (up.done, up.skipped) == (3, 1)
    assert await client.get(bucket + "in/a.txt") == b"older"
    write_tree(tmp_path / "out", {"b.log": b"mine"})
    down = await client.download(bucket + "in", tmp_path / "out", recursive=True, no_clobber=True)
    assert (down.done, down.skipped) == (3, 1)
    assert (tmp_path / "out" / "b.log").read_bytes() == b"mine"
    copied = await client.copy(bucket + "in/a.txt", bucket + "in/b.log", no_clobber=True)
    assert (copied.done, copied.skipped) == (0, 1)


async def test_links_are_followed_unless_told_otherwise(client: AsyncClient, bucket: str, tree: Path) -> None:
    (tree / "link").symlink_to(tree / "a.txt")
    assert (await client.upload(tree, bucket + "1", recursive=True)).done == 5
    assert (await client.upload(tree, bucket + "2", recursive=True, follow_symlinks=False)).done == 4


async def test_a_tree_needs_to_be_asked_for(client: AsyncClient, tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory or prefix") as caught:
        await client.upload(tree, "s3://bucket/")
    assert "recursive=True" in caught.value.hint
    with pytest.raises(ConfigError, match="directory or prefix"):
        await client.download("s3://bucket/prefix/", tmp_path)
    with pytest.raises(ConfigError, match="directory or prefix"):
        await client.copy("s3://bucket", "s3://other/")


async def test_the_error_of_a_single_object_is_raised_as_it_is(
    client: AsyncClient, bucket: str, tmp_path: Path
) -> None:
    with pytest.raises(S3NotFound):
        await client.download(bucket + "nothing", tmp_path)
    with pytest.raises(NotFound, match="no such file"):
        await client.upload(tmp_path / "nothing", bucket)
    with pytest.raises(NotFound, match="there is nothing under"):
        await client.download(bucket + "nothing/", tmp_path, recursive=True)
    assert list(tmp_path.iterdir()) == []


async def test_some_that_fail_are_named_and_the_others_are_done(connect: Connect, tree: Path) -> None:
    denied = Fault("PutObject", key="in/sub/c.txt", attempts="all", status=403)
    with FaultServer(denied) as server:
        async with connect(server.url) as client:
            with pytest.raises(TransferError, match="upload: 1 objects failed, 3 did not") as caught:
                await client.upload(tree, "s3://bucket/in", recursive=True)
            result = await client.upload(tree, "s3://bucket/in", recursive=True, check=False)
        assert len(server.objects) == 3
    (failure,) = caught.value.failures
    assert isinstance(failure, TransferDone)
    assert failure.source.endswith("/sub/c.txt")
    assert isinstance(failure.error, S3PermissionError)
    assert (result.done, result.failed, len(result.failures)) == (3, 1, 1)


async def test_keys_that_cannot_be_files_are_named_and_nothing_is_written_elsewhere(
    connect: Connect, tmp_path: Path
) -> None:
    with FaultServer() as server:
        for key in ("in/../../evil", "in/good", "in//double"):
            server.objects["bucket", key] = b"x"
        async with connect(server.url) as client:
            result = await client.download(
                "s3://bucket/in/", tmp_path / "a" / "b", recursive=True, check=False
            )
    assert (result.done, result.failed) == (1, 2)
    assert all(isinstance(failure.error, UnsafeName) for failure in result.failures)
    assert read_tree(tmp_path) == {"a/b/good": b"x"}


async def test_a_copy_keeps_the_properties_unless_one_is_given(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "a", b"x", content_type="text/x", metadata={"m": "1"}, tags={"t": "1"})
    await client.copy(bucket + "a", bucket + "kept")
    kept = await client.head(bucket + "kept")
    assert (kept.content_type, kept.metadata["m"]) == ("text/x", "1")
    assert await client.get_tags(bucket + "kept") == {"t": "1"}
    await client.copy(bucket + "a", bucket + "given", metadata={"n": "2"}, tags={"u": "2"})
    given = await client.head(bucket + "given")
    assert dict(given.metadata) == {"n": "2"}
    assert await client.get_tags(bucket + "given") == {"u": "2"}


async def test_an_object_is_copied_onto_itself_only_to_change_it(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "a", b"x")
    with pytest.raises(Exception, match="is its own destination"):
        await client.copy(bucket + "a", bucket + "a")
    await client.copy(bucket + "a", bucket + "a", metadata={"changed": "yes"})
    assert (await client.head(bucket + "a")).metadata["changed"] == "yes"


async def test_trees_are_copied_inside_the_store(client: AsyncClient, bucket: str, tree: Path) -> None:
    await client.upload(tree, bucket + "in", recursive=True)
    result = await client.copy(bucket + "in/", bucket + "out/", recursive=True)
    assert (result.done, result.bytes) == (4, 10)
    assert [key[4:] for key in await keys_below(client, bucket + "out/")] == list(read_tree(tree))


async def test_a_copy_goes_from_one_store_to_another(
    connect: Connect, settings: dict[str, Any], bucket: str, tmp_path: Path
) -> None:
    with FaultServer() as other:
        other.objects["theirs", "key"] = b"content"
        # The source's store takes any keys, the destination's its own.
        async with AsyncClient(**settings, source_endpoint_url=other.url) as client:
            assert (await client.copy("s3://theirs/key", bucket)).done == 1
            assert await client.get(bucket + "key") == b"content"
            with pytest.raises(NotFound):
                await client.get("s3://theirs/key")


async def test_a_move_leaves_nothing_behind(
    client: AsyncClient, bucket: str, tree: Path, tmp_path: Path
) -> None:
    before = read_tree(tree)
    assert (await client.move(tree, bucket + "in", recursive=True)).done == 4
    assert read_tree(tree) == {}
    assert (await client.move(bucket + "in/", bucket + "out/", recursive=True)).done == 4
    assert await keys_below(client, bucket + "in/") == []
    assert (await client.move(bucket + "out/", tmp_path / "back", recursive=True)).done == 4
    assert await keys_below(client, bucket) == []
    assert read_tree(tmp_path / "back") == before
    with pytest.raises(NotFound):
        await client.move(bucket + "out/", tmp_path / "back", recursive=True)


async def test_a_source_that_was_replaced_after_its_copy_stays(connect: Connect) -> None:
    with FaultServer() as server:
        async with connect(server.url) as client:
            await client.put("s3://bucket/a", b"first")
            # The capabilities are proved before, with deletes of their own.
            await client.move("s3://bucket/a", "s3://bucket/b")
            await client.put("s3://bucket/a", b"first")
            server.script(Fault("DeleteObject", key="a", change_etag=b"newer"))
            with pytest.raises(SourceChanged, match="it was not deleted"):
                await client.move("s3://bucket/a", "s3://bucket/b")
        assert server.objects["bucket", "a"] == b"newer"
        assert server.objects["bucket", "b"] == b"first"


async def test_ends_that_make_no_sense_are_refused(client: AsyncClient, tree: Path) -> None:
    with pytest.raises(ConfigError, match="both ends are local"):
        await client.move(tree / "a.txt", tree / "c.txt")
    with pytest.raises(ConfigError, match="is a URI of S3, not a path"):
        await client.upload("s3://bucket/key", "s3://bucket/")
    with pytest.raises(ConfigError, match="is a local path"):
        await client.download(str(tree), tree)
    with pytest.raises(ConfigError, match="is a local path"):
        await client.copy("s3://bucket/key", str(tree))
    with pytest.raises(ConfigError, match="an empty path"):
        await client.upload("", "s3://bucket/")
    with pytest.raises(ConfigError, match="names a version"):
        await client.upload(tree / "a.txt", "https://bucket.s3.amazonaws.com/key?versionId=1")


async def test_events_of_a_call_are_told_to_it_and_to_the_client(
    settings: dict[str, Any], bucket: str, tree: Path
) -> None:
    all_events: list[object] = []
    own: list[object] = []
    async with AsyncClient(**settings, on_event=all_events.append) as client:
        await client.upload(tree / "a.txt", bucket, on_event=own.append)
    done = [event for event in own if isinstance(event, TransferDone)]
    assert [event.destination for event in done] == [bucket + "a.txt"]
    assert done == [event for event in all_events if isinstance(event, TransferDone)]
    assert not [event for event in own if not isinstance(event, TransferDone | BytesMoved)]


async def test_an_upload_that_was_cancelled_is_continued_by_the_same_call(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(os.urandom(18 * MIB))
    stalled = Fault("UploadPart", where=lambda request: "partNumber=3" in request.query, stall=True)
    with FaultServer(stalled) as server:
        async with connect(server.url, part_size=5 * MIB) as client:
            upload = asyncio.ensure_future(client.upload(tmp_path / "large", "s3://bucket/"))
            await server.wait_for_async(lambda request: request.operation == "UploadPart", count=4)
            server.release()
            upload.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upload
            server.script()
            already = len(server.requests)
            assert (await client.upload(tmp_path / "large", "s3://bucket/")).done == 1
            again = [each for each in server.requests[already:] if each.operation == "UploadPart"]
        assert server.objects["bucket", "large"] == (tmp_path / "large").read_bytes()
        assert len(again) < 4
        assert server.uploads == ()
