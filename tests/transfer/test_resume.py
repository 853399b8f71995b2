"""Records of uploads: written in the order of their protocol, and forgotten once they say nothing more."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest
from tests.transfer.stumbling import Stumbling, always

from haulyard.errors import AccessDenied, Conflict
from haulyard.models import Checksum, PartInfo
from haulyard.transfer.resume import Intent, UploadRecord, forget_completed, noted_parts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PART = PartInfo(1, "etag", 100, Checksum("CRC64NVME", "AAAAAAAAAAA="))


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def intent(store: Stumbling | None = None, **changes: object) -> Intent:
    made = Intent((1, 2, "x"), 100, "properties", "token", store.identity if store else "store", "k")
    return made._replace(**changes)  # type: ignore[arg-type]


def records(state: str) -> list[str]:
    return os.listdir(state + "/uploads")


def test_what_was_written_is_read_again(state: str) -> None:
    record = UploadRecord.open(state, "source", "destination")
    assert (record.intent, record.upload_id, record.parts) == (None, "", {})
    record.begin(intent())
    record.created("id")
    record.finished(PART)
    record.finished(PART._replace(number=2, checksum=None))
    record.completing()
    record.close()
    record.close()
    again = UploadRecord.open(state, "source", "destination")
    assert again.intent == intent()
    assert again.upload_id == "id"
    assert again.parts == {1: PART, 2: PART._replace(number=2, checksum=None)}
    assert again.is_completing
    again.begin(intent(token="other"))
    assert (again.upload_id, again.parts, again.is_completing) == ("", {}, False)
    again.remove()
    assert records(state) == []


def test_parts_that_are_written_down_are_counted_while_another_writes(state: str) -> None:
    assert noted_parts(state, "store", "k") == 0
    record = UploadRecord.open(state, "source", "destination")
    assert noted_parts(state, "store", "k") == 0
    record.begin(intent())
    record.created("id")
    record.finished(PART)
    record.finished(PART._replace(number=2))
    record.completing()
    other = UploadRecord.open(state, "source", "other")
    other.begin(intent(key="other"))
    other.finished(PART)
    (written,) = (name for name in records(state) if os.stat(f"{state}/uploads/{name}").st_size > 300)
    with open(f"{state}/uploads/{written}", "ab") as file:
        file.write(b'{"part":3')
    assert noted_parts(state, "store", "k") == 2
    assert noted_parts(state, "store", "other") == 1
    assert noted_parts(state, "another store", "k") == 0
    record.remove()
    assert noted_parts(state, "store", "k") == 0
    other.close()


def test_only_its_owner_may_read_a_record(state: str) -> None:
    UploadRecord.open(state, "source", "destination").close()
    (name,) = records(state)
    assert os.stat(f"{state}/uploads").st_mode & 0o777 == 0o700
    assert os.stat(f"{state}/uploads/{name}").st_mode & 0o777 == 0o600


def test_a_record_has_one_owner_at_a_time(state: str) -> None:
    record = UploadRecord.open(state, "source", "destination")
    with pytest.raises(Conflict):
        UploadRecord.open(state, "source", "destination")
    UploadRecord.open(state, "source", "other").close()
    record.close()
    UploadRecord.open(state, "source", "destination").close()


def test_a_record_that_is_removed_while_it_is_opened_is_made_anew(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    UploadRecord.open(state, "source", "destination").close()
    (name,) = records(state)
    flock, rounds = fcntl.flock, iter(("removed", "replaced"))

    def slow(fd: int, how: int) -> None:
        match next(rounds, ""):
            case "removed":
                os.unlink(f"{state}/uploads/{name}")
            case "replaced":
                os.unlink(f"{state}/uploads/{name}")
                os.close(os.open(f"{state}/uploads/{name}", os.O_CREAT))
        flock(fd, how)

    monkeypatch.setattr("haulyard.transfer.resume.fcntl.flock", slow)
    record = UploadRecord.open(state, "source", "destination")
    record.begin(intent())
    assert records(state) == [name]
    # Somebody cleans the directory up while the upload runs.
    os.unlink(f"{state}/uploads/{name}")
    record.remove()


def test_names_that_are_no_utf8_have_records_too(state: str) -> None:
    UploadRecord.open(state, "caf\udce9", "destination").close()
    assert len(records(state)) == 1


def test_an_upload_is_the_same_if_it_makes_the_same_of_the_same() -> None:
    assert intent().same_upload(intent(token="other", key="elsewhere"))
    assert not intent().same_upload(intent(source=(1, 2, "y")))
    assert not intent().same_upload(intent(part_size=5))
    assert not intent().same_upload(intent(properties="other"))


async def leave(state: str, store: Stumbling, *, key: str = "k", completing: bool = True) -> str:
    """Leave the record of an upload behind that is open, and return its id."""
    record = UploadRecord.open(state, "source", key)
    record.begin(intent(store, key=key))
    upload_id = await store.create_multipart(key)
    record.created(upload_id)
    if completing:
        record.completing()
    record.close()
    return upload_id


async def test_a_completed_upload_is_forgotten(state: str) -> None:
    store = Stumbling()
    await forget_completed(state, store)
    upload_id = await leave(state, store)
    await forget_completed(state, store)
    assert len(records(state)) == 1
    await store.abort_multipart("k", upload_id)
    await forget_completed(state, store)
    assert records(state) == []


async def test_nothing_else_is_forgotten(state: str) -> None:
    store, other = Stumbling(), Stumbling()
    for upload_id in (await leave(state, store, key="unfinished", completing=False),):
        await store.abort_multipart("unfinished", upload_id)
    await other.abort_multipart("k", await leave(state, other, key="elsewhere"))
    UploadRecord.open(state, "source", "empty").close()
    held = UploadRecord.open(state, "source", "held")
    await forget_completed(state, store)
    assert len(records(state)) == 4
    held.close()


async def test_an_upload_with_parts_is_not_forgotten(state: str) -> None:
    store = Stumbling()
    upload_id = await leave(state, store)
    await store.put_part("k", upload_id, 1, b"x")
    await forget_completed(state, store)
    assert len(records(state)) == 1


async def test_where_the_store_does_not_say_nothing_is_forgotten(state: str) -> None:
    store = Stumbling()
    await leave(state, store)
    store.before["list_parts"] = always(AccessDenied("denied"))
    await forget_completed(state, store)
    assert len(records(state)) == 1


async def test_a_record_that_vanishes_meanwhile_is_no_error(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Stumbling()
    await leave(state, store)
    names = records(state)
    monkeypatch.setattr("haulyard.transfer.resume.os.listdir", lambda path: [*names, "gone.jsonl"])
    flock = fcntl.flock

    def remove(fd: int, how: int) -> None:
        os.unlink(f"{state}/uploads/{names[0]}")
        flock(fd, how)

    monkeypatch.setattr("haulyard.transfer.resume.fcntl.flock", remove)
    await forget_completed(state, store)
