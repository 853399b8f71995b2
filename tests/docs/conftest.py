"""What the examples of the documentation start from: an empty directory, a server, a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server


@pytest.fixture
def server(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """The embedded store, known by the environment as `haul local run` makes it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", seaweedfs.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.secret_key)
    monkeypatch.setenv("AWS_REGION", seaweedfs.region)
    return seaweedfs


@pytest.fixture
def demo(server: Server) -> Iterator[Client]:
    """A client, and the bucket ``demo`` with nothing in it."""
    with Client() as client:
        if client.exists("s3://demo"):
            client.delete_tree("s3://demo")
        else:
            client.make_bucket("s3://demo")
        yield client
        client.delete_tree("s3://demo")
        client.remove_bucket("s3://demo")
