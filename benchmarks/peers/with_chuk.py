"""chuk-virtual-fs's own S3 provider as its users have it: VERB BUCKET PREFIX …."""

from __future__ import annotations

import asyncio
import os
import sys

import drawn  # type: ignore[import-not-found]  # beside this script
from chuk_virtual_fs.providers.s3 import S3StorageProvider


def provider(bucket: str, prefix: str) -> S3StorageProvider:
    """Return the provider."""
    return S3StorageProvider(bucket, prefix, endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])


async def write(bucket: str, prefix: str, count: str, size: str) -> None:
    """Write files by one call, and print how many that were."""
    files = provider(bucket, prefix)
    await files.initialize()
    body = drawn.body(int(size))
    print(sum(await files.batch_write([(path, body) for path in drawn.paths("/", int(count))])))
    await files.close()


async def read(bucket: str, prefix: str, count: str, size: str) -> None:
    """Read files by one call, and print how many hold what was written."""
    files = provider(bucket, prefix)
    await files.initialize()
    body = drawn.body(int(size))
    print(sum(found == body for found in await files.batch_read(drawn.paths("/", int(count)))))
    await files.close()


async def stream(bucket: str, prefix: str, name: str) -> None:
    """Stream a file, and print how many bytes came."""
    files = provider(bucket, prefix)
    await files.initialize()
    size = 0
    # With its default of 8 KiB it is slower still.
    async for piece in files.stream_read(f"/{name}", chunk_size=1 << 20):
        size += len(piece)
    print(size)
    await files.close()


if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in (write, read, stream)}
    asyncio.run(verbs[sys.argv[1]](*sys.argv[2:]))
