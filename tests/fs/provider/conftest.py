"""Providers of a prefix of a bucket that no other test uses, on real servers and on one that misbehaves."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient
from haulyard.fs import S3Provider, S3ProviderConfig
from haulyard.pacing import backoff
from haulyard.s3 import reading
from haulyard.stores import s3
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server

    Config = Callable[..., S3ProviderConfig]
    Open = Callable[..., S3Provider]

PREFIX = "tenants/7/"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "THROTTLING_BASE", 0.001)
    for room in (reading, s3):
        monkeypatch.setattr(room, "_BASE_DELAY", 0.001)


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What endpoints can do is found out once for all tests."""
    return str(tmp_path_factory.mktemp("fs-state"))


@pytest.fixture
def config_on(bucket_name: Callable[[], str], state_dir: str, tmp_path: Path) -> Callable[[Server], Config]:
    """Makes configurations of one new bucket on a server."""

    def on(server: Server) -> Config:
        bucket = bucket_name()

        def config(**given: Any) -> S3ProviderConfig:
            settings: dict[str, Any] = {
                "endpoint_url": server.endpoint_url,
                "access_key": server.access_key,
                "secret_key": server.secret_key,
                "region": server.region,
                "state_dir": state_dir,
                "job_dir": str(tmp_path / "jobs"),
                "prefix": PREFIX,
            }
            return S3ProviderConfig(bucket, **(settings | given))

        return config

    return on


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Makes providers, which are closed at the end."""
    async with AsyncExitStack() as providers:

        def open_it(config: S3ProviderConfig, **given: Any) -> S3Provider:
            provider = S3Provider(config, **given)
            providers.push_async_callback(provider.close)
            return provider

        yield open_it


async def made(config: Config) -> Config:
    """Make the bucket of a configuration."""
    async with AsyncClient(**config().client_options()) as client:
        await client.make_bucket(config().bucket)
    return config


@pytest.fixture
async def on_seaweedfs(config_on: Callable[[Server], Config], seaweedfs: Server) -> Config:
    return await made(config_on(seaweedfs))


@pytest.fixture
async def on_moto(config_on: Callable[[Server], Config], moto: Server) -> Config:
    return await made(config_on(moto))


@pytest.fixture
def provider(on_seaweedfs: Config, opened: Open) -> S3Provider:
    return opened(on_seaweedfs())


@pytest.fixture
def faults() -> Iterator[FaultServer]:
    with FaultServer(minimum_part_size=1) as server:
        yield server


@pytest.fixture
def on_faults(faults: FaultServer, tmp_path: Path) -> Config:
    """Configurations of a bucket on the scripted server."""

    def config(**given: Any) -> S3ProviderConfig:
        settings: dict[str, Any] = {
            "endpoint_url": faults.url,
            "access_key": "key",
            "secret_key": "secret",
            "region": "us-east-1",
            "state_dir": str(tmp_path / "state"),
            "job_dir": str(tmp_path / "jobs"),
            "prefix": PREFIX,
            "settings": {"retry_base_delay": "1ms"},
        }
        return S3ProviderConfig("bucket", **(settings | given))

    return config


@pytest.fixture
def scripted(on_faults: Config, opened: Open) -> S3Provider:
    return opened(on_faults())
