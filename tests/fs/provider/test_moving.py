"""Copies and moves: files verified before they are deleted, directories as jobs that survive a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import (
    Conflict,
    JobError,
    NotFound,
    PreconditionFailed,
    SourceChanged,
    TransferError,
    UnsafeName,
    Unsupported,
)
from haulyard.fs import NewNode
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio

BELOW = "tenants/7/"
CUSTOMER = Encryption("SSE-C", customer_key=Secret(b"k" * 32))


async def tree(provider: S3Provider) -> dict[str, bytes]:
    return {
        node.path: await provider.read_file(node.path) for node in [each async for each in provider.scan()]
    }


# Files


async def test_a_copy_keeps_what_the_file_has(provider: S3Provider) -> None:
    await provider.write_file(
        "a.csv", b"a,b", metadata={"by": "me"}, tags={"t": "1"}, cache_control="no-store"
    )
    done = await provider.copy_node("a.csv", "b/copy.bin")
    assert (done.path, done.files, done.bytes, done.job) == ("b/copy.bin", 1, 3, "")
    node = await provider.get_node_info("b/copy.bin")
    assert (node.etag, node.content_type, node.metadata) == (done.etag, "text/csv", {"by": "me"})
    assert await provider.get_object_tags("b/copy.bin") == {"t": "1"}
    assert await provider.read_file("a.csv") == b"a,b"


async def test_a_move_leaves_nothing_behind(provider: S3Provider) -> None:
    await provider.write_file("a", b"content")
    await provider.list_directory()
    done = await provider.move_node("a", "b/c")
    assert done.bytes == 7
    assert await tree(provider) == {"b/c": b"content"}
    assert not await provider.exists("a")
    assert [node.path for node in await provider.list_directory()] == ["b"]


async def test_customer_keys_go_with_copies(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(encryption=CUSTOMER))
    await provider.write_file("a", b"secret")
    await provider.copy_node("a", "b")
    await provider.move_node("a", "c")
    assert await tree(provider) == {"b": b"secret", "c": b"secret"}


async def test_the_storage_class_stays_unless_the_configuration_names_one(
    on_moto: Config, opened: Open
) -> None:
    provider = opened(on_moto())
    await provider.write_file("a", b"x", storage_class="STANDARD_IA")
    await provider.copy_node("a", "b")
    assert (await provider.get_node_info("b")).storage_class == "STANDARD_IA"
    await opened(on_moto(storage_class="ONEZONE_IA")).copy_node("a", "c")
    assert (await provider.get_node_info("c")).storage_class == "ONEZONE_IA"


@pytest.mark.parametrize("call", ["copy_node", "move_node"])
async def test_what_exists_is_kept_where_that_is_asked_for(provider: S3Provider, call: str) -> None:
    await provider.write_file("a", b"a")
    there = await provider.write_file("b", b"b")
    with pytest.raises(PreconditionFailed) as caught:
        await getattr(provider, call)("a", "b", overwrite=False)
    assert (caught.value.wanted, caught.value.found) == ("*", there.etag)
    assert await tree(provider) == {"a": b"a", "b": b"b"}
    await getattr(provider, call)("a", "new", overwrite=False)
    await provider.write_file("a", b"a")
    await getattr(provider, call)("a", "b")
    assert (await tree(provider))["b"] == b"a"


async def test_a_file_that_was_replaced_after_its_copy_is_not_deleted(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await scripted.write_file("a", b"old")
    await scripted._volume.proved()

    def meanwhile(_: object) -> bool:
        faults.objects["bucket", BELOW + "a"] = b"new"
        return False

    faults.script(Fault("DeleteObject", where=meanwhile, status=500))
    with pytest.raises(SourceChanged):
        await scripted.move_node("a", "b")
    assert faults.objects["bucket", BELOW + "a"] == b"new"
    assert faults.objects["bucket", BELOW + "b"] == b"old"


@pytest.mark.parametrize("call", ["copy_node", "move_node"])
async def test_nothing_happens_to_what_is_not_there_or_is_its_own_destination(
    scripted: S3Provider, faults: FaultServer, call: str
) -> None:
    with pytest.raises(NotFound, match="nothing"):
        await getattr(scripted, call)("nothing", "b")
    await scripted.write_file("a/b", b"x")
    for source, destination in (("a/b", "a//b"), ("a", "a/c"), ("a", "/a/"), ("a/", ""), ("", "a")):
        with pytest.raises((Conflict, UnsafeName)):
            await getattr(scripted, call)(source, destination)
    with pytest.raises(UnsafeName):
        await getattr(scripted, call)("a/b", "c/")
    assert list(faults.objects) == [("bucket", BELOW + "a/b")]


# Directories


async def test_a_directory_moves_as_a_job_and_back(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs())
    # Wildcards are characters like any other here.
    before = {f"a*?/{name}": name.encode() for name in ("1", "sub/2", "sub/deep/3")}
    for path, content in {**before, "a*?b": b"beside", "axx/4": b"no match"}.items():
        await provider.write_file(path, content)
    moved: list[tuple[int, int]] = []
    done = await provider.move_node("a*?", "z", progress=lambda *far: moved.append(far))
    assert (done.path, done.files, done.bytes) == ("z", 3, 16)
    assert moved[-1] == (16, -1)
    assert await tree(provider) == {
        "z/1": b"1",
        "z/sub/2": b"sub/2",
        "z/sub/deep/3": b"sub/deep/3",
        "a*?b": b"beside",
        "axx/4": b"no match",
    }
    assert await provider.exists("z/sub")
    undone = await provider.undo(done.job)
    assert (undone.path, undone.files) == ("a*?", 3)
    assert await tree(provider) == {**before, "a*?b": b"beside", "axx/4": b"no match"}


async def test_the_same_copy_again_is_a_new_one(scripted: S3Provider) -> None:
    await scripted.write_file("a/1", b"1")
    first = await scripted.copy_node("a", "b")
    await scripted.write_file("a/2", b"2")
    await scripted.write_file("a/1", b"new")
    second = await scripted.copy_node("a", "b")
    assert first.job == second.job
    assert await tree(scripted) == {"a/1": b"new", "a/2": b"2", "b/1": b"new", "b/2": b"2"}


async def test_markers_move_with_their_directories(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(directory_markers=True))
    await provider.create_node(NewNode("a/empty", is_dir=True))
    await provider.write_file("a/1", b"1")
    await provider.move_node("a", "b")
    assert sorted(key for _, key in faults.objects) == [BELOW + "b/1", BELOW + "b/empty/"]


async def test_what_exists_in_a_directory_is_kept_where_that_is_asked_for(scripted: S3Provider) -> None:
    for path in ("a/1", "a/2", "b/1"):
        await scripted.write_file(path, path.encode())
    with pytest.raises(JobError, match="conflict"):
        await scripted.move_node("a", "b", overwrite=False)
    assert sorted(await tree(scripted)) == ["a/1", "a/2", "b/1"]
    await scripted.move_node("a", "b")
    assert await tree(scripted) == {"b/1": b"a/1", "b/2": b"a/2"}


async def test_a_directory_that_failed_in_part_is_finished_by_the_same_call(
    scripted: S3Provider, faults: FaultServer
) -> None:
    for path in ("a/1", "a/2"):
        await scripted.write_file(path, b"x")
    faults.script(Fault("CopyObject", key=BELOW + "b/1", status=400, attempts="all"))
    with pytest.raises(TransferError):
        await scripted.move_node("a", "b")
    assert sorted(await tree(scripted)) == ["a/1", "b/2"]
    faults.script()
    await scripted.move_node("a", "b")
    assert sorted(await tree(scripted)) == ["b/1", "b/2"]


CHILD = """
import asyncio, json, sys
from haulyard.fs import S3Provider, S3ProviderConfig

