"""PUT v1, abandon it, PUT v2: the store holds v2, whatever became of v1 on its way."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.http.bodies import Source

from haulyard.errors import TransportError
from haulyard.http.ongoing import Ongoing
from haulyard.http.unsettled import Unsettled
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.http.conftest import Asking

pytestmark = pytest.mark.anyio

LARGE = b"1" * 1_000_000
#: More than the socket buffers on both sides hold, so that the server never has all of it.
HUGE = 32_000_000
FIRST = Fault("PutObject", attempts=(1,), stall=True)
HALF_READ = Fault("PutObject", attempts=(1,), stall=True, read_request_body=65_536)


async def abandoned(write: Awaitable[object], server: FaultServer, count: int = 1) -> None:
    """Start a write, and give it up when the server has read ``count`` requests."""
    task = asyncio.ensure_future(write)
    await server.wait_for_async(lambda _: True, count=count)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def waits(write: asyncio.Future[Any], asking: Asking, server: FaultServer) -> bool:
    """Whether a write is held back while a whole other exchange takes place."""
    seen = len(server.requests)
    await asking.whole("HEAD", "/bucket/other")
    return not write.done() and len(server.requests) == seen + 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"v1", id="small"),
        pytest.param(LARGE, id="many-bytes"),
        pytest.param(Source(LARGE), id="stream"),
    ],
)
async def test_a_write_of_the_same_key_waits_for_one_that_may_still_be_carried_out(
    connect: Any, server: FaultServer, body: object
) -> None:
    asking = connect(settle_timeout=0.01)
    server.script(FIRST)
    await abandoned(asking.whole("PUT", "/bucket/key", body), server)
    newer = asyncio.ensure_future(asking.whole("PUT", "/bucket/key", b"v2"))
    assert await waits(newer, asking, server)
    server.release()
    assert (await newer)[0] == 200
    await server.settle_async()
    assert server.objects["bucket", "key"] == b"v2"


@pytest.mark.parametrize(
    "body",
    [pytest.param(b"1" * HUGE, id="many-bytes"), pytest.param(Source(*[LARGE] * 32), id="stream")],
)
async def test_what_the_server_has_only_in_part_is_ended_at_once(
    connect: Any, server: FaultServer, body: Any
) -> None:
    asking = connect(settle_timeout=60)
    server.script(HALF_READ)
    async with asyncio.timeout(10):
        await abandoned(asking.whole("PUT", "/bucket/key", body), server)
        assert (await asking.whole("PUT", "/bucket/key", b"v2"))[0] == 200
    server.release()
    await server.settle_async()
    assert server.objects["bucket", "key"] == b"v2"


async def test_the_source_of_an_abandoned_stream_is_closed(connect: Any, server: FaultServer) -> None:
    asking = connect()
    body = Source(*[LARGE] * 32)
    server.script(HALF_READ)
    await abandoned(asking.whole("PUT", "/bucket/key", body), server)
    server.release()
    await asking.client.close()
    assert (body.opened, body.closed) == (1, 1)


def cancel(_: anyio.CancelScope, task: asyncio.Task[Any], __: asyncio.Timeout) -> None:
    task.cancel()


def expire(_: anyio.CancelScope, __: asyncio.Task[Any], deadline: asyncio.Timeout) -> None:
    deadline.reschedule(asyncio.get_running_loop().time())


def leave(scope: anyio.CancelScope, _: asyncio.Task[Any], __: asyncio.Timeout) -> None:
    scope.cancel()


@pytest.mark.parametrize("give_up", [cancel, expire, leave])
async def test_however_it_is_given_up_a_small_write_is_awaited_to_its_end(
    connect: Any, server: FaultServer, give_up: Callable[..., None]
) -> None:
    """An anyio scope repeats its cancellation at every step; that must not cut the waiting short."""
    asking = connect(settle_timeout=60)
    server.script(FIRST)
    scope, deadline = anyio.CancelScope(), asyncio.timeout(None)

    async def write() -> None:
        with scope:
            async with deadline:
                await asking.whole("PUT", "/bucket/key", b"v1")

    task = asyncio.ensure_future(write())
    await server.wait_for_async(lambda _: True)
    give_up(scope, task, deadline)
    await asking.whole("HEAD", "/bucket/other")
    assert not task.done()
    server.release()
    await asyncio.wait((task,), timeout=10)
    assert task.done()
    assert server.objects["bucket", "key"] == b"v1"
    assert not asking.client._unsettled
    assert give_up is not cancel or task.cancelled()
    assert give_up is not expire or isinstance(task.exception(), TimeoutError)


async def test_a_second_cancellation_ends_the_waiting_and_not_the_remembering(
    connect: Any, server: FaultServer
) -> None:
    asking = connect(settle_timeout=60)
    server.script(FIRST)
    older = asyncio.ensure_future(asking.whole("PUT", "/bucket/key", b"v1"))
    await server.wait_for_async(lambda _: True)
    older.cancel()
    await asking.whole("HEAD", "/bucket/other")
    assert not older.done()
    older.cancel()
    with pytest.raises(asyncio.CancelledError):
        await older
    newer = asyncio.ensure_future(asking.whole("PUT", "/bucket/key", b"v2"))
    assert await waits(newer, asking, server)
    server.release()
    await newer
    assert server.objects["bucket", "key"] == b"v2"


async def test_of_several_abandoned_writes_of_a_key_all_are_awaited(
    connect: Any, server: FaultServer
) -> None:
    """The parts of an upload have one path: aborting it waits for all of them."""
    asking = connect(settle_timeout=0.01)
    server.script(Fault("UploadPart", stall=True))
    parts = (
        asking.whole("PUT", "/bucket/key", b"part", f"partNumber={number}&uploadId=1") for number in (1, 2)
    )
    await abandoned(asyncio.gather(*parts), server, count=2)
    abort = asyncio.ensure_future(asking.whole("DELETE", "/bucket/key", query="uploadId=1"))
    assert await waits(abort, asking, server)
    server.release(server.requests[0])
    await server.settle_async()
    assert await waits(abort, asking, server)
    server.release()
    await abort
    assert server.requests[-1].operation == "AbortMultipartUpload"


@pytest.mark.parametrize(("first", "second"), [("/bucket", "/bucket/key"), ("/bucket/key", "/bucket")])
async def test_the_batch_delete_of_a_bucket_and_a_write_below_it_wait_for_each_other(
    connect: Callable[..., Asking], server: FaultServer, first: str, second: str
) -> None:
    def write(path: str) -> Awaitable[object]:
        if path == "/bucket":
            body = b"<Delete><Object><Key>key</Key></Object></Delete>"
            md5 = b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            return asking.whole("POST", path, body, query="delete=", content_md5=md5)
        return asking.whole("PUT", path, b"v2")

    asking = connect(settle_timeout=0.01)
    server.script(Fault("DeleteObjects" if first == "/bucket" else "PutObject", stall=True, times=1))
    await abandoned(write(first), server)
    later = asyncio.ensure_future(write(second))
    assert await waits(later, asking, server)
    assert (await asking.whole("PUT", "/bucket2/key", b"another bucket"))[0] == 404
    server.release()
    await later
    assert (("bucket", "key") in server.objects) is (second == "/bucket/key")


@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failed"])
async def test_a_cancellation_between_the_answer_and_its_taking_over_leaves_no_answer_open(
    connect: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    asking = connect()
    server.script(Fault(stall=True, reset_after=0) if fails else FIRST)
    older: asyncio.Future[Any]
    awaited = Ongoing.__await__

    def await_and_cancel(ongoing: Ongoing[Any]) -> Any:
        for waiter in awaited(ongoing):
            # Comes before the task's own callback: the answer is there and its waiter not yet awake.
            waiter.add_done_callback(lambda _: older.cancel())
            yield waiter
        return ongoing._result

    monkeypatch.setattr(Ongoing, "__await__", await_and_cancel)
    older = asyncio.ensure_future(asking.send("PUT", "/bucket/key", b"v1"))
    await server.wait_for_async(lambda _: True)
    server.release()
    with pytest.raises(asyncio.CancelledError):
        await older
    monkeypatch.undo()
    assert not asking.client._unsettled
    if not fails:
        await asking.whole("PUT", "/bucket/key", b"v2")
        assert {request.connection for request in server.requests} == {1}


async def test_closing_waits_for_abandoned_writes_as_long_as_was_promised(
    connect: Any, server: FaultServer
) -> None:
    asking = connect(settle_timeout=0.05)
    server.script(FIRST)
    await abandoned(asking.whole("PUT", "/bucket/key", b"v1"), server)
    (exchange,) = asking.client._unsettled._targets
    async with asyncio.timeout(5):
        await asking.client.close()
    assert not asking.client._unsettled
    assert exchange.done()


async def test_closing_returns_as_soon_as_the_last_abandoned_write_has_ended(
    connect: Any, server: FaultServer
) -> None:
    asking = connect(settle_timeout=60)
    server.script(FIRST)
    older = asyncio.ensure_future(asking.whole("PUT", "/bucket/key", b"v1"))
    await server.wait_for_async(lambda _: True)
    older.cancel()
    await asking.whole("HEAD", "/bucket/other")
    older.cancel()
    closing = asyncio.ensure_future(asking.client.close())
    server.release()
    async with asyncio.timeout(5):
        await closing
    assert server.objects["bucket", "key"] == b"v1"


async def test_a_write_that_failed_after_it_was_abandoned_is_forgotten(
    connect: Any, server: FaultServer
) -> None:
    asking = connect(settle_timeout=60)
    server.script(Fault(stall=True, reset_after=0))
    older = asyncio.ensure_future(asking.whole("PUT", "/bucket/key", b"v1"))
    await server.wait_for_async(lambda _: True)
    older.cancel()
    server.release()
    with pytest.raises(asyncio.CancelledError):
        await older
    assert not asking.client._unsettled


async def test_a_write_whose_deadline_passed_leaves_no_connection_that_could_finish_it(
    connect: Any, server: FaultServer
) -> None:
    asking = connect(read_timeout=0.5, slowest_upload=1e12)
    server.script(HALF_READ)
    with pytest.raises(TransportError) as late:
        await asking.send("PUT", "/bucket/key", Source(*[LARGE] * 32))
    assert late.value.kind == "timeout"
    await asking.whole("PUT", "/bucket/key", b"v2")
    server.release()
    await server.settle_async()
    assert server.objects["bucket", "key"] == b"v2"


async def test_what_cannot_concern_the_same_object_does_not_wait() -> None:
    unsettled = Unsettled()
    forever: asyncio.Task[Any] = asyncio.ensure_future(asyncio.Event().wait())
    unsettled.add(forever, "http://store/bucket/key")
    async with asyncio.timeout(5):
        for target in ("http://store/bucket/key2", "http://store/bucket2", "http://other/bucket/key"):
            await unsettled.clear(target)
    assert len(unsettled) == 1
    await unsettled.end(timeout=0)
    assert not unsettled
