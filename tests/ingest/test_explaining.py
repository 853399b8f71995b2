"""What is said of sources that may not be read, or are not there, as a real store answers."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.ingest.shelf import parquet

from haulyard import (
    AsyncClient,
    ConfigError,
    NotFound,
    S3CredentialsError,
    S3PermissionError,
    load_table_async,
    read_table_async,
    scan_async,
)
from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.conftest import Server
    from tests.ingest.shelf import Shelf

pytestmark = pytest.mark.anyio


def client_of(server: Server, state: Path) -> AsyncClient:
    return AsyncClient(
        endpoint_url=server.endpoint_url,
        access_key=server.access_key,
        secret_key=server.secret_key,
        region=server.region,
        state_dir=str(state),
    )


@pytest.fixture
async def bucket(seaweedfs: Server, tmp_path: Path, bucket_name: Callable[[], str]) -> AsyncIterator[str]:
    """A bucket with a file of CSV and one of Parquet."""
    uri = f"s3://{bucket_name()}"
    async with client_of(seaweedfs, tmp_path / "state") as client:
        await client.make_bucket(uri)
        await client.put(f"{uri}/a.csv", b"n\n1\n")
        await client.put(f"{uri}/a.parquet", parquet({"n": [1]}))
        yield uri


async def read(source: str, client: AsyncClient, **_: Any) -> None:
    await read_table_async(source, client=client)


async def scanned(source: str, client: AsyncClient, **_: Any) -> None:
    async with aclosing(scan_async(source, client=client)) as batches:
        async for batch in batches:
            assert batch.num_rows


async def load(source: str, client: AsyncClient, db: Path) -> None:
    await load_table_async(source, db=db, client=client)


@pytest.mark.parametrize("way", [read, scanned, load])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "", "*.csv"])
@pytest.mark.parametrize(
    ("wrong", "code", "hint"),
    [
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch", "does not belong to the access key id"),
        ({"access_key": "nobody"}, "InvalidAccessKeyId", "does not know the access key id"),
    ],
)
async def test_wrong_keys_are_said_to_be_wrong(
    seaweedfs: Server, bucket: str, tmp_path: Path, way: Any, name: str, wrong: Any, code: str, hint: str
) -> None:
    async with client_of(replace(seaweedfs, **wrong), tmp_path / "other") as client:
        with pytest.raises(S3CredentialsError) as caught:
            await way(f"{bucket}/{name}", client, db=tmp_path / "a.duckdb")
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert not (tmp_path / "a.duckdb").exists()


async def test_wrong_keys_are_said_to_be_wrong_of_what_a_manifest_names(
    seaweedfs: Server, bucket: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "keys.txt"
    manifest.write_text("a.csv\n")
    async with client_of(replace(seaweedfs, secret_key="wrong"), tmp_path / "other") as client:
        with pytest.raises(S3CredentialsError):
            await read_table_async(f"{bucket}/", manifest=manifest, client=client)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a/b.csv", "", "in/", "*.csv"])
async def test_a_bucket_that_does_not_exist_is_said_not_to(
    seaweedfs: Server, tmp_path: Path, bucket_name: Callable[[], str], name: str
) -> None:
    async with client_of(seaweedfs, tmp_path / "state") as client:
        with pytest.raises(NotFound, match="NoSuchBucket") as caught:
            await read_table_async(f"s3://{bucket_name()}/{name}", client=client)
    assert "check the bucket's name" in caught.value.hint


async def test_a_denied_object_names_the_action_that_is_missing(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", "n\n1\n")
    shelf.server.script(
        Fault("HeadObject", attempts="all", status=403), Fault("GetObject", attempts="all", status=403)
    )
    with pytest.raises(S3PermissionError) as caught:
        await read_table_async(uri, client=shelf.client)
    assert "s3:GetObject" in caught.value.hint


async def test_an_answer_without_a_reason_is_told_where_the_next_one_has_none(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", "n\n1\n")
    shelf.server.script(Fault("HeadObject", attempts="all", status=403))
    with pytest.raises(S3PermissionError, match="HeadObject"):
        await read_table_async(uri, client=shelf.client)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("s3://bucket/in", "end it in a slash, or add recursive=True"),
        ("haul://bucket/in/t.csv", "write s3://bucket/in/t.csv"),
    ],
)
async def test_what_was_meant_is_told_as_python_has_it(shelf: Shelf, source: str, hint: str) -> None:
    shelf.put("in/t.csv", "n\n1\n")
    with pytest.raises(ConfigError) as caught:
        await read_table_async(source, client=shelf.client)
    assert hint in caught.value.hint


async def test_nothing_below_a_prefix_without_a_slash_may_be_an_object(shelf: Shelf) -> None:
    with pytest.raises(NotFound) as caught:
        await read_table_async("s3://bucket/zzz", recursive=True, client=shelf.client)
    assert caught.value.hint == "a single object is named without recursive=True"
    with pytest.raises(NotFound) as caught:
        await read_table_async("s3://bucket/*.csv", client=shelf.client)
    assert caught.value.hint == ""
