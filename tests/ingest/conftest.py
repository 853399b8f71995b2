"""What tests of tables share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.ingest.premises import Premises
from tests.ingest.shelf import Shelf

from haulyard import AsyncClient
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def premises(tmp_path: Path) -> Premises:
    return Premises(tmp_path)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
async def shelf(server: FaultServer, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Files in the bucket of a scripted server."""
    events: list[Any] = []
    async with AsyncClient(
        endpoint_url=server.url,
        region="us-east-1",
        access_key="key",
        secret_key="secret",
        state_dir=str(tmp_path / "state"),
        retry_base_delay="1ms",
        on_event=events.append,
    ) as client:
        yield Shelf(server, client, events)
