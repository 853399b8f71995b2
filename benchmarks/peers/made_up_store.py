"""A store that makes its objects up: ``made_up_store.py WIDTH``; prints its port.

Every key ``SIZE.csv`` of every bucket is a CSV of about SIZE bytes with lines of WIDTH bytes, told from their
numbers alone: any range of it, with ETag and If-Match. No signature is looked at.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress

import uvloop

#: Columns beside the number that each line begins with.
COLUMNS = 8
HEADER = b"number," + b",".join(b"column_%d" % column for column in range(COLUMNS)) + b"\n"
_DIGITS = 12
#: Bytes that are made and sent at a time.
_PIECE = 1 << 20
_REQUEST = re.compile(rb"(GET|HEAD) /[^/]+/(\d+)\.csv[ ?]")
_RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-(\d*)", re.IGNORECASE)
_MATCH = re.compile(rb'\r\nif-match: *"([^"]*)"', re.IGNORECASE)


class MadeUp:
    """The bytes of one object, as many lines of ``width`` bytes as fit into ``size``."""

    def __init__(self, size: int, width: int) -> None:
        field = (width - _DIGITS - 1) // COLUMNS - 1
        fields = b"".join(b"," + b"abcdefghij"[column : column + 1] * field for column in range(COLUMNS))
        self._rest = fields + b"x" * (width - _DIGITS - 1 - len(fields)) + b"\n"
        self._width = width
        self.size = len(HEADER) + (size - len(HEADER)) // width * width

    def piece(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` up to ``end``."""
        first = max(0, (start - len(HEADER)) // self._width)
        last = max(0, -(-(end - len(HEADER)) // self._width))
        rest = self._rest
        lines = b"".join([b"%012d%b" % (number, rest) for number in range(first, last)])
        if first == 0:
            return (HEADER + lines)[start:end]
        offset = len(HEADER) + first * self._width
        return lines[start - offset : end - offset]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, width: int) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await _answer(head, writer, width)
    writer.close()


async def _answer(head: bytes, writer: asyncio.StreamWriter, width: int) -> None:
    asked = _REQUEST.match(head)
    if asked is None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return
    made = MadeUp(int(asked[2]), width)
    etag = b"%032x" % made.size
    if (match := _MATCH.search(head)) and match[1] != etag:
        writer.write(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n")
        return
    start, end, status = 0, made.size, b"200 OK"
    told = b""
    if found := _RANGE.search(head):
        start = int(found[1])
        end = min(made.size, int(found[2]) + 1) if found[2] else made.size
        status, told = (
            b"206 Partial Content",
            b"Content-Range: bytes %d-%d/%d\r\n" % (start, end - 1, made.size),
        )
    writer.write(
        b'HTTP/1.1 %b\r\nETag: "%b"\r\nContent-Type: text/csv\r\nAccept-Ranges: bytes\r\n%b'
        b"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n"
        % (status, etag, told, end - start)
    )
    if asked[1] == b"HEAD":
        return
    for piece in range(start, end, _PIECE):
        writer.write(made.piece(piece, min(end, piece + _PIECE)))
        await writer.drain()


async def _main(width: int) -> None:
    server = await asyncio.start_server(lambda r, w: _serve(r, w, width), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(int(sys.argv[1])))
