"""The programs that kill themselves, and buckets for them."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tests.crash.jobs.buckets import QuickBucket, RealBucket
from tests.crash.spool.program import Driver, Haul
from tests.e2e.conftest import bare_environment

from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server
    from tests.crash.jobs.buckets import Bucket


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as driver:
        yield driver


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose path is short enough for a socket in it."""
    path = Path(tempfile.mkdtemp(prefix="haul-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def haul(driver: Driver, place: Path) -> Haul:
    """The program without a store."""
    return Haul(driver, place, bare_environment(place))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def quick(server: FaultServer) -> QuickBucket:
    """A bucket that answers within a millisecond."""
    return QuickBucket(server)


@pytest.fixture
def make_real(seaweedfs: Server) -> Iterator[Callable[[], RealBucket]]:
    """Makes buckets of the embedded store that keep all versions, so that overwriting would show."""
    client: Any = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint_url,
        region_name=seaweedfs.region,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
    )
    with closing(client):
        yield lambda: RealBucket(client, seaweedfs, is_versioned=True)


@pytest.fixture
def make_haul(driver: Driver, place: Path) -> Callable[[Bucket], Haul]:
    """Makes the program with a bucket's endpoint."""

    def make(bucket: Bucket) -> Haul:
        environ = {
            **bare_environment(place),
            **bucket.environ,
            "HAUL_STATE_DIR": str(place / "state"),
            "HAUL_PART_SIZE": "5MiB",
        }
        return Haul(driver, place, environ)

    return make
