"""Run a command until it copies its first object: ``first_copy.py PORT LOG COMMAND…``.

A store of its own listens on PORT: every key of the bucket ``source`` holds the empty object that
`half_done_job` plans, every other key nothing. The first CopyObject ends the command, killed as in a crash,
and this script; what the command wrote is in LOG. A command that ends without a copy is a failure.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import BinaryIO

#: What the store says of every object, and what is planned.
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
_HEAD = (
    f'HTTP/1.1 200 OK\r\nETag: "{ETAG}"\r\nContent-Length: 0\r\nContent-Type: binary/octet-stream\r\n'
    "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
).encode()
_ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


async def _is_copying(port: int, output: BinaryIO, command: list[str]) -> bool:
    """Run the command until its first copy; return whether there was one."""
    copied = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"PUT ") and b"\r\nx-amz-copy-source:" in head.lower():
                    copied.set()
                    break
                writer.write(_HEAD if b" /source/" in head.partition(b"\r\n")[0] else _ABSENT)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    arrival = asyncio.create_task(copied.wait())
    ending = asyncio.create_task(process.wait())
    await asyncio.wait((arrival, ending), return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        process.kill()
        await ending
    arrival.cancel()
    server.close()
    return copied.is_set()


def main(port: int, log: str, command: list[str]) -> int:
    """Return 0 if the command copied something."""
    with open(log, "w+b") as output:
        if asyncio.run(_is_copying(port, output, command)):
            return 0
        output.seek(0)
        sys.stderr.write(output.read().decode(errors="replace")[-1_000:])
        return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
