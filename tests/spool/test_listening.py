from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.spool.test_rotating import all_ids, rejected

from haulyard.errors import ConfigError, SpoolError
from haulyard.spool.framing import framer_of
from haulyard.spool.listening import SocketListener, pump
from haulyard.spool.rotating import RotatingSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[RotatingSpool]:
    with RotatingSpool(tmp_path / "spool") as found:
        yield found


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    heard, speak = os.pipe()
    yield heard, speak
    for each in (heard, speak):
        with suppress(OSError):
            os.close(each)


def finished(spool: RotatingSpool) -> Path:
    spool.close()
    return Path(spool.directory)


# --- Standard input


def test_a_pipe_is_read_to_its_end_with_a_last_line_that_has_no_break(
    spool: RotatingSpool, pipe: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"".join(b'{"id": %d}\n' % number for number in range(200_000)) + b'{"id": 200000}')
    with open(path, "rb") as file:
        assert pump(file.fileno(), framer_of("json"), spool, pipe[0])
    assert all_ids(finished(spool)) == list(range(200_001))


def test_what_was_read_when_it_is_stopped_is_written_and_a_half_event_rejected(
    spool: RotatingSpool, pipe: tuple[int, int]
) -> None:
    heard, speak = os.pipe()
    os.write(speak, b'{"id": 1}\n{"id": 2}\n12')
    is_written = threading.Event()
    append = spool.append

    def watched(batch: Any) -> None:
        append(batch)
        is_written.set()

    spool.append = watched  # type: ignore[method-assign]
    ends: list[bool] = []
    thread = threading.Thread(target=lambda: ends.append(pump(heard, framer_of("json"), spool, pipe[0])))
    thread.start()
    assert is_written.wait(30)
    os.write(pipe[1], b"!")
    thread.join(30)
    os.close(heard)
    os.close(speak)
    assert ends == [False]
    directory = finished(spool)
    assert all_ids(directory) == [1, 2]
    assert [each["event"] for each in rejected(directory)] == ["12"]


