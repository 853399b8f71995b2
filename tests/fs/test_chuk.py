"""The provider of chuk-virtual-fs: what that package expects of one, and what it never hides."""

from __future__ import annotations

import hashlib
import uuid
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from chuk_virtual_fs import AsyncVirtualFileSystem
from chuk_virtual_fs.node_info import EnhancedNodeInfo
from chuk_virtual_fs.provider_base import AsyncStorageProvider
from chuk_virtual_fs.providers import list_providers

from haulyard.errors import (
    ConfigError,
    HaulError,
    NotFound,
    S3CredentialsError,
    S3IntegrityError,
    S3NetworkError,
    S3PermissionError,
)
from haulyard.fs import chuk
from haulyard.fs.chuk import HaulyardStorageProvider
from haulyard.fs.encryption import ClientSideEncryption
from haulyard.models import Secret
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.conftest import Server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def bucket(seaweedfs: Server) -> str:
    # A module's tests may be cut in two, and this made twice.
    name = f"chuk-{uuid.uuid4().hex}"
    boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint_url,
        region_name=seaweedfs.region,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
    ).create_bucket(Bucket=name)
    return name


@pytest.fixture
def settings(
    seaweedfs: Server, bucket: str, bucket_name: Callable[[], str], tmp_path: Path
) -> dict[str, Any]:
    """A prefix that nobody else has, in the words of that package's own S3 provider."""
    return {
        "bucket_name": bucket,
        "prefix": bucket_name(),
        "endpoint_url": seaweedfs.endpoint_url,
        "region_name": seaweedfs.region,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "job_dir": str(tmp_path / "jobs"),
        "state_dir": str(tmp_path / "state"),
    }


@pytest.fixture
async def provider(settings: dict[str, Any]) -> AsyncIterator[HaulyardStorageProvider]:
    async with HaulyardStorageProvider(**settings) as opened:
        assert isinstance(opened, HaulyardStorageProvider)
        yield opened


def a_file(name: str, parent: str = "/", **fields: Any) -> EnhancedNodeInfo:
    return EnhancedNodeInfo(name, False, parent, **fields)


def a_directory(name: str, parent: str = "/") -> EnhancedNodeInfo:
    return EnhancedNodeInfo(name, True, parent)


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


def test_every_call_of_the_interface_has_its_parameters() -> None:
    for name, base in vars(AsyncStorageProvider).items():
        if callable(base) and not name.startswith("_"):
            ours = signature(getattr(HaulyardStorageProvider, name)).parameters
            assert list(ours)[: len(signature(base).parameters)] == list(signature(base).parameters), name


async def test_a_file_is_created_written_read_described_and_deleted(
    provider: HaulyardStorageProvider,
) -> None:
    assert await provider.create_node(a_file("a.txt"))
    assert await provider.exists("/a.txt")
    assert await provider.read_file("/a.txt") == b""
    assert await provider.write_file("/a.txt", b"content")
    assert await provider.read_file("/a.txt") == b"content"
    node = await provider.get_node_info("/a.txt")
    assert node is not None
    assert (node.name, node.is_dir, node.get_path(), node.size) == ("a.txt", False, "/a.txt", 7)
    assert node.mime_type == "text/plain"
    assert await provider.delete_node("/a.txt")
    assert not await provider.exists("/a.txt")


async def test_nothing_is_answered_as_the_interface_says(provider: HaulyardStorageProvider) -> None:
    assert await provider.read_file("/absent") is None
    assert await provider.get_node_info("/absent") is None
    assert await provider.list_directory("/absent") == []
    assert await provider.get_metadata("/absent") == {}
    assert not await provider.exists("/absent")
    for refused in (
        provider.delete_node("/absent"),
        provider.set_metadata("/absent", {"a": "b"}),
        provider.copy_node("/absent", "/other"),
        provider.move_node("/absent", "/other"),
    ):
        assert await refused is False
    assert [chunk async for chunk in provider.stream_read("/absent")] == []


async def test_a_path_that_no_file_has_is_one_that_is_not_there(provider: HaulyardStorageProvider) -> None:
    for path in ("/../outside", "/a\0b", "/" + "x" * 1_100):
        assert await provider.read_file(path) is None
        assert not await provider.exists(path)
        assert not await provider.delete_node(path)
        with pytest.raises(HaulError):
            await provider.write_file(path, b"content")


