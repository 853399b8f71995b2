from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from haulyard import (
    AsyncClient,
    BytesMoved,
    ConfigError,
    HaulError,
    NotFound,
    PreconditionFailed,
    S3PermissionError,
)
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from tests.client.conftest import Connect

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def test_an_object_is_read_in_the_sizes_that_are_asked_for(client: AsyncClient, bucket: str) -> None:
    content = os.urandom(3 * MIB)
    await client.put(bucket + "key", content)
    async with client.open(bucket + "key") as file:
        assert file.head.size == len(content)
        assert await file.read(10) == content[:10]
        assert await file.read(0) == b""
        assert await file.read(MIB) == content[10 : 10 + MIB]
        assert await file.read() == content[10 + MIB :]
        assert await file.read(5) == b""


async def test_an_object_is_read_at_once_or_in_pieces(client: AsyncClient, bucket: str) -> None:
    content = os.urandom(2 * MIB)
    await client.put(bucket + "key", content)
    async with client.open(bucket + "key") as file:
        assert await file.read() == content
    async with client.open(bucket + "key") as file:
        start = await file.read(3)
        assert start + b"".join([bytes(piece) async for piece in file]) == content


async def test_a_range_of_an_object_is_read(client: AsyncClient, bucket: str) -> None:
    etag = (await client.put(bucket + "key", b"0123456789")).etag
    async with client.open(bucket + "key", range=(2, 5), if_match=etag) as file:
        assert await file.read() == b"234"
        assert file.head.size == 10
    with pytest.raises(PreconditionFailed):
        async with client.open(bucket + "key", if_match="0"):
            pass


async def test_what_is_not_there_cannot_be_opened(client: AsyncClient, bucket: str) -> None:
    with pytest.raises(NotFound):
        async with client.open(bucket + "nothing"):
            pass


async def test_a_reader_is_used_in_its_block(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"x")
    file = client.open(bucket + "key")
    with pytest.raises(HaulError, match="is not open"):
        await file.read()
    async with file:
        pass
    with pytest.raises(HaulError, match="is not open"):
        await file.read()
    await file.close()


async def test_small_writes_become_one_request(connect: Connect) -> None:
    with FaultServer() as server:
        async with connect(server.url) as client, client.open("s3://bucket/key.txt", "wb") as file:
            for number in range(1000):
                assert await file.write(b"%d\n" % number) == len(b"%d\n" % number)
        assert server.objects["bucket", "key.txt"] == b"".join(b"%d\n" % number for number in range(1000))
        assert [request.operation for request in server.requests] == ["PutObject"]
        assert file.result.etag == server.objects.stored("bucket", "key.txt").etag.strip(chr(34))


async def test_a_writer_knows_its_result_only_at_the_end(client: AsyncClient, bucket: str) -> None:
    async with client.open(bucket + "key", "wb", metadata={"a": "b"}) as file:
        with pytest.raises(HaulError, match="not written yet"):
            assert file.result
    assert file.result.etag == (await client.head(bucket + "key")).etag
    assert (await client.head(bucket + "key")).metadata["a"] == "b"
    assert await client.get(bucket + "key") == b""


async def test_large_writes_go_in_parts(client: AsyncClient, bucket: str, settings: dict[str, Any]) -> None:
    moved: list[int] = []

    def note(event: object) -> None:
        if isinstance(event, BytesMoved):
            moved.append(event.size)

    content = os.urandom(12 * MIB + 17)
    async with (
        AsyncClient(**settings, part_size="5MiB", on_event=note) as small,
        small.open(bucket + "key", "wb") as file,
    ):
        view = memoryview(content)
        for start in range(0, len(view), 1_000_003):
            await file.write(view[start : start + 1_000_003])
    assert file.result.etag.endswith("-3")
    assert sum(moved) == len(content)
    assert await client.get(bucket + "key") == content


@pytest.mark.parametrize("size", [10, 12 * MIB])
async def test_where_an_error_leaves_the_block_nothing_appears(
    client: AsyncClient, bucket: str, size: int
) -> None:
    async def fail() -> None:
        async with client.open(bucket + "key", "wb") as file:
            await file.write(bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not await client.exists(bucket + "key")
    store = client._session.place(bucket).store
    assert [upload async for upload in store.list_uploads()] == []


async def test_a_scope_that_is_cancelled_aborts_the_upload(connect: Connect) -> None:
    with FaultServer(Fault("UploadPart", stall=True, read_request_body=1000)) as server:
        async with connect(server.url) as client:
            with anyio.move_on_after(30) as scope:
                async with client.open("s3://bucket/key", "wb") as file:
                    await file.write(bytes(20 * MIB))
                    await server.wait_for_async(lambda request: request.operation == "UploadPart")
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught
            server.release()
        assert server.uploads == ()
        assert list(server.objects) == []


async def test_an_exclusive_write_replaces_nothing(client: AsyncClient, bucket: str) -> None:
    await client.put(bucket + "key", b"first")
    with pytest.raises(PreconditionFailed):
        async with client.open(bucket + "key", "xb") as file:
            await file.write(b"second")
    assert await client.get(bucket + "key") == b"first"
    async with client.open(bucket + "new", "xb") as file:
        await file.write(b"made")
    assert await client.get(bucket + "new") == b"made"


async def test_a_failure_of_the_store_ends_the_writing(connect: Connect) -> None:
    with FaultServer(Fault("CreateMultipartUpload", attempts="all", status=403)) as server:
        async with connect(server.url) as client:

            async def write_for_ever() -> None:
                async with client.open("s3://bucket/key", "wb") as file:
                    while True:
                        await file.write(bytes(MIB))

            with pytest.raises(S3PermissionError):
                await write_for_ever()


async def test_a_write_that_was_interrupted_cannot_be_completed(connect: Connect) -> None:
    with FaultServer(Fault("UploadPart", stall=True, read_request_body=1000)) as server:
        async with connect(server.url) as client:

            async def interrupt() -> None:
                async with client.open("s3://bucket/key", "wb") as file:
                    writing = asyncio.ensure_future(file.write(bytes(200 * MIB)))
                    await server.wait_for_async(lambda request: request.operation == "UploadPart")
                    writing.cancel()
                    await asyncio.wait([writing])

            with pytest.raises(HaulError, match="was interrupted; nothing appears"):
                await interrupt()
            server.release()
        assert server.uploads == ()
        assert list(server.objects) == []


async def test_a_writer_is_used_in_its_block_and_closed_once(client: AsyncClient, bucket: str) -> None:
    file = client.open(bucket + "key", "wb")
    with pytest.raises(HaulError, match="is not open"):
        await file.write(b"x")
    async with file:
        await file.write(b"x")
        await file.close()
        await file.close()
        await file.abort()
    assert await client.get(bucket + "key") == b"x"
    with pytest.raises(TypeError, match="not of str"):
        async with client.open(bucket + "key", "wb") as file:
            await file.write("text")  # type: ignore[arg-type]


async def test_modes_and_arguments_that_do_not_exist(client: AsyncClient) -> None:
    with pytest.raises(ValueError, match="'r' is no mode"):
        client.open("s3://bucket/key", "r")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="are for reading"):
        client.open("s3://bucket/key", "wb", range=(0, 1))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="metadata: only for writing"):
        client.open("s3://bucket/key", metadata={})  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="names a bucket"):
        async with client.open("s3://bucket"):
            pass
