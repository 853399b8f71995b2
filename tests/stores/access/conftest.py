"""Connections to whatever server a test names, and what they said."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import boto3
import pytest

from haulyard.config import resolve
from haulyard.events import Warned
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.conftest import Server

    from haulyard.events import Event


class Opener:
    """Opens connections, and keeps the events of all of them."""

    def __init__(self, directory: Path) -> None:
        self.events: list[Event] = []
        self.state_dir = directory / "state"

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    def __call__(
        self, url: str, keys: tuple[str, str] = ("key", "secret"), **settings: object
    ) -> AbstractAsyncContextManager[Connection]:
        return self._open(url, keys, settings)

    @asynccontextmanager
    async def _open(
        self, url: str, keys: tuple[str, str], settings: dict[str, object]
    ) -> AsyncIterator[Connection]:
        flags = {
            "endpoint_url": url or None,
            "region": "us-east-1",
            "state_dir": str(self.state_dir),
            **settings,
        }
        resolved = resolve(flags, {"HOME": str(self.state_dir)}, str(self.state_dir))
        async with Connection(resolved, self.events.append, credentials=Credentials(*keys)) as connection:
            yield connection


@pytest.fixture
def connect(tmp_path: Path) -> Opener:
    return Opener(tmp_path)


@pytest.fixture
def keep_versions() -> Callable[[Server, str], None]:
    """Makes a bucket keep versions."""

    def keep(server: Server, bucket: str) -> None:
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
        )
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        client.close()

    return keep
