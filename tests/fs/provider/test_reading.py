"""Reading files: of one version, verified, in ranges where they are large."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest

from haulyard.checksums import compute
from haulyard.errors import (
    ConfigError,
    HaulError,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    S3Error,
    SourceChanged,
    StoreError,
    UnsafeName,
)
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
LARGE = os.urandom(10 * MIB + 12345)


async def test_what_was_written_is_read(provider: S3Provider) -> None:
    await provider.write_file("notes/today.txt", b"hello, world")
    assert await provider.read_file("notes/today.txt") == b"hello, world"
    assert await provider.read_file("/notes//./today.txt") == b"hello, world"
    assert await provider.read_file("notes/today.txt", range=(0, 5)) == b"hello"
    assert await provider.read_file("notes/today.txt", range=(-5, None)) == b"world"
    assert await provider.read_file("notes/today.txt", range=(7, 1000)) == b"world"


async def test_an_empty_file_is_read(provider: S3Provider) -> None:
    await provider.write_file("empty", b"")
    assert await provider.read_file("empty") == b""
    assert [piece async for piece in provider.stream_read("empty")] in ([], [b""])
    assert [piece async for piece in provider.stream_read("empty", chunk_size=5)] == []


async def test_what_is_not_there_is_said(provider: S3Provider) -> None:
    with pytest.raises(NotFound) as caught:
        await provider.read_file("nothing")
    assert isinstance(caught.value, S3Error)
    assert caught.value.request_id
    with pytest.raises(NotFound):
        [piece async for piece in provider.stream_read("nothing")]
    await provider.write_file("short", b"abc")
    with pytest.raises(StoreError) as beyond:
        await provider.read_file("short", range=(5, 9))
    assert beyond.value.code == "InvalidRange"


async def test_a_large_file_comes_in_ranges_bound_to_one_version(on_seaweedfs: Config, opened: Open) -> None:
    events: list[Any] = []
    provider = opened(on_seaweedfs(part_size=5 * MIB), on_event=events.append)
    await provider.write_file("large", LARGE)
    moved: list[tuple[int, int]] = []
    assert await provider.read_file("large", progress=lambda *far: moved.append(far)) == LARGE
    assert provider.metrics.requests["GetObject"].calls == 3
    assert moved[-1] == (len(LARGE), len(LARGE))
    assert [done for done, _ in moved] == sorted(done for done, _ in moved)
    assert await provider.read_file("large", range=(1, 10 * MIB)) == LARGE[1 : 10 * MIB]
    assert await provider.read_file("large", range=(-MIB, None)) == LARGE[-MIB:]


@pytest.mark.parametrize("chunk_size", [0, 1000, 20 * MIB])
async def test_a_stream_gives_every_byte_in_order(
    on_seaweedfs: Config, opened: Open, chunk_size: int
) -> None:
    provider = opened(on_seaweedfs(part_size=5 * MIB, file_concurrency=2))
    await provider.write_file("large", LARGE)
    pieces = [piece async for piece in provider.stream_read("large", chunk_size=chunk_size)]
    assert b"".join(pieces) == LARGE
    if chunk_size:
        assert {len(piece) for piece in pieces[:-1]} <= {chunk_size}
        assert 0 < len(pieces[-1]) <= chunk_size


async def test_a_stream_that_is_left_early_leaves_nothing_behind(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs(part_size=5 * MIB, concurrency=2))
    await provider.write_file("large", LARGE)
    before = asyncio.all_tasks()
    for _ in range(3):
        async with aclosing(cast("Any", provider.stream_read("large", chunk_size=1000))) as pieces:
            assert await anext(pieces) == LARGE[:1000]
    assert asyncio.all_tasks() == before
    # Both places in flight are free again.
    assert await provider.read_file("large", range=(0, 3)) == LARGE[:3]


async def test_a_condition_on_reading(provider: S3Provider) -> None:
    old = await provider.write_file("a", b"old")
    new = await provider.write_file("a", b"new")
    assert await provider.read_file("a", if_match=new.etag) == b"new"
    for read in (
        provider.read_file("a", if_match=old.etag),
        cast("Any", provider.stream_read("a", if_match=old.etag)).__anext__(),
    ):
        with pytest.raises(PreconditionFailed) as caught:
            await read
        assert (caught.value.wanted, caught.value.found) == (old.etag, new.etag)


async def test_checksums_are_calculated_of_bytes_and_of_files(provider: S3Provider) -> None:
    await provider.write_file("large", LARGE)
    assert await provider.calculate_checksum("large") == hashlib.sha256(LARGE).hexdigest()
    assert await provider.calculate_checksum(LARGE) == hashlib.sha256(LARGE).hexdigest()
    assert await provider.calculate_checksum(b"abc", "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert await provider.calculate_checksum("large", "MD5") == hashlib.md5(LARGE).hexdigest()  # noqa: S324 -- what is asked for
    with pytest.raises(ConfigError):
        await provider.calculate_checksum(b"", "ROT13")


@pytest.mark.parametrize("algorithm", ["SHA256", "MD5", "CRC64NVME"])
async def test_a_checksum_that_was_asked_for_is_verified_on_reading(
    provider: S3Provider, algorithm: str
) -> None:
    await provider.write_file("a", b"content")
    good = compute(algorithm, b"content")
    assert await provider.read_file("a", checksum=good) == b"content"
    with pytest.raises(IntegrityError, match=algorithm):
        await provider.read_file("a", checksum=compute(algorithm, b"other"))


async def test_files_that_are_too_large_for_memory_are_refused(on_seaweedfs: Config, opened: Open) -> None:
    await opened(on_seaweedfs()).write_file("a", b"12345")
    provider = opened(on_seaweedfs(max_file_size=4))
    with pytest.raises(StoreError, match="5 bytes, and a file may have 4") as caught:
        await provider.read_file("a")
    assert caught.value.code == "EntityTooLarge"


async def test_the_wrong_customer_key_is_refused(on_seaweedfs: Config, opened: Open) -> None:
    right, wrong = (Encryption("SSE-C", customer_key=Secret(bytes([each]) * 32)) for each in (1, 2))
    provider = opened(on_seaweedfs(encryption=right))
    node = await provider.write_file("a", b"secret")
    assert await provider.read_file("a") == b"secret"
    assert (await provider.get_node_info("a")).etag == node.etag
    for other in (on_seaweedfs(encryption=wrong), on_seaweedfs()):
        with pytest.raises(HaulError) as caught:
            await opened(other).read_file("a")
        assert "AQEB" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "a/", "../a", "a\0", "x" * 1025])
async def test_paths_of_no_file_are_refused(scripted: S3Provider, faults: FaultServer, path: str) -> None:
    for read in (scripted.read_file(path), cast("Any", scripted.stream_read(path)).__anext__()):
        with pytest.raises(UnsafeName):
            await read
    assert faults.requests == ()


# Faults


async def test_a_body_that_breaks_off_is_resumed(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    content = bytes(range(256)) * 4096
    faults.objects["bucket", "tenants/7/a"] = content
    faults.script(Fault("GetObject", truncate=100_000), Fault("GetObject", reset_after=50_000, attempts=(1,)))
    provider = opened(on_faults())
    assert await provider.read_file("a") == content


async def test_a_file_that_is_replaced_between_two_ranges_is_read_anew(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    old, new = b"o" * 11 * MIB, b"n" * 11 * MIB
    faults.objects["bucket", "tenants/7/a"] = old
    provider = opened(on_faults(part_size=5 * MIB, file_concurrency=1))

    def replace(*_: int) -> None:
        faults.objects["bucket", "tenants/7/a"] = new

    assert await provider.read_file("a", progress=replace) == new


async def test_a_stream_of_a_file_that_is_replaced_ends_in_an_error(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    faults.objects["bucket", "tenants/7/a"] = b"o" * 11 * MIB
    provider = opened(on_faults(part_size=5 * MIB, file_concurrency=1))
    pieces = cast("Any", provider.stream_read("a"))
    assert set(await anext(pieces)) == set(b"o")
    faults.objects["bucket", "tenants/7/a"] = b"n" * 11 * MIB
    with pytest.raises(PreconditionFailed):
        [piece async for piece in pieces]


async def test_a_file_that_never_stands_still_is_given_up(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    rounds = iter(range(1000))

    def replace(*_: int) -> None:
        faults.objects["bucket", "tenants/7/a"] = b"%03d" % next(rounds) + b"." * 11 * MIB

    replace()
    provider = opened(on_faults(part_size=5 * MIB, file_concurrency=1))
    with pytest.raises(SourceChanged):
        await provider.read_file("a", progress=replace)


async def test_md5_is_verified_where_it_was_asked_for(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(checksum_algorithm="MD5"))
    await provider.write_file("a", b"content")
    assert await provider.read_file("a") == b"content"
    assert [piece async for piece in provider.stream_read("a")] == [b"content"]
    damaged = Fault(
        "GetObject", body="CONTENT", headers={"etag": '"9a0364b9e99bb480dd25e1f0284c8555"'}, attempts="all"
    )
    faults.script(damaged)
    with pytest.raises(IntegrityError, match="MD5"):
        await provider.read_file("a")
    with pytest.raises(IntegrityError, match="MD5"):
        [piece async for piece in provider.stream_read("a")]
    # An ETag of parts, or one under KMS, is no MD5.
    faults.script(Fault("GetObject", body="content", headers={"etag": '"abc-2"'}, attempts="all"))
    assert await provider.read_file("a") == b"content"


async def test_a_damaged_file_is_not_returned(on_faults: Config, opened: Open, faults: FaultServer) -> None:
    content = os.urandom(11 * MIB)
    provider = opened(on_faults(part_size=5 * MIB))
    await provider.write_file("a", content)
    faults.script(Fault("GetObject", headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, attempts="all"))
    with pytest.raises(IntegrityError):
        await provider.read_file("a")
    with pytest.raises(IntegrityError):
        [piece async for piece in provider.stream_read("a")]
