from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from typing import Any

import pytest
from tests.http.bodies import Source

from haulyard.errors import TransportError, UnsafeName
from haulyard.http import HttpClient
from haulyard.testing.faults import Fault, FaultServer

pytestmark = pytest.mark.anyio


# What is stored is what arrives


async def test_a_compressed_object_arrives_as_it_is_stored(asking: Any, server: FaultServer) -> None:
    stored = gzip.compress(b"x" * 500)
    await asking.whole("PUT", "/bucket/key", stored, content_encoding="gzip")
    async with await asking.send("GET", "/bucket/key") as response:
        assert await response.read() == stored
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["content-length"] == str(len(stored))
    assert "accept-encoding" not in server.requests[-1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_redirect_is_an_answer_and_never_followed(
    asking: Any, server: FaultServer, status: int, method: str
) -> None:
    with FaultServer() as foreign:
        server.script(Fault(redirect=(status, foreign.url + "/bucket/key", {})))
        answered, _ = await asking.whole(method, "/bucket/key", b"content")
        assert answered == status
        assert not foreign.requests
    assert len(server.requests) == 1


# What is sent is what was asked for


@pytest.mark.parametrize(
    "path",
    [
        "/bucket/a//b",
        "/bucket//a/",
        "/bucket/a%2F..%2Fb",
        "/bucket/a%2F.%2Fb",
        "/bucket/%C3%A4%20%27%22%25",
        "/bucket/a'b|c",
        "/bucket/..a/.b/c..",
        "/bucket/%00",
    ],
)
async def test_a_path_arrives_as_it_was_signed(asking: Any, server: FaultServer, path: str) -> None:
    await asking.whole("DELETE", path)
    assert server.requests[-1].path == path


@pytest.mark.parametrize(
    "path",
    [
        "/bucket/../other/key",
        "/bucket/%2E%2E/other/key",
        "/bucket/%2e%2E",
        "/bucket/./key",
        "/bucket/a/..",
        "/bucket/a b",
        "/bucket/a\\b",
        "/bucket/a#b",
        "/bucket/ä",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_path_that_would_change_on_the_way_is_refused(
    asking: Any, server: FaultServer, method: str, path: str
) -> None:
    with pytest.raises(UnsafeName) as refused:
        await asking.send(method, path)
    assert path in str(refused.value).replace("\\\\", "\\")
    assert not server.requests


async def test_a_query_arrives_as_it_was_signed_or_not_at_all(asking: Any, server: FaultServer) -> None:
    query = "list-type=2&prefix=a%2Fb%20%27%C3%A4&empty="
    await asking.whole("GET", "/bucket", query=query)
    assert server.requests[-1].query == query
    with pytest.raises(UnsafeName) as refused:
        await asking.send("GET", "/bucket", query="X-Amz-Signature=5ec3e7#")
    assert "5ec3e7" not in str(refused.value)
    assert len(server.requests) == 1


async def test_headers_that_are_not_ascii_go_out_as_utf_8(asking: Any, server: FaultServer) -> None:
    await asking.whole("PUT", "/bucket/key", b"", x_amz_meta_a="ä日")
    assert server.requests[0].headers["x-amz-meta-a"].encode("latin-1").decode() == "ä日"


@pytest.mark.parametrize("headers", [{"x-secret": "5ec\nret: 1"}, {"x-secret": "5ec\0"}, {"5ec ret": "a"}])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_header_that_would_smuggle_another_one_is_refused_without_repeating_its_value(
    asking: Any, server: FaultServer, method: str, headers: dict[str, str]
) -> None:
    with pytest.raises(TransportError) as refused:
        await asking.send(method, "/bucket/key", **headers)
    assert (refused.value.kind, refused.value.sent) == ("request", False)
    assert "5ec" not in str(refused.value)
    assert not server.requests


@pytest.mark.parametrize("origin", ["ftp://store.invalid", "http://127.0.0.1:99999", "http://sto re"])
async def test_an_endpoint_that_is_none_is_refused(asking: Any, origin: str) -> None:
    with pytest.raises(TransportError) as refused:
        await asking.client.send("GET", origin, "/bucket/key", "", {})
    assert (refused.value.kind, refused.value.sent) == ("request", False)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("body", [None, b"", Source()], ids=["none", "bytes", "stream"])
async def test_an_empty_body_is_announced_as_empty(
    asking: Any, server: FaultServer, method: str, body: object
) -> None:
    await asking.whole(method, "/bucket/key", body, query="uploads" if method == "POST" else "")
    assert server.requests[0].headers["content-length"] == "0"
    assert "transfer-encoding" not in server.requests[0].headers


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"a" * 1000, id="bytes"),
        pytest.param(bytearray(b"a" * 1000), id="bytearray"),
        pytest.param(memoryview(b"a" * 1000)[10:], id="view"),
        pytest.param(b"a" * 1_000_000, id="many-bytes"),
        pytest.param(memoryview(b"ab" * 500_000)[1:], id="large-view"),
        pytest.param(Source(b"a" * 70_000, b"", b"b" * 70_000), id="stream"),
        pytest.param(Source(b"a" * 1_000_000, b"b"), id="large-stream"),
        pytest.param(Source(b"", b"a", b""), id="tiny-stream"),
    ],
)
async def test_a_body_is_sent_with_its_length(asking: Any, server: FaultServer, body: Any) -> None:
    expected = body.content if isinstance(body, Source) else bytes(body)
    status, _ = await asking.whole("PUT", "/bucket/key", body)
    assert status == 200
    assert server.objects["bucket", "key"] == expected
    assert server.requests[0].headers["content-length"] == str(len(expected))
    assert "transfer-encoding" not in server.requests[0].headers


