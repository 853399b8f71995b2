"""A filesystem on each of the servers, with a bucket of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from haulyard.fs import HaulFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server


def options_of(server: Server) -> dict[str, Any]:
    """Return the options that lead to a server."""
    return {
        "endpoint_url": server.endpoint_url,
        "key": server.access_key,
        "secret": server.secret_key,
        "region": server.region,
    }


@pytest.fixture(scope="session")
def options(seaweedfs: Server) -> dict[str, Any]:
    return options_of(seaweedfs)


@pytest.fixture(scope="session")
def moto_options(moto: Server) -> dict[str, Any]:
    return options_of(moto)


@pytest.fixture
def fs(options: dict[str, Any]) -> HaulFileSystem:
    return HaulFileSystem(**options)


@pytest.fixture
def place(fs: HaulFileSystem, bucket_name: Callable[[], str]) -> str:
    """A directory of the test's own: a bucket for each test takes longer than most of them."""
    if not fs.exists("fsspec"):
        fs.mkdir("fsspec")
    return f"fsspec/{bucket_name()}"


@pytest.fixture
def bucket(fs: HaulFileSystem, bucket_name: Callable[[], str]) -> str:
    """A bucket of the test's own, for what concerns all of it."""
    name = bucket_name()
    fs.mkdir(name)
    return name


@pytest.fixture
def versioned(moto: Server) -> Callable[[str], None]:
    """Switches the versions of a bucket on."""

    def switch_on(bucket: str) -> None:
        session = botocore.session.Session()
        client = session.create_client(
            "s3",
            endpoint_url=moto.endpoint_url,
            aws_access_key_id=moto.access_key,
            aws_secret_access_key=moto.secret_key,
            region_name=moto.region,
        )
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    return switch_on
