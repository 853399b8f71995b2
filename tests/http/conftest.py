"""A client to try and a server that misbehaves, without the proxies of whoever runs the tests."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.http import HttpClient, HttpConfig
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from haulyard.http import HttpResponse


class Asking:
    """A client, and what it asks of one server."""

    def __init__(self, client: HttpClient, server: FaultServer) -> None:
        self.client = client
        self.server = server

    async def send(
        self, method: str, path: str, body: Any = None, query: str = "", **headers: str
    ) -> HttpResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = {"authorization": "x"} | named
        return await self.client.send(method, self.server.url, path, query, signed, body)

    async def whole(
        self, method: str, path: str, body: Any = None, query: str = "", **headers: str
    ) -> tuple[int, bytes]:
        response = await self.send(method, path, body, query, **headers)
        return response.status, await response.read()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
async def connect(server: FaultServer) -> AsyncIterator[Callable[..., Asking]]:
    """Makes clients of `server`, with the configuration given; all are closed at the end.

    Nothing may be left to the loop's exception handler, which only logs.
    """
    unhandled: deque[dict[str, Any]] = deque()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    clients: list[HttpClient] = []

    def make(**config: Any) -> Asking:
        clients.append(HttpClient(HttpConfig(**config)))
        return Asking(clients[-1], server)

    yield make
    server.release()
    for client in clients:
        await client.close()
    loop.set_exception_handler(None)
    assert not unhandled


@pytest.fixture
def asking(connect: Callable[..., Asking]) -> Asking:
    return connect()
