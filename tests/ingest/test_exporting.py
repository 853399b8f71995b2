from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.ingest.premises import Pieces, batch

from haulyard.client.async_client import AsyncClient
from haulyard.client.session import session_of
from haulyard.errors import ConfigError, IngestError, NotFound, TooManyRejects
from haulyard.ingest.exporting import Destination, export
from haulyard.ingest.model import Reject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server

    from haulyard.ingest.loading import Loaded

pytestmark = pytest.mark.anyio

BAD = [Reject("mem://m/k", 3, "not a number")]
ROWS = batch(id=[1, 2], name=["Ann", 'B"ob'])


async def _export(pieces: Any, to: str, client: AsyncClient | None = None, **more: Any) -> Loaded:
    destination = Destination.parse(to)
    order = destination.order(more.pop("rejects", ""), more.pop("max_rejects", 0), None)
    session = session_of(client or AsyncClient())
    return await export(pieces, session, destination, order, lambda _: None, **more)


async def test_rows_become_a_parquet_file(tmp_path: Path) -> None:
    to = str(tmp_path / "a.parquet")
    loaded = await _export(Pieces(ROWS, ROWS), to)
    assert parquet.read_table(to).equals(pa.Table.from_batches([ROWS, ROWS]))
    assert (loaded.destination, loaded.rows_read, loaded.rows_loaded) == (to, 4, 4)
    assert os.listdir(tmp_path) == ["a.parquet"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '"id","name"\n1,"Ann"\n2,"B""ob"\n'),
        ("a.tsv", '"id"\t"name"\n1\t"Ann"\n2\t"B""ob"\n'),
    ],
)
async def test_rows_become_a_text_file(tmp_path: Path, name: str, text: str) -> None:
    to = str(tmp_path / name)
    await _export(Pieces(ROWS), to)
    assert (tmp_path / name).read_text() == text
    await _export(Pieces(ROWS, ROWS), f"{to}.gz")
    assert gzip.decompress((tmp_path / f"{name}.gz").read_bytes()).decode().count("Ann") == 2


async def test_rows_go_to_a_stream_once_their_types_are_known() -> None:
    written = bytearray()

    async def raw(data: Any) -> None:
        written.extend(data)

    pieces = Pieces(ROWS)
    pieces.later = ROWS.schema
    await _export(pieces, "-", raw=raw)
    assert bytes(written).startswith(b'"id","name"\n1,')
    assert pieces.asked == [ROWS.schema]


async def test_a_file_that_cannot_be_completed_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    pieces = Pieces(ROWS)
    pieces.failure = IngestError("cut")
    with pytest.raises(IngestError, match="cut"):
        await _export(pieces, str(path))
    with pytest.raises(TooManyRejects):
        await _export(Pieces(ROWS, rejects=BAD), str(path))
    assert path.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "a.csv.rejects.jsonl"]


async def test_rows_that_do_not_fit_are_beside_the_file(tmp_path: Path) -> None:
    loaded = await _export(Pieces(ROWS, rejects=BAD), str(tmp_path / "a.csv"), max_rejects=1)
    assert loaded.rows_rejected == 1
    assert json.loads((tmp_path / "a.csv.rejects.jsonl").read_text())["reason"] == "not a number"
    named = str(tmp_path / "r.jsonl")
    pieces = Pieces(ROWS, rejects=BAD)
    other = await _export(pieces, str(tmp_path / "a.csv"), max_rejects=1, rejects=named)
    assert other.rejects_file == named


async def test_rows_that_turn_out_to_have_other_types_are_written_anew(tmp_path: Path) -> None:
    pieces = Pieces(batch(a=[1]))
    pieces.later = pa.schema([("a", pa.float64())])
    await _export(pieces, str(tmp_path / "a.parquet"))
    assert parquet.read_table(str(tmp_path / "a.parquet")).schema == pieces.later


async def test_lists_do_not_go_into_csv(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="list"):
        await _export(Pieces(batch(a=[[1, 2]])), str(tmp_path / "a.csv"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("where", ["a.xlsx", "s3://b/k", "a.parquet.gz", "s3://b/a.csv?versionId=1"])
async def test_the_name_says_what_is_written(where: str) -> None:
    with pytest.raises(ConfigError):
        Destination.parse(where)


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such directory"):
        await _export(Pieces(ROWS), str(tmp_path / "no" / "a.csv"))


async def test_rows_become_an_object_or_nothing_does(
    seaweedfs: Server, bucket_name: Callable[[], str]
) -> None:
    bucket = bucket_name()
    async with AsyncClient(
        endpoint_url=seaweedfs.endpoint_url,
        access_key=seaweedfs.access_key,
        secret_key=seaweedfs.secret_key,
        region=seaweedfs.region,
    ) as client:
        await client.make_bucket(bucket)
        await _export(Pieces(ROWS), f"s3://{bucket}/a.csv", client)
        assert (await client.get(f"s3://{bucket}/a.csv")).startswith(b'"id","name"')
        failing = Pieces(ROWS)
        failing.failure = IngestError("cut")
        with pytest.raises(IngestError, match="cut"):
            await _export(failing, f"s3://{bucket}/b.csv", client)
        assert not await client.exists(f"s3://{bucket}/b.csv")
