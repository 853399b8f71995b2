"""Records from Python: both faces, an API or a function, and what is left when a caller gives up."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from tests.records.working import csv_of, delivered

from haulyard import AsyncClient, Client, RecordError, TransferError
from haulyard.errors import ConfigError
from haulyard.events import RecordFailed, RecordsEnded
from haulyard.records.async_processor import AsyncProcessor
from haulyard.records.processor import Processor
from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


def public(face: type) -> dict[str, object]:
    return {
        name: value
        for name, value in inspect.getmembers(face)
        if not name.startswith("_") and (callable(value) or isinstance(value, property))
    }


def plain(text: object) -> str:
    """Return an annotation as the blocking face writes it."""
    return str(text).replace("AsyncClient", "Client").replace("AsyncIterator", "Iterator")


METHODS = [name for name, value in public(AsyncProcessor).items() if callable(value)]


def test_both_faces_have_the_same_names() -> None:
    assert public(AsyncProcessor).keys() == public(Processor).keys()


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_both_faces_take_the_same_and_return_the_same(name: str) -> None:
    one, other = inspect.signature(getattr(AsyncProcessor, name)), inspect.signature(getattr(Processor, name))
    assert [plain(each) for each in one.parameters.values()] == list(map(str, other.parameters.values()))
    assert plain(one.return_annotation) == other.return_annotation


@pytest.mark.parametrize("name", METHODS)
def test_the_blocking_face_says_where_its_original_is(name: str) -> None:
    assert f"`AsyncProcessor.{name}`" in (inspect.getdoc(getattr(Processor, name)) or "")


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "in.csv"
    path.write_bytes(csv_of(300))
    return str(path)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(job_dir=str(tmp_path / "jobs")) as client:
        yield client


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as api:
        yield api


@pytest.mark.anyio
async def test_records_go_to_an_api_and_events_tell_of_them(
    client: AsyncClient, source: str, api: ApiServer
) -> None:
    api.script(Rule(422, contains='"7"'))
    events: list[Any] = []
    job = AsyncProcessor(client, source, api.url)
    status = await job.run(limits=(), check=False, on_event=events.append)
    assert (status.account.delivered, status.letters) == (299, 1)
    assert sorted(delivered(api.calls)) == [each for each in range(300) if each != 7]
    assert [each.status for each in events if isinstance(each, RecordFailed)] == [422]
    assert [each.done for each in events if isinstance(each, RecordsEnded)][-1] == 299
    assert [each["record"] async for each in job.dead_letters()] == [{"id": "7", "name": "n7"}]
    with pytest.raises(TransferError, match="1 records or objects of job"):
        await job.run(limits=())
    api.script()
    again = await AsyncProcessor(client, source, api.url).retry_failed(limits=())
    assert (again.account.delivered, again.letters) == (300, 0)


@pytest.mark.anyio
async def test_a_function_takes_the_place_of_an_api(client: AsyncClient, source: str) -> None:
    seen: list[str] = []
    failed: list[str] = []

    async def take(record: dict[str, str]) -> None:
        await asyncio.sleep(0)
        if record["id"] == "7":
            raise RecordError("not this one")
        if record["id"] == "8" and not failed:
            failed.append(record["id"])
            raise OSError("not now")
        seen.append(record["id"])

    job = AsyncProcessor(client, source, take)
    status = await job.run(limits=(), check=False)
    assert sorted(map(int, seen)) == [each for each in range(300) if each != 7]
    assert (status.account.delivered, status.account.rejected, status.account.retries) == (299, 1, 1)
    assert [each["reason"] async for each in job.dead_letters()] == ["not this one"]


@pytest.mark.anyio
async def test_a_function_takes_a_list_where_a_call_carries_several(client: AsyncClient, source: str) -> None:
    sizes: list[int] = []

    async def take(records: list[dict[str, str]]) -> int:
        sizes.append(len(records))
        await asyncio.sleep(0)
        return len(records)

    await AsyncProcessor(client, source, take, records_per_call=100).run(limits=())
    assert sizes == [100, 100, 100]


@pytest.mark.anyio
async def test_a_run_that_is_cancelled_leaves_nothing_alive_and_goes_on(
    client: AsyncClient, source: str, api: ApiServer
) -> None:
    api.script(Rule(hang=True, where=lambda call: call.number > 100))
    job = AsyncProcessor(client, source, api.url)
    before = asyncio.all_tasks()
    running = asyncio.create_task(job.run(limits=(), max_in_flight=5))
    await api.wait_for_async(count=105)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before
    assert (await job.status()).account.delivered == 100
    api.script()
    api.release()
    status = await job.run(limits=())
    assert status.account.delivered == 300
    assert set(delivered(api.calls)) == set(range(300))


@pytest.mark.anyio
async def test_a_preview_sends_nothing(client: AsyncClient, source: str, api: ApiServer) -> None:
    found = await AsyncProcessor(client, source, api.url, fields=["id"]).preview()
    assert (found.fields()["records"], api.calls) == (300, ())


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["nowhere", "ftp://x/y", "http://user:pass@host/"])
async def test_an_address_that_is_none_is_refused(client: AsyncClient, source: str, url: str) -> None:
    with pytest.raises(ConfigError):
        await AsyncProcessor(client, source, url).run()


def test_the_blocking_face_does_the_same(tmp_path: Path, source: str, api: ApiServer) -> None:
    api.script(Rule(422, contains='"7"'))
    with Client(job_dir=str(tmp_path / "jobs")) as client:
        job = Processor(client, source, api.url)
        assert job.run(limits=(), check=False).account.delivered == 299
        assert [each["status"] for each in job.dead_letters()] == [422]
        api.script()
        assert job.retry_failed(limits=()).account.delivered == 300
        assert job.status().letters == 0
        assert job.preview().fields()["records"] == 300
        assert job.path.endswith(job.name)
