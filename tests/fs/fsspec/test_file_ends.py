"""Files that end otherwise than by `close`: not opened, pickled, dropped, written on."""

from __future__ import annotations

import asyncio
import gc
import pickle
import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = random.Random(6).randbytes(3_000_000)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(buckets=["b"], minimum_part_size=1) as server:
        yield server


def opened(server: FaultServer, **options: Any) -> HaulFileSystem:
    return HaulFileSystem(
        endpoint_url=server.url, key="k", secret="s", region="us-east-1", skip_instance_cache=True, **options
    )


@pytest.fixture
def in_moto(moto_options: dict[str, Any], bucket_name: Callable[[], str]) -> tuple[HaulFileSystem, str]:
    fs, bucket = HaulFileSystem(**moto_options), bucket_name()
    fs.mkdir(bucket)
    return fs, bucket


def test_a_file_that_could_not_be_opened_is_silent_when_it_goes(server: FaultServer) -> None:
    fs = opened(server)
    fs.pipe_file("b/k", b"1")
    # What is raised where the collector runs is an error of the test.
    with pytest.raises(FileExistsError):
        fs.open("b/k", "xb")
    with pytest.raises(TypeError, match="colour"):
        fs.open("b/k", "wb", colour="red")
    gc.collect()
    assert fs.cat_file("b/k") == b"1"


def test_one_large_read_is_no_storm_of_requests(server: FaultServer) -> None:
    fs = opened(server)
    fs.pipe_file("b/k", DATA)
    before = len(server.requests)
    with fs.open("b/k", block_size=100) as file:
        file.seek(1)
        assert file.read(2_000_000) == DATA[1:2_000_001]
        assert file.read() == DATA[2_000_001:]
    assert len(server.requests) - before < 10


def test_a_pickled_file_reads_the_content_that_was_opened(server: FaultServer) -> None:
    fs = opened(server)
    fs.pipe_file("b/k", DATA)
    with fs.open("b/k") as file:
        file.seek(5)
        pickled = pickle.dumps(file)
    fs.pipe_file("b/k", bytes(len(DATA)))
    with pickle.loads(pickled) as copy:  # noqa: S301 -- its own
        assert copy.tell() == 5
        with pytest.raises(OSError, match="PreconditionFailed"):
            copy.read()
    with fs.open("b/new", "wb") as file, pytest.raises(RuntimeError, match="pickled"):
        pickle.dumps(file)


def test_a_pickled_file_reads_the_version_that_was_opened(
    moto_options: dict[str, Any], bucket_name: Callable[[], str], versioned: Callable[[str], None]
) -> None:
    fs, bucket = HaulFileSystem(version_aware=True, **moto_options), bucket_name()
    fs.mkdir(bucket)
    versioned(bucket)
    first = fs.pipe_file(f"{bucket}/k", b"first")["VersionId"]
    fs.pipe_file(f"{bucket}/k", b"other")
    with (
        fs.open(f"{bucket}/k", version_id=first, cache_type="bytes") as file,
        pickle.loads(pickle.dumps(file)) as copy,  # noqa: S301 -- its own
    ):
        assert copy.read() == b"first"
        assert copy.version_id == first
        assert copy.cache.name == "bytes"


def test_what_is_appended_to_keeps_encryption_tags_and_redirect(in_moto: tuple[HaulFileSystem, str]) -> None:
    fs, bucket = in_moto
    path = f"{bucket}/log"
    given = {"sse": "aws:kms", "sse_kms_key_id": "some-key", "website_redirect": "https://e.example/"}
    for size in (10, 6_000_000):
        fs.pipe_file(path, bytes(size), tags={"team": "data"}, **given)
        with fs.open(path, "ab") as file:
            file.write(b"more")
        head = _head(fs, path)
        assert head.size == size + 4
        assert (head.encryption, head.kms_key_id) == ("aws:kms", "some-key")
        assert head.headers["x-amz-website-redirect-location"] == "https://e.example/"
        assert fs.get_tags(path) == {"team": "data"}
    with fs.open(path, "ab", tags={"team": "other"}, sse="AES256") as file:
        file.write(b"more")
    assert fs.get_tags(path) == {"team": "other"}
    assert _head(fs, path).encryption == "AES256"


def test_what_gets_other_metadata_keeps_encryption_and_redirect(in_moto: tuple[HaulFileSystem, str]) -> None:
    fs, bucket = in_moto
    path = f"{bucket}/key"
    given = {"sse": "aws:kms", "sse_kms_key_id": "some-key", "website_redirect": "https://e.example/"}
    fs.pipe_file(path, b"1", **given)
    fs.setxattr(path, name="value")
    head = _head(fs, path)
    assert (head.encryption, head.kms_key_id) == ("aws:kms", "some-key")
    assert head.headers["x-amz-website-redirect-location"] == "https://e.example/"
    assert fs.metadata(path) == {"name": "value"}
    fs.setxattr(path, copy_kwargs={"ServerSideEncryption": "AES256"}, name="other")
    assert _head(fs, path).encryption == "AES256"
    assert fs.metadata(path) == {"name": "other"}


def _head(fs: HaulFileSystem, path: str) -> Any:
    return asyncio.run_coroutine_threadsafe(fs._headed(fs._object(path)), fs.loop).result()


@pytest.mark.anyio
async def test_a_streamed_file_that_nobody_has_lets_its_connection_go(server: FaultServer) -> None:
    fs = opened(server, asynchronous=True, concurrency=1)
    await fs._pipe_file("b/k", DATA)
    file = await fs.open_async("b/k")
    assert await file.read(10) == DATA[:10]
    del file
    gc.collect()
    with anyio.fail_after(60):
        # The only slot is free again.
        assert await fs._cat_file("b/k", 0, 3) == DATA[:3]
    await fs._close()


@pytest.mark.anyio
async def test_a_streamed_file_that_nobody_closed_is_given_up_and_said(server: FaultServer) -> None:
    fs = opened(server, asynchronous=True, part_size=5 * 1024**2)
    file = await fs.open_async("b/k", "wb")
    await file.write(bytes(6 * 1024**2))
    await server.wait_for_async(lambda each: each.operation == "UploadPart")
    with pytest.warns(ResourceWarning, match="b/k was not closed"):
        del file
    await server.wait_for_async(lambda each: each.operation == "AbortMultipartUpload")
    assert not await fs._exists("b/k")
    await fs._close()


def test_a_streamed_file_may_outlive_its_loop(server: FaultServer) -> None:
    fs = opened(server, asynchronous=True)

    async def left() -> Any:
        await fs._pipe_file("b/k", DATA)
        file = await fs.open_async("b/k")
        await file.read(10)
        return file

    file = asyncio.run(left())
    del file
    gc.collect()
