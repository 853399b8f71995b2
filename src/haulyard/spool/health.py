"""``/healthz`` and ``/metrics``: how shipping stands, for those who watch it.

`Vitals` are plain numbers that the shipper sets; `render` makes Prometheus' text format of them (0.0.4 of its
exposition formats), and `HealthServer` answers with both. It knows GET and HEAD, one request a connection,
and keeps nothing of what it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

from haulyard.errors import ConfigError, SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATENCIES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""Upper bounds of the buckets of the latency, in seconds: from a small file on a near store to an outage."""

LOOPBACK: Final = "127.0.0.1"

#: Seconds for a whole request and its answer; bytes of a request's head; connections at a time.
_PATIENCE: Final = 5.0
_LONGEST_HEAD: Final = 8 * 1024
_MOST: Final = 64

_TEXT: Final = "text/plain; charset=utf-8"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_HIGHEST_PORT: Final = 65535


@dataclass(slots=True)
class Vitals:
    """How shipping stands.

    Attributes:
        files: Finished files that wait, or are under way.
        bytes: Their bytes.
        oldest_age: Seconds since the oldest of them was last written to; 0.0 where there is none.
        shipped: Files that S3 provably holds, since the start.
        shipped_bytes: Their bytes.
        failed: Files that were given up (quarantine), since the start.
        retries: Attempts beyond the first, since the start.
        outbox: Lists of batches that still have to be delivered.
        last_shipped: When a file was last shipped, in seconds since the epoch; 0.0 for never.
        trouble: Why nothing can be shipped at the moment, one line without secrets; ``""`` while all is well.
    """

    files: int = 0
    bytes: int = 0
    oldest_age: float = 0.0
    shipped: int = 0
    shipped_bytes: int = 0
    failed: int = 0
    retries: int = 0
    outbox: int = 0
    last_shipped: float = 0.0
    trouble: str = ""
    _counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCIES) + 1))
    _seconds: float = 0.0

    def took(self, seconds: float) -> None:
        """Count the latency of a file that was shipped: from its last change until S3 provably held it."""
        self._counts[bisect_left(LATENCIES, seconds)] += 1
        self._seconds += seconds

    def latency(self) -> tuple[list[tuple[str, int]], float]:
        """Return how many files took at most so long (``le`` of Prometheus), and the sum of seconds."""
        cumulated, total = [], 0
        for bound, count in zip((*map(_number, LATENCIES), "+Inf"), self._counts, strict=True):
            total += count
            cumulated.append((bound, total))
        return cumulated, self._seconds


def render(vitals: Vitals) -> str:
    """Return the metrics in Prometheus' text format. Pure."""
    return "".join(f"{line}\n" for line in _lines(vitals))


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``PORT``, ``HOST:PORT`` or ``[IPv6]:PORT``; without a host it is the loopback.

    Port 0 is any free one.

    Raises:
        ConfigError: It is none of these.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    is_host = bracketed or (":" not in host and bool(host) == bool(colon))
    if not (is_host and port.isascii() and port.isdecimal() and int(port) <= _HIGHEST_PORT):
        raise ConfigError(f"{text!r} is no port", hint="write 9310, 0.0.0.0:9310 or [::]:9310")
    return (host[1:-1] if bracketed else host) or LOOPBACK, int(port)


class HealthServer:
    """Answers ``GET /healthz`` and ``GET /metrics`` while its ``async with`` block lasts.

    ``/healthz`` is 200 while all is well, and 503 with the reason while nothing can be shipped.

    Args:
        vitals: Called for each answer.
        host: The interface; the loopback one unless stated, for nobody is asked who they are.
        port: 0 for any free one.
    """

    def __init__(self, vitals: Callable[[], Vitals], *, host: str = LOOPBACK, port: int = 0) -> None:
        self._vitals = vitals
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._ongoing: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: the host, and the port that was chosen."""
        if self._server is None:
            raise RuntimeError("the server listens only within its block")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def __aenter__(self) -> Self:
        """Listen. Raises SpoolError where that cannot be."""
        try:
            self._server = await asyncio.start_server(
                self._connected, self._host, self._port, limit=_LONGEST_HEAD
            )
        except OSError as error:
            raise SpoolError(
                f"cannot listen on {self._host} port {self._port}: {error.strerror or error}",
                hint="choose another port, or 0 for any free one",
            ) from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in self._ongoing:
            task.cancel()
        await asyncio.gather(*self._ongoing, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._ongoing) >= _MOST:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._ongoing.add(task)
        task.add_done_callback(self._ongoing.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Who says nothing, too much or goes away gets no answer: there is nothing to tell them.
            with contextlib.suppress(
                OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            writer.transport.abort()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        status, kind, text = HTTPStatus.OK, _TEXT, ""
        if method not in {b"GET", b"HEAD"}:
            status, text = HTTPStatus.METHOD_NOT_ALLOWED, "GET /healthz, GET /metrics\n"
        elif path == b"/metrics":
            kind, text = _PROMETHEUS, render(self._vitals())
        elif path == b"/healthz":
            trouble = " ".join(self._vitals().trouble.split())
            status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
            text = f"{trouble or 'ok'}\n"
        else:
            status, text = HTTPStatus.NOT_FOUND, "GET /healthz, GET /metrics\n"
        body = text.encode(errors="backslashreplace")
        allow = "allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n{allow}content-type: {kind}\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        return lines.encode("ascii") + (b"" if method == b"HEAD" else body)


def _lines(vitals: Vitals) -> Iterator[str]:
    for name, kind, text, value in (
        ("backlog_files", "gauge", "Finished files that wait or are under way.", vitals.files),
        ("backlog_bytes", "gauge", "Bytes of the files of the backlog.", vitals.bytes),
        ("oldest_age_seconds", "gauge", "Age of the oldest file of the backlog.", vitals.oldest_age),
        ("shipped_files_total", "counter", "Files that S3 provably holds.", vitals.shipped),
        ("shipped_bytes_total", "counter", "Bytes of these files.", vitals.shipped_bytes),
        ("failed_files_total", "counter", "Files that were given up.", vitals.failed),
        ("retries_total", "counter", "Attempts beyond the first.", vitals.retries),
        ("outbox_batches", "gauge", "Lists of batches still to be delivered.", vitals.outbox),
        ("last_shipped_timestamp_seconds", "gauge", "When a file was last shipped.", vitals.last_shipped),
        ("up", "gauge", "1 while files can be shipped, else 0.", int(not vitals.trouble)),
    ):
        yield from _head(name, kind, text)
        yield f"haul_ship_{name} {_number(value)}"
    yield from _head("latency_seconds", "histogram", "From a file's last change until S3 provably held it.")
    buckets, seconds = vitals.latency()
    for bound, count in buckets:
        yield f'haul_ship_latency_seconds_bucket{{le="{bound}"}} {count}'
    yield f"haul_ship_latency_seconds_sum {_number(seconds)}"
    yield f"haul_ship_latency_seconds_count {buckets[-1][1]}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP haul_ship_{name} {text}"
    yield f"# TYPE haul_ship_{name} {kind}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