async def test_a_directory_is_there_before_anything_is_in_it(provider: HaulyardStorageProvider) -> None:
    assert await provider.create_node(a_directory("d"))
    assert not await provider.create_node(a_directory("d"))
    assert await provider.list_directory("/d") == []
    assert await provider.create_node(a_file("f", "/d"))
    assert await provider.create_node(a_directory("e", "/d"))
    assert await provider.list_directory("/d") == ["e", "f"]
    assert await provider.list_directory("/") == ["d"]
    node = await provider.get_node_info("/d")
    assert node is not None
    assert (node.name, node.is_dir, node.get_path(), node.permissions) == ("d", True, "/d", "755")
    assert await provider.read_file("/d") is None
    assert await provider.list_directory("/d/f") == []


async def test_only_an_empty_directory_is_deleted_and_never_the_root(
    provider: HaulyardStorageProvider,
) -> None:
    await provider.create_node(a_directory("d"))
    await provider.create_node(a_file("f", "/d"))
    assert not await provider.delete_node("/d")
    assert await provider.delete_node("/d/f")
    assert await provider.delete_node("/d")
    assert not await provider.exists("/d")
    assert not await provider.delete_node("/")
    assert await provider.exists("/")


async def test_what_exists_is_not_created_again(provider: HaulyardStorageProvider) -> None:
    await provider.write_file("/a", b"content")
    assert not await provider.create_node(a_file("a"))
    assert await provider.read_file("/a") == b"content"


async def test_fields_of_a_node_are_kept(provider: HaulyardStorageProvider) -> None:
    node = a_file("a", owner="me", ttl=60, custom_meta={"n": 1}, tags={"env": "x"}, mime_type="text/x-own")
    node.calculate_expiry()
    assert await provider.create_node(node)
    assert await provider.write_file("/a", b"content")
    assert await provider.stream_write("/a", pieces(b"more ", b"content"))
    found = await provider.get_node_info("/a")
    assert found is not None
    assert (found.owner, found.ttl, found.mime_type) == ("me", 60, "text/x-own")
    assert found.expires_at == node.expires_at
    assert not found.is_expired()
    assert found.custom_meta == {"n": "1"}


async def test_metadata_is_added_to(provider: HaulyardStorageProvider) -> None:
    await provider.create_node(a_file("a", tags={"env": "x"}))
    assert await provider.set_metadata(
        "/a", {"author": "me", "labels": ["p", "q"], "mime_type": "text/x-own"}
    )
    assert await provider.set_metadata("/a", {"custom_meta": {"version": "1.0"}, "tags": {"team": "t"}})
    metadata = await provider.get_metadata("/a")
    assert metadata["custom_meta"] == {"author": "me", "labels": '["p", "q"]', "version": "1.0"}
    assert metadata["mime_type"] == "text/x-own"
    assert metadata["tags"] == {"env": "x", "team": "t"}
    assert metadata["name"] == "a"


async def test_copies_and_moves(provider: HaulyardStorageProvider) -> None:
    await provider.write_file("/d/a", b"a")
    await provider.write_file("/d/e/b", b"b")
    assert await provider.copy_node("/d/a", "/copied")
    assert await provider.move_node("/copied", "/moved")
    assert await provider.read_file("/moved") == b"a"
    assert not await provider.exists("/copied")
    assert await provider.copy_node("/d", "/f")
    assert await provider.move_node("/d", "/g")
    assert not await provider.exists("/d")
    for directory in ("/f", "/g"):
        assert await provider.read_file(f"{directory}/e/b") == b"b"


async def test_batches_answer_in_order(provider: HaulyardStorageProvider) -> None:
    assert await provider.create_node(a_file("0"))
    assert await provider.batch_create([a_file("1"), a_file("0"), a_file("2")]) == [True, False, True]
    assert await provider.batch_write([(f"/{n}", b"%d" % n) for n in range(3)]) == [True, True, True]
    assert await provider.batch_read(["/2", "/absent", "/0"]) == [b"2", None, b"0"]
    assert await provider.batch_delete(["/0", "/absent", "/2"]) == [True, False, True]
    assert await provider.list_directory("/") == ["1"]
    assert await provider.batch_read([]) == []


