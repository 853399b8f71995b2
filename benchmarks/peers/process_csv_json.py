"""csv.DictReader and json in front of haul's own HTTP client: ``process_csv_json.py BUCKET KEY URL RECORDS``.

RECORDS go into one call, four calls are in flight.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import json
import os
import sys
from itertools import islice
from urllib.parse import urlsplit

import boto3
import uvloop

from haulyard.http import HttpClient

WORKERS = 4


async def main(bucket: str, key: str, url: str, records: str) -> None:
    """Send the records of an object, so many in one call."""
    client = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT_URL"])
    body = client.get_object(Bucket=bucket, Key=key)["Body"]
    reader = csv.DictReader(codecs.getreader("utf-8")(body))
    parts = urlsplit(url)
    origin, headers = f"{parts.scheme}://{parts.netloc}", {"content-type": "application/json"}

    async def work(sender: HttpClient) -> None:
        while batch := list(islice(reader, int(records))):
            answer = await sender.send("POST", origin, parts.path, "", headers, json.dumps(batch).encode())
            await answer.read()

    async with HttpClient() as sender, asyncio.TaskGroup() as tasks:
        for _ in range(WORKERS):
            tasks.create_task(work(sender))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
