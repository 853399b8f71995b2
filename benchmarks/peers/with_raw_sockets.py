"""The machine's limit: ranged GETs over bare sockets, received into a buffer and written where they belong.

No signature, no checksum, no retry. Four threads; the interpreter's lock is released while the kernel copies.
"""

from __future__ import annotations

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

THREADS = 4
#: Bytes of one receive.
BUFFER = 1 << 20


def receive(address: tuple[str, int], path: str, fd: int, span: tuple[int, int]) -> None:
    """Fetch the bytes of ``span`` (first, one past the last) and write them at their place."""
    offset, end = span
    with socket.create_connection(address) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {address[0]}\r\nRange: bytes={offset}-{end - 1}\r\n\r\n"
        connection.sendall(request.encode())
        view = memoryview(bytearray(BUFFER))
        filled = connection.recv_into(view)
        while (body := bytes(view[:filled]).find(b"\r\n\r\n")) < 0:
            filled += connection.recv_into(view[filled:])
        if not bytes(view[:15]).startswith(b"HTTP/1.1 206"):
            raise OSError(bytes(view[:15]))
        offset += os.pwrite(fd, view[body + 4 : filled], offset)
        while offset < end:
            count = connection.recv_into(view)
            if not count:
                raise ConnectionResetError(f"cut at {offset}")
            offset += os.pwrite(fd, view[:count], offset)


def main(host: str, port: str, path: str, size: str, target: str) -> None:
    """Download ``size`` bytes of ``path`` to ``target``."""
    total = int(size)
    step = -(-total // THREADS)
    spans = [(start, min(start + step, total)) for start in range(0, total, step)]
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(partial(receive, (host, int(port)), path, fd), spans))
    finally:
        os.close(fd)


if __name__ == "__main__":
    main(*sys.argv[1:])
