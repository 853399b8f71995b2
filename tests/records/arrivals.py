"""A server that answers each line with a line; run as a program, it prints its port, and at the end its log.

The log are the times of arrival (monotonic, which processes of one machine share), one a line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop


class Log(asyncio.Protocol):
    """One connection; the log is that of all."""

    arrivals: list[float]

    def __init__(self, arrivals: list[float]) -> None:
        self.arrivals = arrivals

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        for _ in range(data.count(b"\n")):
            self.arrivals.append(now)
            self._transport.write(b"\n")


async def serve() -> None:
    arrivals: list[float] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Log(arrivals), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Until whoever started it closes the input, or ends.
    await loop.run_in_executor(None, sys.stdin.read)
    sys.stdout.write("\n".join(map(repr, arrivals)))


if __name__ == "__main__":
    uvloop.run(serve())
