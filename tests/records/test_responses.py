from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.records.ledgers import START, make_job, make_ledger

from haulyard.errors import ConfigError, JobError, StoreError
from haulyard.records import responses as module
from haulyard.records.ledger import Commit, Ledger
from haulyard.records.model import Address
from haulyard.records.responses import Responses
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from haulyard.journal.folder import JobFolder
    from haulyard.stores.base import Store

pytestmark = pytest.mark.anyio


class _Job:
    """A job that keeps answers of about 130 bytes in segments of 350."""

    def __init__(self, folder: JobFolder, *, segment: int = 350) -> None:
        self.folder = folder
        self.ledger = Ledger.open(folder) if Ledger.exists(folder) else make_ledger(folder)
        self.answers = Responses.open(folder, self.ledger, segment=segment)

    def add(self, *rows: int, body: bytes = b'{"ok":true}') -> None:
        for row in rows:
            self.answers.add(Address(1, 0, row), 0, 200, body, START + row)

    def commit(self) -> None:
        taken = self.answers.take()
        self.answers.sync(taken)
        self.ledger.commit(Commit(answers=taken))
        self.answers.settle()

    def again(self) -> _Job:
        """Go on in another process, as it were."""
        self.ledger.close()
        return _Job(self.folder)

    def files(self) -> list[str]:
        directory = Path(self.folder.path, "responses")
        return sorted(os.listdir(directory)) if directory.exists() else []

    def rows(self) -> list[int]:
        directory = Path(self.folder.path, "responses")
        return [
            json.loads(line)["row"]
            for name in self.files()
            for line in (directory / name).read_bytes().splitlines()
        ]


@pytest.fixture
def job(tmp_path: Path) -> _Job:
    return _Job(make_job(str(tmp_path)))


async def _lines(store: Store, *keys: str) -> list[dict[str, Any]]:
    found = []
    for key in keys:
        async with await store.get(key) as reader:
            found += [json.loads(line) for line in (await reader.read()).splitlines()]
    return found


async def _keys(store: Store) -> list[str]:
    return [each.key async for page in store.list() for each in page.objects]


async def test_answers_arrive_with_their_addresses(job: _Job) -> None:
    job.add(3)
    job.add(4, body=b"not json\n")
    job.answers.add(Address(2, 50, 0), 1, 201, b"", START)
    job.answers.end_segment()
    job.commit()
    store = MemoryStore()
    assert await job.answers.deliver(store, "out/", "job") == 1
    first, second, third = await _lines(store, "out/job-00001.jsonl")
    assert first == {
        "object": "in/1.csv",
        "etag": "e1",
        "offset": 0,
        "row": 3,
        "part": 0,
        "status": 200,
        "answer": {"ok": True},
        "at": "2025-10-09T08:53:23.000Z",
    }
    assert second["answer"] == "not json\n"
    assert (third["object"], third["offset"], third["part"], third["answer"]) == ("in/2.csv", 50, 1, "")


async def test_segments_are_closed_when_they_are_long_delivered_in_order_and_forgotten(job: _Job) -> None:
    store = MemoryStore()
    for row in range(10):
        job.add(row)
        job.commit()
    assert job.files() == ["00001.jsonl", "00002.jsonl", "00003.jsonl", "00004.jsonl"]
    assert job.answers.due == 3
    assert await job.answers.deliver(store, "", "a") == 3
    job.answers.end_segment()
    job.commit()
    assert job.files() == ["00004.jsonl"]
    assert await job.answers.deliver(store, "", "a") == 1
    job.commit()
    assert job.files() == []
    keys = await _keys(store)
    assert keys == [f"a-{number:05}.jsonl" for number in range(1, 5)]
    assert [each["row"] for each in await _lines(store, *keys)] == list(range(10))


async def test_nothing_is_closed_where_nothing_was_kept(job: _Job) -> None:
    job.answers.end_segment()
    job.commit()
    assert job.answers.due == 0
    assert await job.answers.deliver(MemoryStore(), "", "a") == 0


def test_what_was_not_committed_is_cut_off(job: _Job) -> None:
    job.add(1)
    job.commit()
    job.add(2)
    # Killed between the sync and the commit.
    job.answers.sync(job.answers.take())
    assert job.rows() == [1, 2]
    job = job.again()
    assert job.rows() == [1]
    job.add(2)
    job.commit()
    assert job.again().rows() == [1, 2]


def test_a_segment_that_was_begun_and_not_committed_is_gone(job: _Job) -> None:
    job.add(1, 2, 3)
    job.commit()
    job.add(4)
    job.answers.sync(job.answers.take())
    assert job.files() == ["00001.jsonl", "00002.jsonl"]
    job = job.again()
    assert job.rows() == [1, 2, 3]
    job.add(4)
    job.commit()
    assert job.rows() == [1, 2, 3, 4]


