"""The program that kills itself, and buckets for it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tests.crash.jobs.buckets import QuickBucket, RealBucket
from tests.crash.jobs.program import Driver, Haul
from tests.e2e.conftest import bare_environment

from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.crash.jobs.buckets import Bucket


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as driver:
        yield driver


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def quick(server: FaultServer) -> QuickBucket:
    """A bucket that answers within a millisecond."""
    return QuickBucket(server)


@pytest.fixture
def make_real(seaweedfs: Server) -> Iterator[Callable[[bool], RealBucket]]:
    """Makes buckets of the embedded store, versioned or not."""
    client: Any = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint_url,
        region_name=seaweedfs.region,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
    )
    with closing(client):
        yield lambda is_versioned: RealBucket(client, seaweedfs, is_versioned=is_versioned)


@pytest.fixture
def make_haul(driver: Driver, tmp_path: Path) -> Callable[[Bucket], Haul]:
    """Makes the program with a bucket's endpoint."""

    def make(bucket: Bucket) -> Haul:
        cwd = tmp_path / "cwd"
        cwd.mkdir()
        environ = {
            **bare_environment(tmp_path),
            **bucket.environ,
            "HAUL_STATE_DIR": str(tmp_path / "state"),
            # A copy of two parts needs no more.
            "HAUL_PART_SIZE": "5MiB",
        }
        return Haul(driver, cwd, environ)

    return make
