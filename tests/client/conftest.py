"""Both faces of the client, against the embedded store, with a bucket that no other test uses."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.conftest import Server

    Connect = Callable[..., AbstractAsyncContextManager[AsyncClient]]


@pytest.fixture
def settings(seaweedfs: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "endpoint_url": seaweedfs.endpoint_url,
        "access_key": seaweedfs.access_key,
        "secret_key": seaweedfs.secret_key,
        "region": seaweedfs.region,
        "state_dir": str(tmp_path_factory.getbasetemp() / "state"),
    }


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(**settings) as client:
        yield client


@pytest.fixture
def blocking(settings: dict[str, Any]) -> Iterator[Client]:
    with Client(**settings) as client:
        yield client


@pytest.fixture
def bucket(settings: dict[str, Any], bucket_name: Callable[[], str]) -> str:
    """The URI of a new bucket, with a slash at its end."""
    uri = f"s3://{bucket_name()}/"
    with Client(**settings) as client:
        client.make_bucket(uri)
    return uri


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Opens clients of a scripted server."""

    @asynccontextmanager
    async def connect(url: str, **settings: Any) -> AsyncIterator[AsyncClient]:
        given = {"region": "us-east-1", "state_dir": str(tmp_path / "state"), "retry_base_delay": "1ms"}
        keys = {"access_key": "key", "secret_key": "secret"}
        async with AsyncClient(endpoint_url=url, **{**given, **keys, **settings}) as client:
            yield client

    return connect


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with a few files in it."""
    root = tmp_path / "tree"
    write_tree(root, {"a.txt": b"a", "b.log": b"bb", "sub/c.txt": b"ccc", "sub/deep/d.txt": b"dddd"})
    return root


def write_tree(root: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


async def keys_below(client: AsyncClient, uri: str) -> list[str]:
    return sorted([info.key async for info in client.list(uri)])