def test_a_stream_that_cannot_be_read_further_ends_behind_what_was_whole(
    spool: RotatingSpool, pipe: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "events"
    path.write_bytes(struct.pack(">I", 9) + b'{"id": 1}' + b'{"id": 2}\n')
    with open(path, "rb") as file, pytest.raises(SpoolError, match="is announced"):
        pump(file.fileno(), framer_of("json", "length"), spool, pipe[0])
    directory = finished(spool)
    assert all_ids(directory) == [1]
    assert [each["event"] for each in rejected(directory)] == ['{"id": 2}\n']


def test_what_cannot_be_read_is_no_input(spool: RotatingSpool, pipe: tuple[int, int], tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ConfigError, match="standard input cannot be read"):
            pump(directory, framer_of("json"), spool, pipe[0])
    finally:
        os.close(directory)


# --- The socket


class Client:
    """A program that sends events and waits for lines about them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            line = await self._reader.readline()
        return dict(json.loads(line)) if line else {}

    async def hear_of(self, count: int) -> dict[str, Any]:
        """Return the line that says that so many came to their end."""
        told = await self.hear()
        while told["events"] + told["rejected"] < count:
            told = await self.hear()
        return told


@asynccontextmanager
async def listening(
    spool: RotatingSpool, path: Path, form: Any = "json", framing: str = "", max_event: int = 1 << 20
) -> AsyncIterator[asyncio.Event]:
    stop, ready = asyncio.Event(), asyncio.Event()
    listener = SocketListener(str(path), partial(framer_of, form, framing, max_event=max_event), spool)
    serving = asyncio.create_task(listener.serve(stop, ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await serving


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_a_batch_is_acknowledged_once_it_can_be_read_from_the_disk(
    spool: RotatingSpool, tmp_path: Path
) -> None:
    async with listening(spool, tmp_path / "s"), connected(tmp_path / "s") as client:
        for number in range(1, 4):
            client.writer.write(b'{"id": %d}\n' % number)
            assert await client.hear_of(number) == {"events": number, "rejected": 0}
            (active,) = (tmp_path / "spool").glob("*.active")
            assert len(active.read_bytes().splitlines()) == number
    assert all_ids(finished(spool)) == [1, 2, 3]


async def test_rejected_events_are_counted_and_a_half_one_is_told_of_at_the_end(
    spool: RotatingSpool, tmp_path: Path
) -> None:
    async with listening(spool, tmp_path / "s"), connected(tmp_path / "s") as client:
        client.writer.write(b'{"id": 1}\nnonsense\n{"id"')
        assert await client.hear_of(2) == {"events": 1, "rejected": 1}
        client.writer.write_eof()
        assert await client.hear() == {"events": 1, "rejected": 2}
        assert await client.hear() == {}
    assert [each["event"] for each in rejected(finished(spool))] == ["nonsense", '{"id"']


async def test_xml_that_is_broken_is_told_of_at_once(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path / "spool", form="xml") as spool:
        async with listening(spool, tmp_path / "s", "xml"), connected(tmp_path / "s") as client:
            client.writer.write(b"<event id='1'/><event><a></event>")
            assert await client.hear_of(2) == {"events": 1, "rejected": 1}
            client.writer.write(b"<event id='2'/>")
            assert await client.hear_of(3) == {"events": 2, "rejected": 1}
    assert all_ids(tmp_path / "spool") == [1, 2]


async def test_a_length_that_cannot_be_is_told_of_and_ends_the_connection(
    spool: RotatingSpool, tmp_path: Path
) -> None:
    async with listening(spool, tmp_path / "s", framing="length"), connected(tmp_path / "s") as client:
        client.writer.write(struct.pack(">I", 9) + b'{"id": 1}' + b"\xff\xff\xff\xff")
        assert await client.hear() == {"events": 1, "rejected": 1}
        assert "is announced" in (await client.hear())["error"]
        assert await client.hear() == {}
    assert all_ids(finished(spool)) == [1]


async def test_many_connections_are_written_together(spool: RotatingSpool, tmp_path: Path) -> None:
    batches = 0
    append = spool.append

    def counted(batch: Any) -> None:
        nonlocal batches
        batches += 1
        append(batch)

    spool.append = counted  # type: ignore[method-assign]

    async def send(begin: int) -> None:
        async with connected(tmp_path / "s") as client:
            for number in range(begin, begin + 20):
                client.writer.write(b'{"id": %d}\n' % number)
                await client.hear_of(number - begin + 1)

    async with listening(spool, tmp_path / "s"), asyncio.TaskGroup() as group:
        for begin in range(0, 600, 20):
            group.create_task(send(begin))
    assert sorted(all_ids(finished(spool))) == list(range(600))
    assert batches < 300


async def test_a_client_that_goes_away_or_never_listens_harms_nobody(
    spool: RotatingSpool, tmp_path: Path
) -> None:
    async with listening(spool, tmp_path / "s"):
        async with connected(tmp_path / "s") as rude:
            rude.writer.write(b'{"id": 1}\n{"id"')
            await rude.hear_of(1)
            rude.writer.transport.abort()
        async with connected(tmp_path / "s") as client:
            client.writer.write(b'{"id": 2}\n')
            await client.hear_of(1)
    assert all_ids(finished(spool)) == [1, 2]


async def test_a_stop_does_not_wait_for_clients_that_send_nothing(
    spool: RotatingSpool, tmp_path: Path
) -> None:
    async with listening(spool, tmp_path / "s") as stop, connected(tmp_path / "s") as client:
        client.writer.write(b'{"id": 1}\n')
        await client.hear_of(1)
        stop.set()
        assert await client.hear() == {}
    assert not (tmp_path / "s").exists()


async def test_events_that_cannot_be_written_end_the_listening_and_are_not_acknowledged(
    spool: RotatingSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)

    async def send() -> None:
        async with listening(spool, tmp_path / "s"), connected(tmp_path / "s") as client:
            client.writer.write(b'{"id": 1}\n')
            assert await client.hear() == {}

    with pytest.raises(SpoolError, match="Input/output error"):
        await send()


async def test_a_socket_of_the_dead_is_taken_over_and_one_of_the_living_is_not(
    spool: RotatingSpool, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(spool, path):
        with pytest.raises(ConfigError, match="another program listens"):
            async with listening(spool, path):
                pass
        async with connected(path) as client:
            client.writer.write(b'{"id": 1}\n')
            await client.hear_of(1)


async def test_a_path_that_is_no_socket_or_too_long_is_refused(spool: RotatingSpool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for path, reason in ((tmp_path / "file", "no socket"), (tmp_path / ("x" * 150), "listened on")):
        with pytest.raises(ConfigError, match=reason):
            async with listening(spool, path):
                pass
    assert (tmp_path / "file").read_bytes() == b"mine"
