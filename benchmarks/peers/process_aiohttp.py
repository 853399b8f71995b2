"""aiohttp and aiolimiter on uvloop, csv.DictReader over the streamed object.

``process_aiohttp.py BUCKET KEY URL``. Each of the workers takes the next record from the reader, so that no
queue costs anything.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import os
import sys

import aiohttp
import boto3
import uvloop
from aiolimiter import AsyncLimiter

WORKERS = 64
#: More than it ever reaches: what the limiter costs counts, not what it holds back.
RATE = 50_000


async def main(bucket: str, key: str, url: str) -> None:
    """Send each record of an object in a call of its own."""
    client = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT_URL"])
    body = client.get_object(Bucket=bucket, Key=key)["Body"]
    reader = csv.DictReader(codecs.getreader("utf-8")(body))
    limiter = AsyncLimiter(RATE, 1)

    async def work(session: aiohttp.ClientSession) -> None:
        for record in reader:
            async with limiter, session.post(url, json=record) as answer:
                answer.raise_for_status()
                await answer.read()

    connector = aiohttp.TCPConnector(limit=WORKERS)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for _ in range(WORKERS):
            tasks.create_task(work(session))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
