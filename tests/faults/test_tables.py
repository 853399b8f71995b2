"""Tables: what misbehaves below them changes no row, and mixes no two objects."""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from haulyard import (
    AsyncClient,
    IngestError,
    S3CredentialsError,
    S3IntegrityError,
    S3NetworkError,
    Throttled,
    read_table_async,
)
from haulyard.ingest import fetching
from haulyard.testing.faults import Fault, error_xml

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from haulyard.testing.faults import FaultServer, RecordedRequest

    Open = Callable[..., AbstractAsyncContextManager[AsyncClient]]

pytestmark = pytest.mark.anyio

ROWS = 200_000
SUM = sum(range(ROWS))


def _parquet() -> bytes:
    sink = io.BytesIO()
    table = pa.table({"n": range(ROWS), "text": [f"row {number}" for number in range(ROWS)]})
    pq.write_table(table, sink, row_group_size=ROWS // 4, compression="none", use_dictionary=False)
    return sink.getvalue()


CONTENTS = {
    "t.csv": b"n,text\n" + b"".join(b"%d,row %d\n" % (number, number) for number in range(ROWS)),
    "t.parquet": _parquet(),
}


@pytest.fixture(params=list(CONTENTS))
def key(request: pytest.FixtureRequest, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that is read by several ranges."""
    monkeypatch.setattr(fetching, "PART", 512 * 1024)
    name: str = request.param
    server.objects["bucket", name] = CONTENTS[name]
    return name


@pytest.fixture
def opened(server: FaultServer, tmp_path: Path) -> Open:
    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncGenerator[AsyncClient]:
        given = {"endpoint_url": server.url, "region": "us-east-1", "retry_base_delay": "1ms"}
        keys = {"access_key": "key", "secret_key": "secret", "state_dir": str(tmp_path)}
        async with AsyncClient(**{**given, **keys, **settings}) as client:
            yield client

    return opened


def is_later(request: RecordedRequest) -> bool:
    """Whether a range is asked for behind what was asked for first."""
    return not request.headers.get("range", "bytes=0").startswith(("bytes=0", "bytes=-"))


async def total(client: AsyncClient, key: str) -> int:
    """Return the sum of a column whose rows are all there."""
    table, info = await read_table_async(f"s3://bucket/{key}", client=client)
    assert (info.rows, info.rejected) == (ROWS, 0)
    return sum(table["n"].to_pylist())


@pytest.mark.row("broken body")
@pytest.mark.parametrize("how", ["truncate", "reset_after"])
async def test_bodies_that_break_off_lose_no_row(
    server: FaultServer, opened: Open, key: str, how: Any
) -> None:
    """Body reset or cut short: resume from the offset."""
    fault: dict[str, Any] = {how: 100_000}
    server.script(Fault("GetObject", key=key, attempts=(1, 2, 4), **fault))
    async with opened() as client:
        assert await total(client, key) == SUM


@pytest.mark.row("broken body")
async def test_a_body_that_never_goes_on_is_an_error_and_no_short_table(
    server: FaultServer, opened: Open, key: str
) -> None:
    """Body reset or cut short: never a short table."""
    server.script(
        Fault("GetObject", key=key, reset_after=50_000, times=1),
        Fault("GetObject", key=key, reset_after=0, attempts="all", where=is_later),
    )
    async with opened(retries=2) as client:
        with pytest.raises(S3NetworkError):
            await total(client, key)


@pytest.mark.row("replaced meanwhile")
async def test_a_table_is_never_mixed_of_two_objects(server: FaultServer, opened: Open, key: str) -> None:
    """Object replaced between two ranges: every range carries If-Match."""
    server.script(Fault("GetObject", key=key, change_etag=True, where=is_later, times=1))
    async with opened() as client:
        with pytest.raises(IngestError, match=f"s3://bucket/{key} was replaced"):
            await total(client, key)


@pytest.mark.row("throttling")
async def test_throttling_slows_reading_down_and_loses_nothing(
    server: FaultServer, opened: Open, key: str
) -> None:
    """503 SlowDown: back off, and go on."""
    server.script(Fault("GetObject", key=key, status=503, body=error_xml("SlowDown"), times=1))
    events: list[Any] = []
    async with opened(on_event=events.append) as client:
        assert await total(client, key) == SUM
    assert any(isinstance(event, Throttled) for event in events)


@pytest.mark.row("transient")
async def test_servers_that_fail_now_and_then_are_asked_again(
    server: FaultServer, opened: Open, key: str
) -> None:
    """500, 502, 504: retry."""
    server.script(Fault("GetObject", key=key, status=500, attempts=(1,)))
    async with opened() as client:
        assert await total(client, key) == SUM


@pytest.mark.row("wrong range")
async def test_another_range_than_was_asked_for_is_rejected(
    server: FaultServer, opened: Open, key: str
) -> None:
    """A wrong Content-Range: reject."""
    server.script(Fault("GetObject", key=key, wrong_range="wrong", attempts="all"))
    async with opened() as client:
        with pytest.raises(S3IntegrityError):
            await total(client, key)


@pytest.mark.row("wrong region")
async def test_the_region_is_learned_from_the_answer(server: FaultServer, opened: Open, key: str) -> None:
    """301 or 400 with the bucket's region: sign for that."""
    server.script(Fault(redirect=(301, None, {"x-amz-bucket-region": "eu-central-1"}), times=1))
    async with opened() as client:
        assert await total(client, key) == SUM
    assert "/eu-central-1/s3/" in server.requests[-1].headers["authorization"]


@pytest.mark.row("expired credentials")
async def test_keys_that_expire_meanwhile_are_told(server: FaultServer, opened: Open, key: str) -> None:
    """ExpiredToken in mid-run, and nothing that could renew the keys."""
    server.script(Fault("GetObject", key=key, status=400, body=error_xml("ExpiredToken"), attempts="all"))
    async with opened(session_token="token") as client:
        with pytest.raises(S3CredentialsError):
            await total(client, key)
