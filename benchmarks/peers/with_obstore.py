"""obstore as its users write it: the async functions, 32 at a time."""

# ruff: noqa: ASYNC230, ASYNC240 -- small files are read where they are sent

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable

IN_FLIGHT = 32
#: The size of a part of a large object, in bytes; obstore's own default for uploads is 5 MiB.
PART = 8 << 20


def store_of(bucket: str) -> S3Store:
    """Return the store of a bucket, at the endpoint of the environment."""
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    return S3Store(bucket, endpoint=endpoint, client_options={"allow_http": True})


async def each(work: Callable[[str], Awaitable[object]], items: Iterable[str]) -> None:
    """Do the work, as many at a time as IN_FLIGHT says, and raise what the first to fail raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def keys_under(store: S3Store, prefix: str) -> AsyncIterator[str]:
    """List the keys under a prefix."""
    async for page in obstore.list(store, prefix, chunk_size=1000):
        for entry in page:
            yield entry["path"]


async def up(source: str, bucket: str, prefix: str) -> None:
    """Upload a directory."""
    store = store_of(bucket)

    async def send(path: str) -> None:
        with open(path, "rb") as file:
            body = file.read()
        await obstore.put_async(store, prefix + os.path.relpath(path, source), body)

    await each(send, (os.path.join(parent, name) for parent, _, names in os.walk(source) for name in names))


async def down(bucket: str, prefix: str, target: str) -> None:
    """Download a prefix."""
    store = store_of(bucket)

    async def fetch(key: str) -> None:
        path = os.path.join(target, key.removeprefix(prefix))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        await _fetch(store, key, path)

    await each(fetch, [key async for key in keys_under(store, prefix)])


async def named(bucket: str, keys_file: str, target: str) -> None:
    """Download the keys of a file, one a line, into one directory."""
    store = store_of(bucket)
    with open(keys_file, encoding="utf-8") as lines:
        keys = lines.read().split()
    await each(lambda key: _fetch(store, key, os.path.join(target, os.path.basename(key))), keys)


async def _fetch(store: S3Store, key: str, path: str) -> None:
    answer = await obstore.get_async(store, key)
    with open(path, "wb") as file:
        file.write(await answer.bytes_async())


async def put(path: str, bucket: str, key: str) -> None:
    """Upload one large file."""
    await obstore.put_async(store_of(bucket), key, open(path, "rb"), chunk_size=PART)  # noqa: SIM115


async def get(bucket: str, key: str, path: str) -> None:
    """Download one large object as one stream."""
    answer = await obstore.get_async(store_of(bucket), key)
    with open(path, "wb") as file:
        async for chunk in answer.stream(min_chunk_size=1 << 20):
            file.write(chunk)


async def copy(bucket: str, prefix: str, target_prefix: str) -> None:
    """Copy a prefix inside its bucket."""
    store = store_of(bucket)

    async def one(key: str) -> None:
        await obstore.copy_async(store, key, target_prefix + key.removeprefix(prefix))

    await each(one, [key async for key in keys_under(store, prefix)])


async def ls(bucket: str, prefix: str) -> None:
    """Print the keys under a prefix."""
    async for key in keys_under(store_of(bucket), prefix):
        print(key)


if __name__ == "__main__":
    verbs: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        verb.__name__: verb for verb in (up, down, named, put, get, copy, ls)
    }
    asyncio.run(verbs[sys.argv[1]](*sys.argv[2:]))
    # Leaving in the regular way aborts now and then (PyO3/pyo3-async-runtimes#40).
    sys.stdout.flush()
    os._exit(0)
