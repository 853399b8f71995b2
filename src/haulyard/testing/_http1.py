"""As much of HTTP/1.1 as the scripted server needs: read a request, write an answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import StreamReader
    from collections.abc import Mapping

CHUNK: Final = 1 << 16
"""Bytes read or written at a time."""

_NO_BODY: Final = frozenset({204, 304})


class MalformedRequest(ValueError):
    """What arrived is no HTTP/1.1 request."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its headers.

    Attributes:
        method: As sent.
        target: Path and query exactly as they came on the wire.
        headers: Values by lower-case name; repeated ones are joined by a comma.
        keeps_alive: Whether the client expects the connection to stay open.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    keeps_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as the server means it; what goes out may be spoiled on the way.

    Attributes:
        status: The status code.
        headers: Values by name. `content-length` is that of `body` unless it is given.
        body: What follows; never sent to HEAD, nor with 204 and 304.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """Return this answer with some headers added or replaced."""
        return replace(self, headers={**self.headers, **headers})


async def read_head(reader: StreamReader) -> Head | None:
    """Read the next request's head, or return None where the client closed instead.

    Raises:
        MalformedRequest: If it is not HTTP/1.x.
    """
    line = await _line(reader)
    if not line:
        return None
    match line.decode("latin-1").split():
        case [method, target, version] if version.startswith("HTTP/1."):
            pass
        case _:
            raise MalformedRequest(f"not a request line: {line[:80]!r}")
    headers: dict[str, str] = {}
    while line := (await _line(reader)).rstrip(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise MalformedRequest(f"not a header: {line[:80]!r}")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    closes = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
    return Head(method, target, headers, not closes)


class IncomingBody:
    """A request body that can be read to its end, or only as far as a test wants.

    Attributes:
        data: What has been read so far.
        complete: Whether that is all of it.
    """

    def __init__(self, reader: StreamReader, head: Head) -> None:
        self._reader = reader
        self._chunked = "chunked" in head.headers.get("transfer-encoding", "").lower()
        self._left = 0 if self._chunked else _size(head.headers.get("content-length", "0"), 10)
        self.data = bytearray()
        self.complete = not self._chunked and self._left == 0

    async def read(self, until: int | None = None) -> None:
        """Read until `until` bytes are here in all, or to the end.

        Raises:
            ConnectionResetError: If the client left before that.
        """
        while not self.complete and (until is None or len(self.data) < until):
            if self._left == 0:
                await self._start_chunk()
                continue
            wanted = self._left if until is None else min(self._left, until - len(self.data))
            piece = await self._reader.read(min(wanted, CHUNK))
            if not piece:
                raise ConnectionResetError("the client left in the middle of its request")
            self.data += piece
            self._left -= len(piece)
            if self._left == 0:
                await self._end_piece()

    async def _start_chunk(self) -> None:
        size = (await _line(self._reader)).partition(b";")[0].strip()
        if not size:
            raise ConnectionResetError("the client left in the middle of its request")
        self._left = _size(size.decode("latin-1"), 16)
        if self._left == 0:
            # Trailers, if any, up to the empty line.
            while (await _line(self._reader)).strip():
                pass
            self.complete = True

    async def _end_piece(self) -> None:
        if self._chunked:
            await _line(self._reader)
        else:
            self.complete = True


async def _line(reader: StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise MalformedRequest("a line is longer than the reader's limit") from None


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if size < 0:
        raise MalformedRequest(f"not a size: {text[:80]!r}")
    return size


def render_head(answer: Answer, *, keep_alive: bool) -> bytes:
    """Return the status line and the headers as bytes."""
    headers = dict(answer.headers)
    if answer.status not in _NO_BODY:
        headers.setdefault("content-length", str(len(answer.body)))
    if not keep_alive:
        headers["connection"] = "close"
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def body_to_send(answer: Answer, method: str) -> memoryview:
    """Return the bytes that follow the head: none for HEAD, 204 and 304."""
    bodyless = method == "HEAD" or answer.status in _NO_BODY
    return memoryview(b"" if bodyless else answer.body)
