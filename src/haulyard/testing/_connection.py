"""One connection to the scripted server: requests come in, and the script decides what goes out."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import socket
import struct
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from haulyard.testing._http1 import (
    CHUNK,
    Answer,
    IncomingBody,
    MalformedRequest,
    body_to_send,
    read_head,
    render_head,
)
from haulyard.testing._operations import recognise
from haulyard.testing._s3_behaviour import Call
from haulyard.testing._s3_xml import error_answer
from haulyard.testing._script import BODY_KEPT, RecordedRequest, parse_query
from haulyard.testing._spoiling import canned_answer, refused_for_its_date, spoiled

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable, Iterator

    from haulyard.testing._http1 import Head
    from haulyard.testing._s3_behaviour import S3Behaviour
    from haulyard.testing._script import Fault, RequestLog, Script

_LINGER: Final = 2.0
"""Seconds in which a client may read an early answer before the connection is closed."""

_POLL: Final = 0.001
"""Seconds between two looks at a socket's send queue."""

_SIOCOUTQNSD: Final = 0x894B
"""Linux, sockios.h: how many bytes of a socket's queue have not been sent yet."""


class Exchanges:
    """The requests under way, and which of them a stall holds until the test lets them go on."""

    def __init__(self) -> None:
        self._under_way = 0
        self._stalled: list[tuple[RecordedRequest, asyncio.Event]] = []
        self._changed = asyncio.Event()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count an exchange from when its head has been read until it is answered or given up."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._changed.set()

    def stalled(self) -> tuple[RecordedRequest, ...]:
        """Return the requests that are held, oldest first."""
        return tuple(request for request, _ in self._stalled)

    def hold(self, request: RecordedRequest) -> asyncio.Event:
        """Enter a request that will stall, and return the event that ends the stall."""
        released = asyncio.Event()
        self._stalled.append((request, released))
        self._changed.set()
        return released

    def release(self, only: RecordedRequest | None) -> None:
        """Let one request go on, or every one that is held by now."""
        for request, released in self._stalled:
            if only is None or request is only:
                released.set()
        self._stalled = [entry for entry in self._stalled if not entry[1].is_set()]

    async def settle(self) -> None:
        """Wait until nothing is under way but what a stall holds."""
        while self._under_way > len(self._stalled):
            self._changed.clear()
            await self._changed.wait()


@dataclass(slots=True)
class World:
    """What all connections share. `script` may be exchanged at any time."""

    script: Script
    behaviour: S3Behaviour
    log: RequestLog
    authorize: Callable[[RecordedRequest], bool]
    exchanges: Exchanges = field(default_factory=Exchanges)


