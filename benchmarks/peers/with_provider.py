"""`haulyard.fs.S3Provider` as its users have it: VERB BUCKET PREFIX …."""

from __future__ import annotations

import sys

import drawn  # type: ignore[import-not-found]  # beside this script
import uvloop

from haulyard.fs import S3Provider, S3ProviderConfig


async def write(bucket: str, prefix: str, count: str, size: str) -> None:
    """Write files by one call, and print how many that were."""
    body = drawn.body(int(size))
    async with S3Provider(S3ProviderConfig(bucket, prefix)) as provider:
        outcomes = await provider.batch_write([(path, body) for path in drawn.paths("", int(count))])
    print(sum(outcome.ok for outcome in outcomes))


async def read(bucket: str, prefix: str, count: str, size: str) -> None:
    """Read files by one call, and print how many hold what was written."""
    body = drawn.body(int(size))
    async with S3Provider(S3ProviderConfig(bucket, prefix)) as provider:
        outcomes = await provider.batch_read(drawn.paths("", int(count)))
    print(sum(outcome.value == body for outcome in outcomes))


async def stream(bucket: str, prefix: str, name: str) -> None:
    """Stream a file, and print how many bytes came."""
    size = 0
    async with S3Provider(S3ProviderConfig(bucket, prefix)) as provider:
        async for piece in provider.stream_read(name):
            size += len(piece)
    print(size)


if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in (write, read, stream)}
    uvloop.run(verbs[sys.argv[1]](*sys.argv[2:]))