async def test_reads_carry_no_body(asking: Any, server: FaultServer) -> None:
    await asking.whole("GET", "/bucket/key", b"content")
    assert "content-length" not in server.requests[0].headers


# Connections


async def test_connections_are_kept_for_reads_and_small_writes_alike(
    asking: Any, server: FaultServer
) -> None:
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        await asking.whole(method, "/bucket/key", b"content")
    assert {request.connection for request in server.requests} == {1}


async def test_a_connection_that_was_idle_for_too_long_is_not_used_again(
    connect: Any, server: FaultServer
) -> None:
    asking = connect(idle_timeout=0.000_001)
    await asking.whole("GET", "/bucket/key")
    await asking.whole("GET", "/bucket/key")
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_kept_connection_that_the_server_has_closed_is_a_lost_request(
    asking: Any, server: FaultServer, method: str
) -> None:
    await asking.whole(method, "/bucket/key", b"v1")
    server.script(Fault(stale=True))
    with pytest.raises(TransportError) as lost:
        await asking.send(method, "/bucket/key", b"v2")
    assert (lost.value.kind, lost.value.sent) == ("reset", True)
    await asking.whole(method, "/bucket/key", b"v3")
    assert [request.connection for request in server.requests] == [1, 1, 2]


async def test_an_answer_that_is_given_up_leaves_room_for_the_next(asking: Any, server: FaultServer) -> None:
    server.objects["bucket", "key"] = b"x" * 10_000_000
    for _ in range(3):
        async with await asking.send("GET", "/bucket/key") as response:
            assert response.status == 200
    assert await asking.whole("GET", "/bucket/none")


async def test_an_unanswered_read_that_was_cancelled_disturbs_nobody(
    connect: Any, server: FaultServer
) -> None:
    asking = connect()
    server.script(Fault("GetObject", key="slow", stall=True))
    reading = asyncio.ensure_future(asking.send("GET", "/bucket/slow"))
    await server.wait_for_async(lambda request: request.key == "slow")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await asking.whole("PUT", "/bucket/slow", b"content"))[0] == 200
    async with asyncio.timeout(2):
        await asking.client.close()


# Timeouts


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("PUT", b"small"), ("PUT", b"a" * 1_000_000), ("PUT", Source(b"a" * 1_000_000))],
    ids=["read", "small", "bytes", "stream"],
)
async def test_a_server_that_is_silent_for_too_long_is_given_up(
    connect: Any, server: FaultServer, method: str, body: object
) -> None:
    asking = connect(read_timeout=0.1, slowest_upload=1e9)
    server.script(Fault(stall=True))
    with pytest.raises(TransportError) as silent:
        await asking.send(method, "/bucket/key", body)
    assert (silent.value.kind, silent.value.sent) == ("timeout", True)


async def test_a_body_that_pauses_for_too_long_is_given_up(connect: Any, server: FaultServer) -> None:
    asking = connect(read_timeout=0.5)
    server.objects["bucket", "key"] = b"x" * 1_000_000
    server.script(Fault("GetObject", stall_after=100_000))
    response = await asking.send("GET", "/bucket/key")
    with pytest.raises(TransportError) as silent:
        await response.read()
    assert silent.value.kind == "timeout"


async def test_a_small_write_may_take_long_as_long_as_its_answer_comes(connect: Any) -> None:
    """A store that assembles 10,000 parts sends blanks meanwhile; one that copies 5 GiB likewise."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
        for byte in (*[b" "] * 8, b"!"):
            # Time that passes is the very thing: together longer than the client bears silence.
            await asyncio.sleep(0.2)
            writer.write(byte)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        client = connect(read_timeout=1.6).client
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        response = await client.send("POST", origin, "/bucket/key", "uploadId=1", {}, b"")
        assert await response.read() == b"        !"


async def test_a_small_write_is_bounded_all_the_same(connect: Any, server: FaultServer) -> None:
    asking = connect(work_timeout=0.1)
    server.script(Fault(stall=True))
    with pytest.raises(TransportError) as silent:
        await asking.send("POST", "/bucket/key", b"", query="uploads")
    assert silent.value.kind == "timeout"


# The end


async def test_closing_twice_is_harmless(server: FaultServer) -> None:
    async with HttpClient() as client:
        await (await client.send("GET", server.url, "/bucket/key", "", {"authorization": "x"})).read()
    await client.close()


def test_a_client_closed_before_its_loop_ends_leaves_nothing_behind(server: FaultServer) -> None:
    """Held in a process of its own, for what an interpreter says at its end goes to its own stderr."""
    program = f"""
import asyncio
from haulyard.http import HttpClient

async def main():
    signed = {{"authorization": "x"}}
    async with HttpClient() as client:
        for body in (b"small", b"x" * 1_000_000):
            answer = await client.send("PUT", {server.url!r}, "/bucket/key", "", signed, body)
            assert answer.status == 200
            await answer.read()

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
