"""The document's script: csv.DictReader over the streamed object, requests in twenty threads.

``process_requests.py BUCKET KEY URL``. Records are taken and sent in batches of 1,000, as it says.
"""

from __future__ import annotations

import codecs
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import boto3
import requests
from requests.adapters import HTTPAdapter

WORKERS = 20
BATCH = 1_000


def main(bucket: str, key: str, url: str) -> None:
    """Send each record of an object in a call of its own."""
    client = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT_URL"])
    body = client.get_object(Bucket=bucket, Key=key)["Body"]
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_connections=WORKERS, pool_maxsize=WORKERS))

    def send(record: dict[str, str]) -> None:
        session.post(url, json=record, timeout=30).raise_for_status()

    lines = codecs.getreader("utf-8")(body)
    reader = csv.DictReader(lines)
    with ThreadPoolExecutor(WORKERS) as pool:
        while batch := list(islice(reader, BATCH)):
            list(pool.map(send, batch))


if __name__ == "__main__":
    main(*sys.argv[1:])
