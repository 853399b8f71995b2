"""aiobotocore as its users write it: one client, 32 requests at a time."""

# ruff: noqa: ANN401, ASYNC230 -- untyped; small files are read where they are sent

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

IN_FLIGHT = 32


def client() -> Any:
    """Return a client with a connection for each request in flight."""
    return get_session().create_client("s3", config=AioConfig(max_pool_connections=IN_FLIGHT))


async def each(work: Callable[[str], Awaitable[object]], items: Iterable[str]) -> None:
    """Do the work, as many at a time as IN_FLIGHT says, and raise what the first to fail raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def keys_under(s3: Any, bucket: str, prefix: str) -> AsyncIterator[str]:
    """List the keys under a prefix."""
    async for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            yield entry["Key"]


async def down(bucket: str, prefix: str, target: str) -> None:
    """Download a prefix."""
    async with client() as s3:

        async def fetch(key: str) -> None:
            path = os.path.join(target, key.removeprefix(prefix))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            answer = await s3.get_object(Bucket=bucket, Key=key)
            with open(path, "wb") as file:
                file.write(await answer["Body"].read())

        await each(fetch, [key async for key in keys_under(s3, bucket, prefix)])


if __name__ == "__main__":
    verbs = {"down": down}
    asyncio.run(verbs[sys.argv[1]](*sys.argv[2:]))
