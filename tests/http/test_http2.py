"""HTTP/2 where the server offers it, HTTP/1.1 everywhere else, and the same promises over both."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from tests.http.bodies import Source

from haulyard.errors import TransportError
from haulyard.http import HttpClient, HttpConfig
from haulyard.http import client as client_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate"),
]

#: More than the windows of HTTP/2 and the socket buffers hold, so that the server never has all of it.
PIECE, PIECES = 1_000_000, 32


@dataclass(frozen=True)
class Pair:
    """A self-signed certificate for localhost, which is its own authority, and its key."""

    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    assert OPENSSL is not None
    pair = Pair(*(tmp_path_factory.mktemp("pair") / name for name in ("certificate.pem", "key.pem")))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    names = ("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE")
    files = ("-keyout", f"{pair.key}", "-out", f"{pair.certificate}", "-subj", "/CN=localhost")
    subprocess.run([OPENSSL, "req", "-x509", *curve, *names, *files], check=True, capture_output=True)
    return pair


@dataclass
class Api:
    """An application that answers everything, and what it has seen."""

    origin: str = ""
    versions: set[str] = field(default_factory=set)
    peers: set[int] = field(default_factory=set)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] == "lifespan":
            return
        self.versions.add(scope["http_version"])
        self.peers.add(scope["client"][1])
        self.arrived.set()
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        else:
            self.left.set()
            return
        self.bodies.append((scope["path"], body))
        if scope["path"] == "/held":
            await self.released.wait()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(pair: Pair | None, *protocols: str) -> AsyncIterator[Api]:
    """Serve an `Api` that offers these protocols over TLS, or plain HTTP without a pair."""
    api = Api()
    ended = asyncio.Event()
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.tests")
    config.alpn_protocols = list(protocols)
    config.graceful_timeout = 0.0
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config.bind = [f"fd://{listener.detach()}"]
    if pair is not None:
        config.certfile, config.keyfile = f"{pair.certificate}", f"{pair.key}"
    serving = asyncio.create_task(serve(api, config, shutdown_trigger=ended.wait))
    api.origin = f"{'http' if pair is None else 'https'}://localhost:{port}"
    try:
        yield api
    finally:
        api.released.set()
        ended.set()
        await serving


def client(pair: Pair, **config: Any) -> HttpClient:
    return HttpClient(HttpConfig(ca_bundle=f"{pair.certificate}", **{"http2": True} | config))


async def post(client: HttpClient, origin: str, path: str = "/calls", body: Any = b"{}") -> bytes:
    return await (await client.send("POST", origin, path, "", {}, body)).read()


async def test_a_server_that_offers_http_2_gets_all_calls_over_one_connection(pair: Pair) -> None:
    async with serving(pair, "h2", "http/1.1") as api, client(pair) as sender:
        await post(sender, api.origin)
        answers = await asyncio.gather(*(post(sender, api.origin, body=b"%d" % n) for n in range(50)))
    assert answers == [b"%d" % number for number in range(50)]
    assert (api.versions, len(api.peers)) == ({"2"}, 1)


async def test_a_server_that_offers_http_1_alone_is_spoken_to_in_it(pair: Pair) -> None:
    async with serving(pair, "http/1.1") as api, client(pair) as sender:
        assert await post(sender, api.origin) == b"{}"
    assert api.versions == {"1.1"}


async def test_plain_http_stays_http_1(pair: Pair) -> None:
    async with serving(None, "h2", "http/1.1") as api, client(pair) as sender:
        assert await post(sender, api.origin) == b"{}"
    assert api.versions == {"1.1"}


async def test_http_2_is_spoken_only_where_it_is_asked_for(pair: Pair) -> None:
    async with serving(pair, "h2", "http/1.1") as api, HttpClient(HttpConfig(verify=False)) as sender:
        assert await post(sender, api.origin) == b"{}"
    assert api.versions == {"1.1"}


async def test_bodies_arrive_whole_streamed_or_not(pair: Pair) -> None:
    large = bytes(range(256)) * 8_000
    async with serving(pair, "h2") as api, client(pair) as sender:
        assert await post(sender, api.origin, body=Source(large)) == large
        assert await post(sender, api.origin, body=large) == large
        assert await post(sender, api.origin, body=b"") == b""
    assert api.versions == {"2"}


async def test_a_write_of_the_same_path_waits_for_one_that_was_given_up(pair: Pair) -> None:
    async with serving(pair, "h2") as api, client(pair, settle_timeout=0.01) as sender:
        first = asyncio.create_task(post(sender, api.origin, "/held", b"v1"))
        await api.arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(post(sender, api.origin, "/held", b"v2"))
        await post(sender, api.origin, "/other")
        assert not second.done()
        api.released.set()
        assert await second == b"v2"
    assert [body for path, body in api.bodies if path == "/held"] == [b"v1", b"v2"]


async def test_an_abandoned_stream_never_reaches_the_server_whole(pair: Pair) -> None:
    async with serving(pair, "h2") as api, client(pair) as sender:
        write = asyncio.create_task(post(sender, api.origin, "/large", Source(*[bytes(PIECE)] * PIECES)))
        await api.arrived.wait()
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        await api.left.wait()
        assert await post(sender, api.origin) == b"{}"
    assert [path for path, _ in api.bodies] == ["/calls"]


class Relay:
    """Passes bytes on to a port, until it is told to forget the connections that it has."""

    def __init__(self, target: int) -> None:
        self.connections = 0
        self._target = target
        self._passing: set[asyncio.Task[None]] = set()
        self._writers: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.append((writer, back))
        self._passing |= {asyncio.create_task(_pass(reader, back)), asyncio.create_task(_pass(there, writer))}

    async def silence(self) -> None:
        """Lose what comes from now on, as a firewall does that forgot a connection; the server's is gone."""
        passing, self._passing = self._passing, set()
        for task in passing:
            task.cancel()
        await asyncio.wait(passing)
        for _, back in self._writers:
            back.transport.abort()

    async def end(self) -> None:
        await self.silence()
        for writer, _ in self._writers:
            writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def relayed(target: int) -> AsyncIterator[tuple[Relay, int]]:
    relay = Relay(target)
    async with await asyncio.start_server(relay.accept, "127.0.0.1", 0) as server:
        yield relay, server.sockets[0].getsockname()[1]
        await relay.end()


async def test_a_connection_that_went_silent_is_given_up_and_replaced(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PING", 0.1)
    async with serving(pair, "h2") as api, relayed(int(api.origin.rpartition(":")[2])) as (relay, port):
        origin = f"https://localhost:{port}"
        async with client(pair) as sender:
            await post(sender, origin)
            await relay.silence()
            with pytest.raises(TransportError) as lost:
                await post(sender, origin)
            assert await post(sender, origin) == b"{}"
    assert (lost.value.kind, lost.value.sent) == ("timeout", True)
    assert relay.connections == 2
