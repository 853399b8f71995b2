"""The real stack, from the store down to the socket, in front of a server that misbehaves as told."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.config import resolve
from haulyard.pacing import backoff
from haulyard.s3 import reading
from haulyard.stores import s3
from haulyard.stores.assemble import Connection
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from haulyard.stores.s3 import S3Store

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "5ec3e7key"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(name): the row of tests/faults/rows.py that a test is about")


@dataclass
class Stack:
    """A bucket, with everything below it, what it told of itself, and the server at its other end."""

    store: S3Store
    connection: Connection
    server: FaultServer
    events: list[Any] = field(default_factory=list)

    @property
    def operations(self) -> list[str]:
        """What the server was asked for, in order."""
        return [request.operation for request in self.server.requests]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "THROTTLING_BASE", 0.001)
    for room in (reading, s3):
        monkeypatch.setattr(room, "_BASE_DELAY", 0.001)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(minimum_part_size=1) as server:
        yield server


@pytest.fixture
async def connect(server: FaultServer, tmp_path: Path) -> AsyncIterator[Callable[..., Stack]]:
    """Makes stacks in front of `server`; settings by name (None for unset), the environment in capitals."""
    async with AsyncExitStack() as connections:

        def make(**given: Any) -> Stack:
            environ = KEYS | {name: value for name, value in given.items() if name.isupper()}
            settings = {"endpoint_url": server.url, "region": "us-east-1", "retry_base_delay": 0.001}
            settings |= {name: value for name, value in given.items() if not name.isupper()}
            settings = {name: value for name, value in settings.items() if value is not None}
            events: list[Any] = []
            connection = Connection(resolve(settings, environ, str(tmp_path)), events.append)
            connections.push_async_callback(connection.close)
            return Stack(connection.bucket("bucket"), connection, server, events)

        yield make
        server.release()


@pytest.fixture
def stack(connect: Callable[..., Stack]) -> Stack:
    return connect()
