from __future__ import annotations

import asyncio
import socket
import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from pyreqwest import exceptions as wire

from haulyard.errors import TransportError
from haulyard.http.failures import translate
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

SECRET = "X-Amz-Signature=5ec3e7&X-Amz-Security-Token=70ce9"
SIGNED = {"authorization": "70p5ec"}


async def failure(asking: Any, origin: str, method: str = "GET", body: object = None) -> TransportError:
    """Ask something with a secret in its query, and return why it failed, once it is sure to keep it."""
    with pytest.raises(TransportError) as raised:
        await asking.client.send(method, origin, "/bucket/key", SECRET, SIGNED, body)
    error = raised.value
    said = "".join(traceback.format_exception(error)) + repr(error) + error.hint
    assert not any(secret in said for secret in ("5ec3e7", "70ce9", "70p5ec"))
    assert str(error)
    assert error.hint
    return error


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(reset_after=0), "reset"),
        (Fault(close_without_answer=True), "reset"),
        (Fault(before=True, close_without_answer=True), "reset"),
        (Fault(truncate=3, body="whole", headers={"content-length": "5"}), "body"),
        (Fault(reset_after=3, body="whole"), "reset"),
    ],
    ids=["reset", "closed", "closed after the deed", "cut", "reset in the body"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_no_answer_never_proves_that_nothing_was_done(
    asking: Any, server: FaultServer, fault: Fault, kind: str, method: str
) -> None:
    server.script(fault)
    error = await failure(asking, server.url, method, b"content")
    assert (error.kind, error.sent) == (kind, True)


async def test_a_refused_connection_proves_that_nothing_was_done(asking: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = await failure(asking, f"http://127.0.0.1:{port}", "PUT", b"content")
    assert (error.kind, error.sent) == ("connect", False)


async def test_a_host_without_an_address_proves_that_nothing_was_done(asking: Any) -> None:
    error = await failure(asking, "http://store.invalid", "PUT", b"content")
    assert (error.kind, error.sent) == ("dns", False)


@pytest.fixture
def deaf() -> Iterator[str]:
    """A host whose queue of connections is full, so that further ones get no answer at all."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_host_that_does_not_take_connections_proves_that_nothing_was_done(
    connect: Any, deaf: str, scheme: str
) -> None:
    asking = connect(connect_timeout=0.1)
    error = await failure(asking, f"{scheme}://{deaf}", "PUT", b"content")
    assert (error.kind, error.sent) == ("connect", False)


async def test_something_else_than_http_is_no_store(asking: Any) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-whatever\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        error = await failure(asking, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert (error.kind, error.sent) == ("connect", True)


@pytest.mark.parametrize(
    ("error", "message", "kind", "sent"),
    [
        (
            wire.RequestError("for url (https://store/key?5ec3e7)", {"causes": None}),
            "RequestError",
            "reset",
            True,
        ),
        (wire.RequestError("client closed", {"causes": []}), "client closed", "reset", True),
        (
            wire.ReadError("x", {"causes": [{"message": "for https://store/?5ec3e7"}, {"message": "reset"}]}),
            "reset",
            "reset",
            True,
        ),
        (
            wire.ConnectError(
                "x", {"causes": [{"message": "client error (Connect)"}, {"message": "whatever"}]}
            ),
            "whatever",
            "connect",
            False,
        ),
        (
            wire.ConnectTimeoutError(
                "x", {"causes": [{"message": "client error (Connect)"}, {"message": "operation timed out"}]}
            ),
            "operation timed out",
            "connect",
            False,
        ),
        (wire.BuilderError("no such scheme", {"causes": None}), "no such scheme", "request", False),
        (wire.BuilderError("https://store/?5ec3e7", {"causes": None}), "BuilderError", "request", False),
        (ValueError("Invalid header value: 5ec3e7"), "Invalid header value", "request", False),
    ],
)
async def test_what_is_said_comes_from_the_innermost_cause_without_a_url(
    error: Exception, message: str, kind: str, *, sent: bool
) -> None:
    translated = translate(error)
    assert (str(translated), translated.kind, translated.sent) == (message, kind, sent)
