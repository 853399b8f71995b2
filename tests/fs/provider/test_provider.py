"""The configuration, the numbers, and the names of the room."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import haulyard.fs
from haulyard.errors import ConfigError, HaulError, NotFound
from haulyard.fs import CacheStats, ClientSideEncryption, S3Provider, S3ProviderConfig
from haulyard.models import Encryption, Secret
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

pytestmark = pytest.mark.anyio


def test_a_configuration_shows_no_secret() -> None:
    config = S3ProviderConfig(
        "demo",
        access_key="AKIA",
        secret_key="s3cret",
        session_token="t0ken",
        encryption=Encryption("SSE-C", customer_key=Secret(b"customer-key-customer-key-customer")),
        client_side_encryption=ClientSideEncryption(wrapping_key=Secret(b"w" * 32)),
    )
    for secret in ("AKIA", "s3cret", "t0ken", "customer-key", "wwww"):
        assert secret not in repr(config)


@pytest.mark.parametrize(
    "given",
    [
        {"bucket": ""},
        {"prefix": "../up"},
        {"prefix": "a//b"},
        {"part_size": 1024},
        {"part_size": 0},
        {"multipart_threshold": 0},
        {"multipart_threshold": 6 * 1024**3},
        {"concurrency": 0},
        {"file_concurrency": 0},
        {"cache_size": -1},
        {"cache_ttl": -0.1},
        {"max_file_size": -1},
        {"checksum_algorithm": "ROT13"},
        {"metadata": {"a": 1}},
        {"tags": ["a"]},
        {"settings": {"concurrency": 1}},
    ],
)
def test_values_that_make_no_sense_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        S3ProviderConfig(**({"bucket": "demo"} | given))
    assert caught.value.hint or "room" in str(caught.value)


def test_settings_of_the_client_are_handed_on() -> None:
    provider = S3Provider(
        S3ProviderConfig(
            "demo", region="eu-west-1", accelerate=True, settings={"retries": 3, "bwlimit": "1MiB"}
        )
    )
    settings = provider._volume.session.settings
    assert (settings.region, settings.accelerate, settings.retries, settings.bwlimit) == (
        "eu-west-1",
        True,
        3,
        1024 * 1024,
    )
    with pytest.raises(TypeError):
        S3Provider(S3ProviderConfig("demo", settings={"nonsense": 1}))
    with pytest.raises(ConfigError):
        S3Provider(S3ProviderConfig("demo", access_key="alone"))


async def test_acceleration_is_another_host(opened: Open) -> None:
    config = S3ProviderConfig("demo", access_key="k", secret_key="s", region="eu-west-1", accelerate=True)
    provider = opened(config)
    address = provider._volume.session.connection().signer.address("demo")
    assert "demo.s3-accelerate.amazonaws.com" in str(address)


async def test_numbers_of_what_was_done(on_faults: Config, opened: Open, faults: FaultServer) -> None:
    events: list[Any] = []
    provider = opened(on_faults(), on_event=events.append)
    assert provider.metrics.cache == CacheStats()
    faults.script(Fault("PutObject", status=503))
    await provider.write_file("a", b"12345")
    await provider.read_file("a")
    with pytest.raises(NotFound) as caught:
        await provider.read_file("b")
    await provider.get_node_info("a")
    await provider.get_node_info("a")
    found = provider.metrics
    assert {name: each.calls for name, each in found.operations.items()} == {
        "get_node_info": 2,
        "read_file": 2,
        "write_file": 1,
    }
    assert found.operations["read_file"].errors == 1
    assert found.errors == {"S3NotFound": 1}
    assert 0 < found.operations["read_file"].p50 <= found.operations["read_file"].p99
    assert found.requests["GetObject"][:2] == (2, 1)
    (failed,) = found.failed
    assert (failed.operation, failed.key, failed.status, failed.code) == (
        "GetObject",
        "tenants/7/b",
        404,
        "NoSuchKey",
    )
    assert failed.request_id == caught.value.request_id != ""  # type: ignore[attr-defined]  # an S3Error
    assert (found.retries, found.throttled) == (1, 1)
    assert (found.bytes_sent, found.bytes_received) == (5, 5 + found.bytes_received - 5)
    assert (found.cache.hits, found.cache.misses) == (1, 1)
    assert events


async def test_a_provider_that_is_closed_says_so(scripted: S3Provider) -> None:
    await scripted.write_file("a", b"x")
    await scripted.close()
    await scripted.close()
    with pytest.raises(HaulError, match="closed"):
        await scripted.read_file("a")


def test_every_name_is_there() -> None:
    for name in haulyard.fs.__all__:
        assert getattr(haulyard.fs, name).__module__.startswith("haulyard.fs")
    assert dir(haulyard.fs) == haulyard.fs.__all__
    with pytest.raises(AttributeError):
        haulyard.fs.nothing  # type: ignore[attr-defined]  # noqa: B018 -- the mistake


def test_nothing_is_loaded_that_is_not_used() -> None:
    script = "import sys, haulyard.fs.provider; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"fsspec", "cryptography", "haulyard.jobs.async_job", "botocore", "pandas"}


# Client-side encryption


async def test_what_is_sealed_is_read_in_every_way(on_seaweedfs: Config, opened: Open) -> None:
    sealing = ClientSideEncryption(wrapping_key=Secret(b"w" * 32))
    provider = opened(on_seaweedfs(client_side_encryption=sealing))
    content = bytes(range(256)) * 40_000
    node = await provider.write_file("a.bin", content, metadata={"own": "1"})
    assert (node.size, node.metadata) == (len(content), {"own": "1"})

    async def pieces() -> Any:
        for start in range(0, len(content), 1_000_000):
            yield content[start : start + 1_000_000]

    assert (await provider.stream_write("b.bin", pieces())).size == len(content)
    for path in ("a.bin", "b.bin"):
        assert await provider.read_file(path) == content
        assert await provider.read_file(path, range=(5, 300)) == content[5:300]
        assert await provider.read_file(path, range=(-7, None)) == content[-7:]
        assert b"".join([each async for each in provider.stream_read(path, chunk_size=999)]) == content
        assert (await provider.get_node_info(path)).size == len(content)
    assert [each.size for each in await provider.list_directory()] == [len(content)] * 2
    await provider.set_metadata("a.bin", {"new": "2"})
    assert await provider.get_metadata("a.bin") == {"new": "2"}
    await provider.copy_node("a.bin", "c/copy")
    await provider.move_node("c", "d")
    assert await provider.read_file("d/copy") == content
    await provider.update("counter", lambda old: old + b"x", missing=b"")
    await provider.update("counter", lambda old: old + b"x")
    (read,) = await provider.batch_read(["counter"])
    assert read.unwrap() == b"xx"
    other = ClientSideEncryption(wrapping_key=Secret(b"v" * 32))
    with pytest.raises(HaulError, match="is not decrypted"):
        await opened(on_seaweedfs(client_side_encryption=other)).read_file("a.bin")
    assert content[:100] not in await opened(on_seaweedfs()).read_file("a.bin")
