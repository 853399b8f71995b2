from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import Client, HaulError
from haulyard.client.portal import Portal
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close(nothing)


async def nothing() -> None:
    pass


async def double(number: int) -> int:
    return 2 * number


async def counted(limit: int) -> AsyncIterator[int]:
    for number in range(limit):
        yield number


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_call_returns_what_the_coroutine_does_and_raises_what_it_raises(portal: Portal) -> None:
    async def fail() -> None:
        raise OSError("no")

    assert portal.call(double, 21) == 42
    with pytest.raises(OSError, match="no"):
        portal.call(fail)


def test_the_loop_is_uvloop(portal: Portal) -> None:
    async def name() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert portal.call(name) == "uvloop"


def test_no_thread_is_started_before_the_first_call_and_none_is_left() -> None:
    before = threading.active_count()
    portal = Portal()
    assert threading.active_count() == before
    portal.call(nothing)
    assert threading.active_count() == before + 1
    portal.close(nothing)
    portal.close(nothing)
    assert threading.active_count() == before


def test_a_closed_portal_says_so(portal: Portal) -> None:
    portal.close(nothing)
    with pytest.raises(HaulError, match="the client is closed"):
        portal.call(nothing)


def test_many_threads_call_at_once(portal: Portal) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: portal.call(double, number), range(200))) == list(
            range(0, 400, 2)
        )


@pytest.mark.anyio
async def test_it_works_below_a_running_loop(portal: Portal) -> None:
    assert portal.call(double, 1) == 2


def test_an_iterator_is_read_page_by_page(portal: Portal) -> None:
    taken: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        async for number in counted(2500):
            taken.append(number)
            yield number

    items = portal.iterate(numbers())
    assert next(items) == 0
    assert len(taken) == 1000
    assert list(items) == list(range(1, 2500))


def test_an_iterator_that_is_left_early_is_ended(portal: Portal) -> None:
    ended = threading.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            async for number in counted(5000):
                yield number
        finally:
            ended.set()

    for number in portal.iterate(numbers()):
        if number == 3:
            break
    assert ended.is_set()


def test_a_call_from_the_loop_itself_says_so(portal: Portal) -> None:
    async def recurse() -> int:
        return portal.call(double, 1)

    with pytest.raises(HaulError, match="from its own event loop"):
        portal.call(recurse)


def test_an_interruption_cancels_the_call_and_waits_until_it_is_clean(portal: Portal) -> None:
    cleaned = threading.Event()

    again: list[asyncio.TimerHandle] = []

    def interrupt(loop: asyncio.AbstractEventLoop) -> None:
        # CPython loses a signal that comes between its last look and the system call that waits for a lock.
        again[:] = [loop.call_later(5, interrupt, loop)]
        os.kill(os.getpid(), signal.SIGINT)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(interrupt, loop)
        try:
            await asyncio.sleep(3600)
        finally:
            for timer in again:
                timer.cancel()
            await asyncio.sleep(0)
            cleaned.set()

    with pytest.raises(KeyboardInterrupt):
        portal.call(work)
    assert cleaned.is_set()
    assert portal.call(double, 1) == 2


def test_closing_ends_the_calls_of_other_threads(portal: Portal) -> None:
    started = threading.Event()

    async def work() -> None:
        started.set()
        await asyncio.sleep(3600)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(portal.call, work)
        started.wait()
        portal.close(nothing)
        with pytest.raises(HaulError, match="closed during the call"):
            future.result()


def test_a_loop_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more files")

    monkeypatch.setattr("anyio.run", refuse)
    with pytest.raises(OSError, match="no more files"):
        Portal().call(nothing)


def test_a_client_that_nobody_closed_is_closed_when_it_is_collected(settings: dict[str, Any]) -> None:
    before = threading.active_count()
    client = Client(**settings)
    assert not client.exists("s3://no-such-bucket-here")
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    assert threading.active_count() == before


def test_a_portal_may_be_closed_in_its_own_thread(portal: Portal) -> None:
    """As happens where the garbage collector runs there."""
    said = threading.Event()

    async def farewell() -> None:
        said.set()

    async def close() -> None:
        portal.close(farewell)

    portal.call(nothing)
    thread = portal._thread
    assert thread is not None
    # The call itself may come to its end before it is cancelled, or after.
    with suppress(HaulError):
        portal.call(close)
    thread.join(10)
    assert not thread.is_alive()
    assert said.is_set()


def test_a_program_ends_although_nobody_closed_its_client(settings: dict[str, Any]) -> None:
    script = (
        "import sys; from haulyard import Client\n"
        "client = Client(endpoint_url=sys.argv[1], access_key='a', secret_key='b', region='us-east-1')\n"
        "print(client.exists('s3://bucket/key'))"
    )
    with FaultServer() as server:
        ended = run(script, server.url)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False\n", "")


def test_after_a_fork_calls_say_so_and_the_child_ends() -> None:
    script = """
import os, sys
from haulyard import Client, HaulError
settings = dict(endpoint_url=sys.argv[1], access_key='a', secret_key='b', region='us-east-1')
unused = Client(**settings)
client = Client(**settings)
client.exists('s3://bucket/key')
child = os.fork()
if not child:
    for each in (client, unused):
        try:
            each.exists('s3://bucket/key')
        except HaulError as error:
            print(error, '|', error.hint, flush=True)
    client.close()
    unused.close()
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(client.exists('s3://bucket/key'))
"""
    with FaultServer() as server:
        ended = run(script.replace("-W error", ""), server.url)
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stderr
    assert len(lines) == 4
    for line in lines[:2]:
        assert "forked from one that had used a client" in line
        assert "spawn or forkserver" in line
    assert lines[2:] == ["7", "False"]


def test_a_client_can_be_used_after_a_fork_if_none_was_before() -> None:
    script = """
import os, sys
from haulyard import Client
client = Client(endpoint_url=sys.argv[1], access_key='a', secret_key='b', region='us-east-1')
child = os.fork()
print(client.exists('s3://bucket/key'), flush=True)
client.close()
if child:
    os.waitpid(child, 0)
"""
    with FaultServer() as server:
        ended = run(script, server.url)
    assert (ended.returncode, ended.stdout) == (0, "False\nFalse\n"), ended.stderr


def test_an_event_that_calls_the_client_is_told_what_is_wrong(settings: dict[str, Any]) -> None:
    caught: list[HaulError] = []

    def call_back(_event: object) -> None:
        try:
            client.exists("s3://bucket/key")
        except HaulError as error:
            caught.append(error)

    with FaultServer() as server:
        given = {**settings, "endpoint_url": server.url, "on_event": call_back}
        with Client(**given) as client:
            client.exists("s3://bucket/key")
    assert "own event loop" in str(caught[0])


def test_an_interrupted_upload_is_aborted(settings: dict[str, Any]) -> None:
    stalled = Fault("UploadPart", stall=True, read_request_body=1000)
    with FaultServer(stalled) as server:

        def interrupt() -> None:
            server.wait_for(lambda request: request.operation == "UploadPart")
            os.kill(os.getpid(), signal.SIGINT)

        given = {**settings, "endpoint_url": server.url}
        with Client(**given) as client, ThreadPoolExecutor(1) as pool:
            pool.submit(interrupt)

            def write() -> None:
                with client.open("s3://bucket/key", "wb") as file:
                    for _ in range(1000):
                        file.write(bytes(1024 * 1024))

            with pytest.raises(KeyboardInterrupt):
                write()
            server.release()
            assert server.uploads == ()
            assert list(server.objects) == []