class Connection:
    """Serves one connection until either side closes it."""

    def __init__(self, number: int, reader: StreamReader, writer: StreamWriter, world: World) -> None:
        self._number = number
        self._reader = reader
        self._writer = writer
        self._world = world
        self._served = 0
        self._socket: socket.socket = writer.get_extra_info("socket")
        # asyncio leaves it out for a listener that it did not make: a body would wait 40 ms for an ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # With these limits `drain` returns only when everything has gone to the kernel.
        writer.transport.set_write_buffer_limits(high=0)

    async def serve(self) -> None:
        """Answer one request after the other."""
        try:
            while await self._exchange():
                self._served += 1
            self._writer.close()
            await self._writer.wait_closed()
        except MalformedRequest as error:
            await self._refuse(error)
        except ConnectionError:
            pass  # the client left
        finally:
            self._writer.transport.abort()

    async def _exchange(self) -> bool:
        """Answer one request; False if the connection has to be closed."""
        head = await read_head(self._reader)
        if head is None:
            return False
        with self._world.exchanges.under_way():
            return await self._answer(head) and head.keeps_alive

    async def _answer(self, head: Head) -> bool:
        request = self._recognised(head)
        fault = self._world.script.choose(request, first_on_connection=self._served == 0)
        request = replace(request, fault=fault)
        body = IncomingBody(self._reader, head)
        if fault is None or not fault.stale:
            try:
                await self._read(head, body, None if fault is None else fault.read_request_body)
            except ConnectionError:
                self._world.log.add(_with_body(request, body))
                raise
        request = _with_body(request, body)
        if fault is None:
            self._world.log.add(request)
            answer = self._carry_out(request, body)
            await self._send(self._completed(answer), request, keep_alive=head.keeps_alive)
            return True
        return await self._misbehave(fault, request, body)

    def _recognised(self, head: Head) -> RecordedRequest:
        path, _, query = head.target.partition("?")
        operation = recognise(head.method, path, parse_query(query), head.headers)
        return RecordedRequest(
            *operation,
            attempt=self._world.script.next_attempt(operation, query, head.headers),
            method=head.method,
            path=path,
            query=query,
            headers=head.headers,
            body=b"",
            body_length=0,
            body_sha256="",
            complete=False,
            connection=self._number,
            time=monotonic(),
            fault=None,
        )

    async def _read(self, head: Head, body: IncomingBody, until: int | None) -> None:
        if head.headers.get("expect", "").lower() == "100-continue" and until != 0:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await body.read(until)

    def _carry_out(self, request: RecordedRequest, body: IncomingBody, skew: float = 0.0) -> Answer:
        if not self._world.authorize(request):
            return error_answer(403, "AccessDenied", "Access Denied")
        if skew and (answer := refused_for_its_date(request.headers, time() + skew)) is not None:
            return answer
        operation, bucket, key = request.operation, request.bucket, request.key
        call = Call(operation, bucket, key, request.parameters, request.headers, bytes(body.data))
        return self._world.behaviour.handle(call)

    def _completed(self, answer: Answer, skew: float = 0.0) -> Answer:
        standing = {"date": formatdate(time() + skew, usegmt=True), "server": "haulyard-faults"}
        standing |= {
            "x-amz-request-id": f"{self._number:08X}{self._served:08X}",
            "x-amz-id-2": "haulyard-faults",
        }
        return Answer(answer.status, {**standing, **answer.headers}, answer.body)

    async def _misbehave(self, fault: Fault, request: RecordedRequest, body: IncomingBody) -> bool:
        # A test that sees the request in the log may release it at once: it is held before.
        released = self._world.exchanges.hold(request) if fault.stalls else None
        self._world.log.add(request)
        if fault.change_etag is not False:
            content = fault.change_etag if isinstance(fault.change_etag, bytes) else None
            self._world.behaviour.replace_object(request.bucket, request.key, content)
        answer = self._carry_out(request, body, fault.skew) if fault.before else None
        if released is not None and fault.stall:
            await released.wait()
            await body.read()
        await asyncio.sleep(fault.delay)
        if fault.reset_after == 0:
            self._reset()
        if fault.reset_after == 0 or fault.close_without_answer or fault.stale:
            return False
        if fault.is_canned:
            answer = canned_answer(fault)
        elif answer is None:
            answer = self._carry_out(request, body, fault.skew)
        whole = self._world.behaviour.content(request.bucket, request.key)
        answer = spoiled(self._completed(answer, fault.skew), fault, whole)
        return await self._send_spoiled(answer, fault, request, body, released)

    async def _send_spoiled(
        self,
        answer: Answer,
        fault: Fault,
        request: RecordedRequest,
        body: IncomingBody,
        released: asyncio.Event | None,
    ) -> bool:
        """Send as much of an answer as the fault lets through; True if the connection is still good."""
        pause = None if fault.stall_after is None or released is None else (fault.stall_after, released)
        ends = fault.truncate if fault.reset_after is None else fault.reset_after
        await self._send(answer, request, keep_alive=body.complete, ends=ends, pause=pause)
        if fault.reset_after is not None:
            await self._sent()
            self._reset()
        elif not body.complete:
            await self._linger()
        return ends is None and body.complete

    async def _send(
        self,
        answer: Answer,
        request: RecordedRequest,
        *,
        keep_alive: bool,
        ends: int | None = None,
        pause: tuple[int, asyncio.Event] | None = None,
    ) -> None:
        self._writer.write(render_head(answer, keep_alive=keep_alive))
        payload = body_to_send(answer, request.method)[:ends]
        start = 0
        if pause is not None:
            start, released = pause
            await self._write(payload[:start])
            await released.wait()
        await self._write(payload[start:])

    async def _write(self, payload: memoryview) -> None:
        await self._writer.drain()
        for start in range(0, len(payload), CHUNK):
            self._writer.write(payload[start : start + CHUNK])
            await self._writer.drain()

    async def _sent(self) -> None:
        """Wait until the client's side has all that was written: a reset discards what it has not."""
        while not self._writer.transport.is_closing() and unsent(self._socket.fileno()) > 0:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_POLL)

    async def _refuse(self, error: MalformedRequest) -> None:
        self._writer.write(render_head(error_answer(400, "InvalidRequest", str(error)), keep_alive=False))
        await self._linger()

    async def _linger(self) -> None:
        """Close without losing the answer: a close with unread input would reset the connection."""
        with suppress(OSError):  # the client may have left, or stay longer than the timeout
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(CHUNK):
                    pass

    def _reset(self) -> None:
        # With a linger time of 0 closing sends RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


def _with_body(request: RecordedRequest, body: IncomingBody) -> RecordedRequest:
    return replace(
        request,
        body=bytes(body.data[:BODY_KEPT]),
        body_length=len(body.data),
        body_sha256=hashlib.sha256(body.data).hexdigest(),
        complete=body.complete,
        time=monotonic(),
    )


def unsent(descriptor: int) -> int:
    """Return how many bytes a reset would lose; 0 where the system does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, _SIOCOUTQNSD, bytes(4)), sys.byteorder)
    except OSError:
        return 0