async def main():
    config = S3ProviderConfig(**json.loads(sys.argv[1]))
    async with S3Provider(config) as provider:
        await provider.move_node("a", "b")

asyncio.run(main())
"""


async def test_a_move_that_was_killed_is_finished_by_the_same_call(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults())
    names = [f"{number:02}" for number in range(12)]
    for name in names:
        await provider.write_file(f"a/{name}", name.encode())
    faults.script(Fault("CopyObject", key=BELOW + "b/07", stall=True, attempts="all"))
    config = on_faults()
    given = {name: getattr(config, name) for name in ("bucket", "prefix", "endpoint_url", "region")}
    given |= {name: getattr(config, name) for name in ("access_key", "secret_key", "state_dir", "job_dir")}
    # One at a time, so that some are moved and some are not.
    child = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(given | {"concurrency": 1})])
    try:
        await faults.wait_for_async(
            lambda each: each.operation == "CopyObject" and each.key == BELOW + "b/07", 60
        )
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    faults.script()
    faults.release()
    await faults.settle_async()
    left = [key for _, key in faults.objects if key.startswith(BELOW + "a/")]
    assert left
    done = await provider.move_node("a", "b")
    assert await tree(provider) == {f"b/{name}": name.encode() for name in names}
    assert done.files == len(left)
    await provider.undo(done.job)
    assert sorted(await tree(provider)) == [f"a/{name}" for name in names]


async def test_directories_of_customer_keys_are_refused(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(encryption=CUSTOMER))
    await provider.write_file("a/1", b"x")
    for call in (provider.copy_node, provider.move_node):
        with pytest.raises(Unsupported, match="SSE-C"):
            await call("a", "b")


async def test_a_job_of_somebody_else_is_not_undone(on_faults: Config, opened: Open) -> None:
    mine, other = opened(on_faults()), opened(on_faults(prefix="tenants/77/"))
    await other.write_file("a/1", b"x")
    done = await other.copy_node("a", "b")
    with pytest.raises(JobError, match="tenants/7/"):
        await mine.undo(done.job)
    with pytest.raises(JobError):
        await mine.undo("no-such-job")
    assert await other.exists("b/1")


async def test_jobs_lie_where_they_are_told_to(on_faults: Config, opened: Open, tmp_path: Path) -> None:
    provider = opened(on_faults(job_dir=str(tmp_path / "elsewhere")))
    await provider.write_file("a/1", b"x")
    done = await provider.copy_node("a", "b")
    assert (tmp_path / "elsewhere" / done.job / "job.json").exists()
