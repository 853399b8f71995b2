"""Writing files: whole or not at all, under conditions, with what they are to have."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.checksums import compute
from haulyard.errors import (
    ConfigError,
    IntegrityError,
    S3NetworkError,
    S3NotFound,
    S3PreconditionFailed,
    StoreError,
    UnsafeName,
    Unsupported,
)
from haulyard.fs import NodeInfo
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
LARGE = os.urandom(10 * MIB + 12345)


async def pieces(content: bytes, size: int = 1_000_003) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def test_a_file_gets_what_it_is_to_have(provider: S3Provider) -> None:
    node = await provider.write_file(
        "report.csv",
        b"a,b\n",
        metadata={"author": "me"},
        tags={"team": "data"},
        cache_control="no-cache",
    )
    assert node == NodeInfo(
        "report.csv",
        size=4,
        etag=node.etag,
        storage_class="STANDARD",
        content_type="text/csv",
        metadata={"author": "me"},
        checksums=(compute("CRC64NVME", b"a,b\n"),),
    )
    found = await provider.get_node_info("report.csv")
    assert (found.name, found.parent, found.size, found.etag) == ("report.csv", "", 4, node.etag)
    assert (found.content_type, found.metadata) == ("text/csv", {"author": "me"})
    assert await provider.get_object_tags("report.csv") == {"team": "data"}


async def test_the_configuration_says_what_files_get(on_seaweedfs: Config, opened: Open) -> None:
    config = on_seaweedfs(
        metadata={"by": "config", "kept": "yes"}, tags={"a": "1"}, encryption=Encryption("AES256")
    )
    provider = opened(config)
    await provider.write_file("a.json", b"{}", metadata={"by": "call"}, content_type="application/x-mine")
    found = await provider.get_node_info("a.json")
    assert found.metadata == {"by": "call", "kept": "yes"}
    assert (found.content_type, found.encryption) == ("application/x-mine", "AES256")
    assert await provider.get_object_tags("a.json") == {"a": "1"}


async def test_storage_class_kms_and_acl_are_asked_for(on_moto: Config, opened: Open) -> None:
    config = on_moto(
        storage_class="STANDARD_IA", encryption=Encryption("aws:kms", kms_key_id="alias/k"), acl="private"
    )
    provider = opened(config)
    for path, content in (("small", b"x"), ("large", LARGE)):
        await provider.write_file(path, content)
        found = await provider.get_node_info(path)
        assert (found.storage_class, found.encryption) == ("STANDARD_IA", "aws:kms")


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, len(LARGE)])
async def test_content_of_any_size_from_memory_and_from_a_stream(
    on_faults: Config, opened: Open, size: int
) -> None:
    provider = opened(on_faults())
    content = LARGE[:size]
    moved: list[tuple[int, int]] = []
    one = await provider.write_file("one", content, progress=lambda *far: moved.append(far))
    assert moved[-1] == (size, size)
    moved.clear()
    other = await provider.stream_write("other", pieces(content), progress=lambda *far: moved.append(far))
    assert moved[-1] == (size, size)
    assert one.size == other.size == size
    assert await provider.read_file("one") == await provider.read_file("other") == content
    assert {each.value for node in (one, other) for each in node.checksums} == {
        compute("CRC64NVME", content).value
    }


@pytest.mark.parametrize("algorithm", ["SHA256", "MD5", "CRC32C", "none"])
async def test_checksums_by_the_algorithm_that_was_asked_for(
    on_seaweedfs: Config, opened: Open, algorithm: Any
) -> None:
    provider = opened(on_seaweedfs(checksum_algorithm=algorithm))
    await provider.write_file("small", b"content")
    await provider.write_file("large", LARGE)
    assert await provider.read_file("small") == b"content"
    assert await provider.read_file("large") == LARGE
    node = await provider.get_node_info("small")
    if algorithm in {"SHA256", "CRC32C"}:
        assert compute(algorithm, b"content") in node.checksums


async def test_md5_goes_as_content_md5(on_faults: Config, opened: Open, faults: FaultServer) -> None:
    provider = opened(on_faults(checksum_algorithm="MD5"))
    await provider.write_file("small", b"content")
    await provider.write_file("large", LARGE)
    bodies = [each for each in faults.requests if each.operation in {"PutObject", "UploadPart"}]
    assert len(bodies) == 3
    for request in bodies:
        assert "content-md5" in request.headers
        assert not any(name.startswith("x-amz-checksum") for name in request.headers)


async def test_a_known_checksum_is_verified_and_sent(scripted: S3Provider, faults: FaultServer) -> None:
    known = compute("SHA256", b"content")
    await scripted.write_file("a", b"content", checksum=known)
    assert faults.requests[-1].headers["x-amz-checksum-sha256"] == known.value
    with pytest.raises(IntegrityError, match="nothing was written"):
        await scripted.write_file("b", b"other", checksum=known)
    assert len(faults.requests) == 1


async def test_what_was_changed_on_its_way_is_not_written(on_seaweedfs: Config, opened: Open) -> None:
    provider = opened(on_seaweedfs())
    content = bytearray(LARGE)

    async def changing() -> AsyncIterator[bytes]:
        yield bytes(content)
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError, match="the source failed"):
        await provider.stream_write("a", changing())
    assert not await provider.exists("a")
    assert (await provider.cleanup()).uploads == ()
    assert [upload async for upload in provider._volume.store.list_uploads()] == []


# Conditions


async def test_a_file_is_created_only_once(provider: S3Provider) -> None:
    first = await provider.write_file("lock", b"1", if_absent=True)
    assert first.metadata == {}
    with pytest.raises(S3PreconditionFailed) as caught:
        await provider.write_file("lock", b"2", if_absent=True)
    error = caught.value
    assert (error.wanted, error.found, error.status) == ("*", first.etag, 412)
    assert first.etag in str(error)
    assert await provider.read_file("lock") == b"1"


async def test_a_file_is_replaced_only_if_it_is_what_was_read(provider: S3Provider) -> None:
    old = await provider.write_file("a", b"old")
    new = await provider.write_file("a", b"new", if_match=old.etag)
    for size in (1, len(LARGE)):
        with pytest.raises(S3PreconditionFailed) as caught:
            await provider.write_file("a", LARGE[:size], if_match=old.etag)
        assert (caught.value.wanted, caught.value.found) == (old.etag, new.etag)
        assert old.etag in str(caught.value)
        assert new.etag in str(caught.value)
    with pytest.raises(S3PreconditionFailed):
        await provider.stream_write("a", pieces(LARGE), if_match=old.etag)
    assert await provider.read_file("a") == b"new"
    assert (await provider.get_node_info("a")).metadata == {}


@pytest.mark.parametrize("size", [1, len(LARGE)])
async def test_a_condition_on_a_file_that_is_gone_does_not_hold(provider: S3Provider, size: int) -> None:
    with pytest.raises(S3PreconditionFailed) as caught:
        await provider.write_file("gone", LARGE[:size], if_match="0" * 32)
    assert (caught.value.wanted, caught.value.found) == ("0" * 32, "")
    assert not await provider.exists("gone")


async def test_of_twenty_writers_exactly_one_wins_each_round(on_faults: Config, opened: Open) -> None:
    await twenty_writers([opened(on_faults()) for _ in range(20)], rounds=5)


async def test_so_they_do_on_a_real_store(on_seaweedfs: Config, opened: Open) -> None:
    await twenty_writers([opened(on_seaweedfs()) for _ in range(4)], rounds=1)


async def twenty_writers(providers: list[S3Provider], rounds: int) -> None:
    async def write(number: int, path: str) -> int | None:
        try:
            await providers[number % len(providers)].write_file(path, b"%d" % number, if_absent=True)
        except S3PreconditionFailed:
            return None
        return number

    for path in map(str, range(rounds)):
        fates = await asyncio.gather(*(write(number, path) for number in range(20)))
        won = [number for number in fates if number is not None]
        assert len(won) == 1
        assert await providers[0].read_file(path) == b"%d" % won[0]


@pytest.mark.parametrize("honoured", [False, None])
async def test_conditions_are_refused_where_the_endpoint_may_ignore_them(
    on_faults: Config,
    opened: Open,
    faults: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
    honoured: bool | None,
) -> None:
    provider = opened(on_faults())
    store = await provider._volume.proved()
    await provider.write_file("there", b"x")
    monkeypatch.setattr(
        store,
        "capabilities",
        replace(store.capabilities, conditional_put=honoured, conditional_delete=honoured),
    )
    with pytest.raises(Unsupported):
        await provider.delete_node("there", if_match="x")
    with pytest.raises(Unsupported):
        await provider.write_file("a", b"", if_absent=True)
    with pytest.raises(Unsupported):
        await provider.update("a", lambda old: old + b"x")
    assert ("bucket", "tenants/7/a") not in faults.objects


async def test_an_own_write_whose_answer_was_lost_is_no_conflict(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await scripted._volume.proved()
    faults.script(Fault("PutObject", key="tenants/7/a", close_without_answer=True, before=True))
    node = await scripted.write_file("a", b"mine", if_absent=True)
    assert node.etag == faults.objects.stored("bucket", "tenants/7/a").etag.strip('"')
    assert [each.operation for each in faults.requests][-2:] == ["PutObject", "HeadObject"]


async def test_the_same_content_of_somebody_else_is_a_conflict(
    scripted: S3Provider, faults: FaultServer
) -> None:
    await scripted._volume.proved()

    def others_first(_: object) -> bool:
        faults.objects["bucket", "tenants/7/a"] = b"same"
        return True

    # The answer to the first attempt is lost, and another writer had written the same before.
    faults.script(
        Fault("PutObject", key="tenants/7/a", where=others_first, close_without_answer=True, before=True)
    )
    with pytest.raises(S3PreconditionFailed):
        await scripted.write_file("a", b"same", if_absent=True)


# Limits and refusals


async def test_files_that_are_too_large_are_refused(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(max_file_size=10))
    await provider.write_file("a", b"0123456789")
    seen = len(faults.requests)
    with pytest.raises(StoreError) as caught:
        await provider.write_file("b", b"0123456789x")
    assert caught.value.code == "EntityTooLarge"
    with pytest.raises(StoreError) as caught:
        await provider.stream_write("b", pieces(b"0123456789x", 1))
    assert caught.value.code == "EntityTooLarge"
    assert len(faults.requests) == seen


async def test_a_stream_that_turns_out_too_large_is_given_up(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(max_file_size=9 * MIB))
    with pytest.raises(StoreError):
        await provider.stream_write("b", pieces(LARGE))
    assert ("bucket", "tenants/7/b") not in faults.objects
    assert faults.uploads == ()


@pytest.mark.parametrize("path", ["", "/", "a/", "a/../b", "a\0", "x" * 1025, "ü" * 512])
async def test_paths_of_no_file_are_refused(scripted: S3Provider, faults: FaultServer, path: str) -> None:
    with pytest.raises(UnsafeName):
        await scripted.write_file(path, b"")
    with pytest.raises(UnsafeName):
        await scripted.stream_write(path, pieces(b"x"))
    assert faults.requests == ()


async def test_text_is_no_content(scripted: S3Provider, faults: FaultServer) -> None:
    with pytest.raises(TypeError, match="encode"):
        await scripted.write_file("a", "text")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError, match="tags"):
        await scripted.write_file("a", b"", tags=["a"])  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError, match="contradict"):
        await scripted.write_file("a", b"", if_absent=True, if_match="x")
    assert faults.requests == ()


async def test_aws_says_that_there_is_nothing_to_match(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted._volume.proved()
    faults.script(
        Fault("PutObject", status=404, body="<Error><Code>NoSuchKey</Code></Error>", attempts="all")
    )
    with pytest.raises(S3PreconditionFailed) as caught:
        await scripted.write_file("a", b"x", if_match="abc")
    error = caught.value
    assert (error.wanted, error.found, error.status, error.key) == ("abc", "", 404, "tenants/7/a")
    assert error.request_id
    assert isinstance(error.__cause__, S3NotFound)


async def test_a_missing_bucket_is_no_failed_condition(scripted: S3Provider, faults: FaultServer) -> None:
    await scripted._volume.proved()
    faults.script(
        Fault("PutObject", status=404, body="<Error><Code>NoSuchBucket</Code></Error>", attempts="all")
    )
    with pytest.raises(S3NotFound) as caught:
        await scripted.write_file("a", b"", if_match="x")
    assert caught.value.code == "NoSuchBucket"


async def test_the_network_is_named_as_the_cause(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(settings={"retries": 2, "retry_base_delay": "1ms"}))
    faults.script(Fault("PutObject", reset_after=0, attempts="all"))
    with pytest.raises(S3NetworkError) as caught:
        await provider.write_file("a", b"x")
    assert caught.value.attempts == 2
    assert provider.metrics.errors == {"S3NetworkError": 1}


async def test_a_cancelled_write_leaves_none_alive(scripted: S3Provider, faults: FaultServer) -> None:
    faults.script(Fault("PutObject", stall=True))
    writing = asyncio.create_task(scripted.write_file("a", b"v1"))
    await faults.wait_for_async(lambda request: request.operation == "PutObject")
    writing.cancel()
    second = asyncio.create_task(scripted.write_file("a", b"v2"))
    faults.release()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await second
    await faults.settle_async()
    assert faults.objects["bucket", "tenants/7/a"] == b"v2"


async def test_no_customer_key_over_plain_http_to_others(opened: Open, on_faults: Config) -> None:
    key = Encryption("SSE-C", customer_key=Secret(b"k" * 32))
    provider = opened(on_faults(endpoint_url="http://example.invalid", encryption=key))
    with pytest.raises(ConfigError, match="http"):
        await provider.write_file("a", b"x")