def test_a_segment_whose_closing_was_not_committed_is_not_due(job: _Job) -> None:
    job.add(1, 2, 3)
    taken = job.answers.take()
    assert job.answers.due == 0
    job.answers.sync(taken)
    assert job.answers.due == 0
    job.ledger.commit(Commit(answers=taken))
    assert job.answers.due == 1


async def test_a_delivery_that_was_not_committed_is_made_again(job: _Job) -> None:
    store = MemoryStore()
    job.add(1, 2, 3)
    job.commit()
    await job.answers.deliver(store, "", "a")
    # Killed before the commit that says so: the file must still be there.
    job = job.again()
    assert job.answers.due == 1
    await job.answers.deliver(store, "", "a")
    job.commit()
    job = job.again()
    assert (job.answers.due, job.files()) == (0, [])
    assert [each["row"] for each in await _lines(store, "a-00001.jsonl")] == [1, 2, 3]


async def test_a_delivered_segment_that_was_not_yet_removed_is_removed_later(job: _Job) -> None:
    job.add(1, 2, 3)
    job.commit()
    await job.answers.deliver(MemoryStore(), "", "a")
    taken = job.answers.take()
    job.answers.sync(taken)
    job.ledger.commit(Commit(answers=taken))
    # Killed before `settle`.
    assert job.files() == ["00001.jsonl"]
    assert job.again().files() == []


async def test_a_store_that_refuses_is_asked_another_time(job: _Job, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    job.add(1, 2, 3)
    job.commit()

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("no")

    with monkeypatch.context() as patched:
        patched.setattr(module, "upload_file", refuse)
        with pytest.raises(StoreError):
            await job.answers.deliver(store, "", "a")
    assert await job.answers.deliver(store, "", "a") == 1


async def test_they_can_go_into_a_directory(job: _Job, tmp_path: Path) -> None:
    job.add(1, 2, 3)
    job.commit()
    await job.answers.deliver(LocalStore(tmp_path / "out"), "", "a")
    assert len(Path(tmp_path, "out", "a-00001.jsonl").read_bytes().splitlines()) == 3


async def test_parquet_has_the_same_rows_in_row_groups(job: _Job, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    from haulyard.records import answers_parquet

    monkeypatch.setattr(answers_parquet, "_GROUP", 2)
    job.add(1, 2)
    job.add(3, body=b"text")
    job.commit()
    out = Path(job.folder.path).parent / "out"
    await job.answers.deliver(LocalStore(out), "", "a", form="parquet")
    file = parquet.ParquetFile(out / "a-00001.parquet")
    assert file.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    table = file.read()
    assert table.column("row").to_pylist() == [1, 2, 3]
    assert table.column("answer").to_pylist() == ['{"ok":true}', '{"ok":true}', "text"]
    assert [at.timestamp() for at in table.column("at").to_pylist()] == [START + 1, START + 2, START + 3]
    job.commit()
    assert job.files() == []


async def test_without_pyarrow_it_says_what_to_install(job: _Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    job.add(1, 2, 3)
    job.commit()
    with pytest.raises(ConfigError, match="need pyarrow") as caught:
        await job.answers.deliver(MemoryStore(), "", "a", form="parquet")
    assert "haulyard[data]" in caught.value.hint


@pytest.mark.parametrize("rows", [(1,), (1, 2, 3)])
def test_answers_that_are_lost_are_said(job: _Job, rows: tuple[int, ...]) -> None:
    job.add(*rows)
    job.commit()
    path = Path(job.folder.path, "responses", "00001.jsonl")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JobError, match="not there any more"):
        job.again()


async def test_a_segment_that_grew_behind_our_back_is_not_delivered(job: _Job) -> None:
    job.add(1, 2, 3)
    job.commit()
    with Path(job.folder.path, "responses", "00001.jsonl").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(JobError, match="is damaged"):
        await job.answers.deliver(MemoryStore(), "", "a")


def test_what_somebody_else_writes_there_is_not_committed(job: _Job) -> None:
    job.add(1)
    job.commit()
    with Path(job.folder.path, "responses", "00001.jsonl").open("ab") as file:
        file.write(b"{}\n")
    job.add(2)
    with pytest.raises(JobError, match="somebody else"):
        job.commit()
    assert job.again().rows() == [1]


def test_without_room_nothing_is_committed(job: _Job) -> None:
    Path(job.folder.path, "responses").write_bytes(b"in the way")
    job.add(1)
    with pytest.raises(JobError, match="nothing further was done"):
        job.answers.sync(job.answers.take())
    assert job.ledger.state().answers is None