async def test_checksums_are_of_content_or_of_a_file(provider: HaulyardStorageProvider) -> None:
    await provider.write_file("/a", b"content")
    expected = hashlib.sha256(b"content").hexdigest()
    assert await provider.calculate_checksum(b"content") == expected
    assert await provider.calculate_checksum("/a") == expected
    assert await provider.calculate_checksum(b"content", "md5") == hashlib.md5(b"content").hexdigest()  # noqa: S324
    with pytest.raises(NotFound):
        await provider.calculate_checksum("/absent")


async def test_streams_both_ways(provider: HaulyardStorageProvider) -> None:
    told: list[tuple[int, int]] = []

    async def tell(size: int, total: int) -> None:
        told.append((size, total))

    async def numbers() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d" % number * 1_000

    assert await provider.stream_write("/a", numbers(), progress_callback=tell)
    assert told == [(1_000 * count, -1) for count in range(1, 6)]
    chunks = [chunk async for chunk in provider.stream_read("/a", 1_500)]
    assert [len(chunk) for chunk in chunks] == [1_500, 1_500, 1_500, 500]
    assert b"".join(chunks) == b"".join(b"%d" % number * 1_000 for number in range(5))


async def test_a_stream_that_fails_leaves_the_old_file(provider: HaulyardStorageProvider) -> None:
    await provider.write_file("/a", b"old")

    async def failing() -> AsyncIterator[bytes]:
        yield b"new"
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        await provider.stream_write("/a", failing())
    assert await provider.read_file("/a") == b"old"


async def test_what_is_stored_is_counted(provider: HaulyardStorageProvider) -> None:
    await provider.create_node(a_directory("d"))
    await provider.batch_write([("/a", b"123"), ("/d/b", b"45")])
    stats = await provider.get_storage_stats()
    assert (stats["file_count"], stats["total_size_bytes"], stats["directory_count"]) == (2, 5, 1)
    cleaned = await provider.cleanup()
    assert (cleaned["status"], cleaned["files_removed"]) == ("success", 0)


async def test_urls_are_signed(provider: HaulyardStorageProvider) -> None:
    for url in (
        await provider.generate_presigned_url("/a", expires_in=60),
        await provider.generate_presigned_url("/a", "PUT", 60),
        (await provider.generate_presigned_upload_url("/a", 60) or ("", ""))[0],
    ):
        assert url is not None
        assert "X-Amz-Expires=60" in url


async def test_the_file_system_of_the_package_works_end_to_end(settings: dict[str, Any]) -> None:
    chuk.register("haulyard-test")
    assert list_providers()["haulyard-test"] is HaulyardStorageProvider
    async with AsyncVirtualFileSystem("haulyard-test", enable_retry=False, **settings) as files:
        assert await files.mkdir("/project")
        assert await files.cd("/project")
        assert await files.write_file("notes.txt", "hello, world")
        assert await files.read_file("notes.txt", as_text=True) == "hello, world"
        assert await files.cp("notes.txt", "copy.txt")
        assert await files.mv("copy.txt", "moved.txt")
        assert await files.ls() == ["moved.txt", "notes.txt"]
        assert await files.find("*.txt") == ["/project/moved.txt", "/project/notes.txt"]
        assert await files.is_dir("/project")
        assert await files.is_file("moved.txt")
        await files.batch_write_files({"/project/b1": b"1", "/project/b2": b"2"})
        assert await files.batch_read_files(["/project/b1", "/project/b2"]) == {
            "/project/b1": b"1",
            "/project/b2": b"2",
        }
        assert not await files.rmdir("/project")
        assert await files.rm("moved.txt")
        assert (await files.get_storage_stats())["file_count"] == 3


async def test_it_is_mounted_beside_others(settings: dict[str, Any]) -> None:
    chuk.register("haulyard-test")
    async with AsyncVirtualFileSystem("memory", enable_retry=False) as files:
        assert await files.mount("/cloud", "haulyard-test", **settings)
        assert await files.write_file("/cloud/a.txt", "text")
        assert await files.read_text("/cloud/a.txt") == "text"
        assert await files.ls("/cloud") == ["a.txt"]


