"""What every test may ask for: the event loop, two S3 servers, and a world without the user's settings.

Each worker of pytest-xdist has servers of its own. Both are attached to it: however it ends, they end.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from haulyard.local import EmbeddedStore
from haulyard.local.launcher import is_alive, launch, terminate
from haulyard.local.weed import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOTO_SECONDS = 60
_IN_MEMORY = "/dev/shm"  # noqa: S108 -- what is in it has a random name of its own

# A machine that is busy with something else makes no example wrong.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@dataclass(frozen=True, slots=True)
class Server:
    """An S3 server for tests: where it is, and a key pair that may do everything."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str


def pytest_sessionstart() -> None:
    """Let tests and the programs they start be interrupted, also where the run itself cannot be.

    A shell that starts something by ``&`` has it ignore SIGINT, which children inherit: tests of Ctrl-C
    would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Tests run on the loop that users get."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, _empty_home: Path) -> None:
    """No test sees, or uses, the credentials and settings of whoever runs it."""
    for name in os.environ:
        if name.startswith(("AWS_", "HAUL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(_empty_home))


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded store: checks signatures and checksums, honours conditions; keeps keys as paths."""
    store = EmbeddedStore(tmp_path_factory.mktemp("seaweedfs"))
    store.start(attached=True)
    try:
        variables = store.environment()
        yield Server(
            endpoint_url=variables["AWS_ENDPOINT_URL_S3"],
            access_key=variables["AWS_ACCESS_KEY_ID"],
            secret_key=variables["AWS_SECRET_ACCESS_KEY"],
            region=variables["AWS_REGION"],
        )
    finally:
        store.stop(grace=0)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """moto: has flat keys, KMS and acceleration; checks neither signatures nor checksums."""
    directory = tmp_path_factory.mktemp("moto")
    port = free_port(random.SystemRandom())
    marker = f"--port={port}"
    launched = launch(
        [sys.executable, "-c", "from moto.server import main; main()", f"--host={HOST}", marker],
        log_file=directory / "log",
        directory=directory,
        # Measuring the coverage of a mock makes it slow and tells nothing.
        environment={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        attached=True,
    )
    try:
        _wait_for_moto(port, launched.pid, marker)
        yield Server(f"http://{HOST}:{port}", access_key="moto", secret_key="moto", region="us-east-1")
    finally:
        terminate(launched.pid, marker, grace=0)
        launched.release()


def _wait_for_moto(port: int, pid: int, marker: str) -> None:
    deadline = time.monotonic() + _MOTO_SECONDS
    while is_alive(pid, marker) and time.monotonic() < deadline:
        with closing(HTTPConnection(HOST, port, timeout=5)) as connection:
            try:
                connection.request("GET", "/moto-api/")
                connection.getresponse()
            except (OSError, HTTPException):
                time.sleep(0.05)
            else:
                return
    pytest.fail("moto did not start")


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one, else on disk: for tests that end processes, not machines.

    A sync costs nothing there.
    """
    if not os.access(_IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY, prefix="haul-test-") as directory:
        yield Path(directory)


@pytest.fixture
def bucket_name() -> Callable[[], str]:
    """Makes names that no other test uses; creating the bucket is the test's."""
    return lambda: f"test-{uuid.uuid4().hex}"
