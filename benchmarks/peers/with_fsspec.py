"""Filesystems of fsspec as their users have them: LIBRARY VERB …, the same calls on each of them."""

# ruff: noqa: ANN401, SLF001 -- the libraries have no types; an underscore marks what fsspec awaits

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

# The directory of this script is where Python looks first.
import drawn  # type: ignore[import-not-found]  # beside this script
import fsspec
from fsspec.asyn import sync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

IN_FLIGHT = 64
#: Ranges that are asked for by one call, as who reads chunk after chunk does.
TOGETHER = 1_000


def haul() -> Any:
    """Return Haulyard's."""
    return fsspec.filesystem("haul", concurrency=IN_FLIGHT)


def s3fs() -> Any:
    """Return s3fs's, with as many connections as there are requests."""
    from s3fs import S3FileSystem

    return S3FileSystem(config_kwargs={"max_pool_connections": IN_FLIGHT})


def obstore() -> Any:
    """Return obstore's."""
    from obstore.fsspec import FsspecStore

    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    return FsspecStore("s3", endpoint=endpoint, client_options={"allow_http": True})


async def _each(work: Callable[[str], Awaitable[object]], items: Iterable[str]) -> None:
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def write(fs: Any, prefix: str, count: str, size: str) -> None:
    """Write objects, each by one call, in the loop that the plain methods use."""
    body = drawn.body(int(size))
    sync(fs.loop, _each, lambda path: fs._pipe_file(path, body), drawn.paths(prefix, int(count)))


def both(fs: Any, prefix: str, count: str, size: str) -> None:
    """Write objects, then read them."""
    write(fs, prefix, count, size)
    expected = drawn.body(int(size))
    same: list[str] = []

    async def read(path: str) -> None:
        if await fs._cat_file(path) == expected:
            same.append(path)

    sync(fs.loop, _each, read, drawn.paths(prefix, int(count)))
    print(len(same))


def find(fs: Any, prefix: str) -> None:
    """Find all objects, with what there is to say of them."""
    print(sum(each["type"] == "file" for each in fs.find(prefix, detail=True).values()))


def ranges(fs: Any, prefix: str, *numbers: str) -> None:
    """Read ranges, and print how many bytes came."""
    wanted = drawn.ranges(prefix, drawn.Draw(*map(int, numbers)))
    size = 0
    for first in range(0, len(wanted), TOGETHER):
        paths, starts, ends = map(list, zip(*wanted[first : first + TOGETHER], strict=True))
        size += sum(map(len, fs.cat_ranges(paths, starts, ends, on_error="raise")))
    print(size)


if __name__ == "__main__":
    libraries = {library.__name__: library for library in (haul, s3fs, obstore)}
    verbs: dict[str, Callable[..., None]] = {verb.__name__: verb for verb in (write, both, find, ranges)}
    verbs[sys.argv[2]](libraries[sys.argv[1]](), *sys.argv[3:])
    # obstore aborts now and then where it is left in the regular way (PyO3/pyo3-async-runtimes#40).
    sys.stdout.flush()
    os._exit(0)
