from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.bodies import Source

from haulyard.errors import SourceChanged
from haulyard.http.sending import WHOLE_LIMIT, Outgoing
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

MEBIBYTE = b"x" * (1 << 20)


@pytest.mark.parametrize(
    ("body", "how"),
    [
        pytest.param(Source(MEBIBYTE, b"more", size=1 << 20), "longer", id="longer"),
        pytest.param(Source(MEBIBYTE, MEBIBYTE, size=1 << 20), "longer", id="twice"),
        pytest.param(Source(b"abc", b"d", size=3), "longer", id="small and longer"),
        pytest.param(Source(MEBIBYTE, size=(1 << 20) + 1), "shorter", id="shorter"),
        pytest.param(Source(size=10), "shorter", id="nothing"),
    ],
)
async def test_a_stream_of_another_length_than_announced_is_no_success(
    asking: Any, server: FaultServer, body: Source, how: str
) -> None:
    """The transport would cut a longer one silently, and the server would answer 200."""
    with pytest.raises(SourceChanged, match=f"{how} than the {body.size} bytes announced"):
        await asking.send("PUT", "/bucket/key", body)
    await server.settle_async()
    assert ("bucket", "key") not in server.objects
    assert body.closed == body.opened == 1


async def test_what_the_source_raises_is_raised(asking: Any, server: FaultServer) -> None:
    unreadable = OSError(5, "Input/output error")
    body = Source(MEBIBYTE, size=2 << 20, failure=unreadable)
    with pytest.raises(OSError, match="Input/output error") as raised:
        await asking.send("PUT", "/bucket/key", body)
    assert raised.value is unreadable
    await server.settle_async()
    assert ("bucket", "key") not in server.objects


async def test_an_answer_that_comes_before_the_body_was_read_is_taken(
    asking: Any, server: FaultServer
) -> None:
    server.script(Fault(status=503, read_request_body=65_536))
    body = Source(*[MEBIBYTE] * 32)
    status, text = await asking.whole("PUT", "/bucket/key", body)
    assert status == 503
    assert b"<Code>SlowDown</Code>" in text


@pytest.mark.parametrize("size", [WHOLE_LIMIT, WHOLE_LIMIT + 1])
async def test_only_large_bodies_are_sent_as_streams(size: int) -> None:
    assert (Outgoing(b"x" * size, None).whole is None) is (size > WHOLE_LIMIT)
    assert (Outgoing(memoryview(b"x" * size), None).whole is None) is (size > WHOLE_LIMIT)


async def test_sources_of_any_size_are_streams_and_so_is_everything_under_a_bandwidth() -> None:
    assert Outgoing(Source(b"x"), None).whole is None
    assert Outgoing(b"x", lambda _: 0.0).whole is None
    assert Outgoing(b"", lambda _: 0.0).whole == b""


async def test_a_stream_can_still_be_stopped_until_its_last_piece_is_asked_for() -> None:
    outgoing = Outgoing(Source(b"a", b"b", b"c"), None)
    pieces = outgoing.stream()
    taken = []
    async for piece in pieces:
        taken.append(bytes(piece))
        assert outgoing.handed_over is (len(taken) == 3)
    assert taken == [b"a", b"b", b"c"]
    padded = Outgoing(Source(b"a", b""), None)
    assert [bytes(piece) async for piece in padded.stream()] == [b"a"]
    nothing = Outgoing(Source(), None)
    assert nothing.handed_over
    assert [piece async for piece in nothing.stream()] == []


@pytest.mark.parametrize("taken", [0, 1])
async def test_an_abandoned_stream_gives_nothing_more(taken: int) -> None:
    body = Source(b"a", b"b")
    outgoing = Outgoing(body, None)
    pieces = outgoing.stream()
    for _ in range(taken):
        await anext(pieces)
    outgoing.abandoned = True
    with pytest.raises(Exception, match="abandoned"):
        await anext(pieces)
    assert not outgoing.handed_over
    assert body.closed == 1


async def test_ending_a_stream_closes_its_source_whatever_it_is_doing() -> None:
    body = Source(b"a", b"b")
    outgoing = Outgoing(body, None)
    await anext(outgoing.stream())
    await outgoing.end()
    assert body.closed == 1
    await Outgoing(body, None).end()


async def test_ending_a_stream_at_work_lets_it_end_by_itself() -> None:
    outgoing: Outgoing

    class EndsItself(Source):
        async def open(self) -> AsyncIterator[bytes]:
            yield b"a"
            await outgoing.end()
            yield b"b"

    outgoing = Outgoing(EndsItself(b"ab"), None)
    with pytest.raises(Exception, match="abandoned"):
        await anext(outgoing.stream())


async def test_a_source_need_not_be_a_generator() -> None:
    class Plain:
        size = 2

        def __init__(self) -> None:
            self._pieces = [b"a", b"b"]

        def open(self) -> Plain:
            return self

        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> bytes:
            if not self._pieces:
                raise StopAsyncIteration
            return self._pieces.pop(0)

    assert [bytes(piece) async for piece in Outgoing(Plain(), None).stream()] == [b"a", b"b"]


async def test_bodies_keep_to_the_bandwidth_in_both_directions(connect: Any, server: FaultServer) -> None:
    asking = connect(bytes_per_second=8 << 20)
    started = time.monotonic()
    assert (await asking.whole("PUT", "/bucket/key", MEBIBYTE))[0] == 200
    _, content = await asking.whole("GET", "/bucket/key")
    assert content == MEBIBYTE
    assert server.objects["bucket", "key"] == MEBIBYTE
    # 2 MiB at 8 MiB/s, less what may be caught up and the last piece, which need not be waited for.
    assert time.monotonic() - started >= (2 - 0.25) / 8 - 0.06


async def test_small_bodies_count_for_the_bandwidth_too(connect: Any, server: FaultServer) -> None:
    asking = connect(bytes_per_second=100_000)
    started = time.monotonic()
    for _ in range(4):
        await asking.whole("PUT", "/bucket/key", b"x" * 5_000)
    assert time.monotonic() - started >= 3 * 0.05 - 0.06
