"""Looks into the store after a trial; a process of its own, since the harness has to stay small.

``count BUCKET PREFIX`` prints the number of objects and their bytes; ``fetch BUCKET KEY FILE`` downloads one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable


def store_of(bucket: str) -> S3Store:
    """Return the store of a bucket, at the endpoint of the environment."""
    return S3Store(bucket, endpoint=os.environ["AWS_ENDPOINT_URL_S3"], client_options={"allow_http": True})


def count(bucket: str, prefix: str) -> None:
    """Print how many objects there are under a prefix, and how many bytes they hold."""
    sizes = [entry["size"] for page in obstore.list(store_of(bucket), prefix) for entry in page]
    print(len(sizes), sum(sizes))


def fetch(bucket: str, key: str, path: str) -> None:
    """Download one object."""
    with open(path, "wb") as file:
        file.writelines(obstore.get(store_of(bucket), key).stream())


if __name__ == "__main__":
    verbs: dict[str, Callable[..., None]] = {"count": count, "fetch": fetch}
    verbs[sys.argv[1]](*sys.argv[2:])
