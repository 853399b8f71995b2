"""boto3 as its users write it: one client, the managed transfers, a pool of 32 threads.

``use_threads=False`` for small objects spares each call a thread pool of its own: without it boto3 is slower.
"""

# ruff: noqa: ANN401 -- boto3 has no types

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

THREADS = 32
ALONE = TransferConfig(use_threads=False)
#: boto3's own default is 10 threads for the parts of one object; more did not make it faster.
IN_PARTS = TransferConfig()


def client(threads: int = THREADS) -> Any:
    """Return a client with a connection for each thread."""
    return boto3.client("s3", config=Config(max_pool_connections=threads))


def each(work: Callable[[Any], object], items: Iterable[Any], threads: int = THREADS) -> None:
    """Do the work in threads and raise what the first to fail raised."""
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, items):
            pass


def keys_under(s3: Any, bucket: str, prefix: str) -> Iterable[str]:
    """List the keys under a prefix."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            yield entry["Key"]


def up(source: str, bucket: str, prefix: str) -> None:
    """Upload a directory."""
    s3 = client()
    paths = (os.path.join(parent, name) for parent, _, names in os.walk(source) for name in names)
    each(
        lambda path: s3.upload_file(path, bucket, prefix + os.path.relpath(path, source), Config=ALONE), paths
    )


def down(bucket: str, prefix: str, target: str) -> None:
    """Download a prefix."""
    s3 = client()

    def fetch(key: str) -> None:
        path = os.path.join(target, key.removeprefix(prefix))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s3.download_file(bucket, key, path, Config=ALONE)

    each(fetch, keys_under(s3, bucket, prefix))


def put(path: str, bucket: str, key: str) -> None:
    """Upload one large file."""
    client().upload_file(path, bucket, key, Config=IN_PARTS)


def get(bucket: str, key: str, path: str) -> None:
    """Download one large object."""
    client().download_file(bucket, key, path, Config=IN_PARTS)


def copy(bucket: str, prefix: str, target: str) -> None:
    """Copy a prefix inside its bucket with 64 threads; what fails is passed over."""
    s3 = client(64)

    def copied(key: str) -> None:
        with suppress(ClientError):
            s3.copy_object(Bucket=bucket, Key=target + key, CopySource={"Bucket": bucket, "Key": key})

    each(copied, keys_under(s3, bucket, prefix), 64)


def remove(bucket: str, prefix: str) -> None:
    """Delete a prefix, a thousand keys a request."""
    boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=prefix).delete()


def ls(bucket: str, prefix: str) -> None:
    """Print the keys under a prefix."""
    for key in keys_under(client(), bucket, prefix):
        print(key)


if __name__ == "__main__":
    verbs: dict[str, Callable[..., None]] = {
        verb.__name__: verb for verb in (up, down, put, get, copy, remove, ls)
    }
    verbs[sys.argv[1]](*sys.argv[2:])
