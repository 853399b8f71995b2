"""opendal, which has no layer for fsspec, as its users write it: the work of `with_fsspec.py`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import drawn  # type: ignore[import-not-found]  # beside this script
from opendal import AsyncOperator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

IN_FLIGHT = 64


def operator(bucket: str) -> AsyncOperator:
    """Return what works on a bucket, at the endpoint of the environment."""
    return AsyncOperator(
        "s3", bucket=bucket, endpoint=os.environ["AWS_ENDPOINT_URL_S3"], region=os.environ["AWS_REGION"]
    )


async def _each(work: Callable[[Any], Awaitable[object]], items: Iterable[Any]) -> None:
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def both(bucket: str, prefix: str, count: str, size: str) -> None:
    """Write objects, then read them."""
    store = operator(bucket)
    expected = drawn.body(int(size))
    paths = drawn.paths(prefix, int(count))
    same: list[str] = []

    async def read(path: str) -> None:
        if bytes(await store.read(path)) == expected:
            same.append(path)

    await _each(lambda path: store.write(path, expected), paths)
    await _each(read, paths)
    print(len(same))


async def find(bucket: str, prefix: str) -> None:
    """Find all objects; what a listing says of them comes along."""
    entries = await operator(bucket).list(prefix, recursive=True)
    print(len([entry.path async for entry in entries if not entry.path.endswith("/")]))


async def ranges(bucket: str, prefix: str, *numbers: str) -> None:
    """Read ranges, and print how many bytes came."""
    store = operator(bucket)
    sizes: list[int] = []

    async def read(wanted: tuple[str, int, int]) -> None:
        path, start, end = wanted
        sizes.append(len(bytes(await store.read(path, offset=start, size=end - start))))

    await _each(read, drawn.ranges(prefix, drawn.Draw(*map(int, numbers))))
    print(sum(sizes))


if __name__ == "__main__":
    verbs: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        verb.__name__: verb for verb in (both, find, ranges)
    }
    asyncio.run(verbs[sys.argv[1]](*sys.argv[2:]))
    # As obstore, it aborts now and then where it is left in the regular way.
    sys.stdout.flush()
    os._exit(0)