def reaching(url: str) -> dict[str, Any]:
    keys = {"access_key": "AKIDEXAMPLE", "secret_key": "secret"}
    return {"bucket": "bucket", "endpoint_url": url, **keys, "settings": {"retries": 1}}


Call: TypeAlias = "Callable[[HaulyardStorageProvider], Awaitable[object]]"
CALLS = pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda provider: provider.read_file("/a"), id="read_file"),
        pytest.param(lambda provider: provider.exists("/a"), id="exists"),
        pytest.param(lambda provider: provider.get_node_info("/a"), id="get_node_info"),
        pytest.param(lambda provider: provider.list_directory("/"), id="list_directory"),
        pytest.param(lambda provider: provider.get_metadata("/a"), id="get_metadata"),
        pytest.param(lambda provider: provider.set_metadata("/a", {}), id="set_metadata"),
        pytest.param(lambda provider: provider.write_file("/a", b""), id="write_file"),
        pytest.param(lambda provider: provider.delete_node("/a"), id="delete_node"),
        pytest.param(lambda provider: provider.copy_node("/a", "/b"), id="copy_node"),
        pytest.param(lambda provider: provider.batch_read(["/a"]), id="batch_read"),
        pytest.param(lambda provider: provider.batch_delete(["/a"]), id="batch_delete"),
        pytest.param(lambda provider: provider.get_storage_stats(), id="get_storage_stats"),
        pytest.param(lambda provider: anext(provider.stream_read("/a")), id="stream_read"),
    ],
)


@CALLS
async def test_what_is_denied_never_looks_absent(call: Call) -> None:
    with FaultServer(authorize=lambda _: False) as server:
        provider = HaulyardStorageProvider(**reaching(server.url))
        with pytest.raises(S3PermissionError):
            await call(provider)
        await provider.close()


@CALLS
async def test_a_network_that_is_down_never_looks_absent(call: Call) -> None:
    with FaultServer() as server:
        url = server.url
    provider = HaulyardStorageProvider(**reaching(url))
    with pytest.raises(S3NetworkError):
        await call(provider)
    await provider.close()


@CALLS
async def test_a_bucket_that_is_not_there_never_looks_like_an_empty_one(call: Call) -> None:
    with FaultServer(buckets=[]) as server:
        provider = HaulyardStorageProvider(**reaching(server.url))
        with pytest.raises(NotFound, match="bucket"):
            await call(provider)
        await provider.close()


async def test_an_error_in_a_batch_is_raised_when_the_others_are_done() -> None:
    with FaultServer(authorize=lambda request: request.key != "b") as server:
        provider = HaulyardStorageProvider(**reaching(server.url))
        with pytest.raises(S3PermissionError):
            await provider.batch_write([("/b", b"1"), ("/c", b"2"), ("/a", b"3")])
        await provider.close()
        assert server.objects["bucket", "a"] == b"3"


async def test_a_file_that_was_tampered_with_never_looks_absent(settings: dict[str, Any]) -> None:
    encryption = ClientSideEncryption(wrapping_key=Secret(bytes(32)))
    async with HaulyardStorageProvider(**settings) as plain:
        await plain.write_file("/a", b"not encrypted")
    async with HaulyardStorageProvider(**settings, client_side_encryption=encryption) as provider:
        await provider.write_file("/b", b"encrypted")
        assert await provider.read_file("/b") == b"encrypted"
        with pytest.raises(S3IntegrityError, match="it is not encrypted"):
            await provider.read_file("/a")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bucket": "b", "bucket_name": "b"}, "both of its names"),
        ({"bucket": "b", "no_such_setting": 1}, "no_such_setting"),
        ({}, "bucket"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        HaulyardStorageProvider(**wrong)


async def test_nothing_is_initialised_without_the_right_keys(settings: dict[str, Any]) -> None:
    provider = HaulyardStorageProvider(**settings | {"aws_secret_access_key": "wrong"})
    with pytest.raises(S3CredentialsError):
        await provider.initialize()
    await provider.close()
