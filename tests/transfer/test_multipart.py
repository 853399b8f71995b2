"""Uploads that were killed, and what the same command makes of them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.transfer.stumbling import Stumbling, always, at, lost

from haulyard.checksums import compute
from haulyard.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    HaulError,
    PreconditionFailed,
    S3CredentialsError,
    S3NetworkError,
    S3NotFound,
    StoreError,
)
from haulyard.events import BytesMoved, Event, Warned
from haulyard.models import Encryption, PutOptions, Secret
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.upload import Uploader

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.events import TransferDone

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(250)) * 2


class Upload:
    """One file of five parts, uploaded again and again."""

    def __init__(self, directory: Path, store: Stumbling) -> None:
        self.path = directory / "root" / "file"
        self.path.parent.mkdir()
        self.path.write_bytes(CONTENT)
        self.state = directory / "state"
        self.store = store
        self.events: list[Event] = []
        self.options = TransferOptions(state_dir=str(self.state), part_size=100, part_concurrency=1)

    async def __call__(self, key: str = "k", **options: Any) -> TransferDone:
        source = LocalStore(self.path.parent)
        uploader = Uploader(source, self.store, replace(self.options, **options), self.events.append)
        return await uploader(Job(Item("file"), key))

    async def fails(self, error: type[BaseException], **options: Any) -> BaseException:
        with pytest.raises(error) as caught:
            await self(**options)
        return caught.value

    async def break_off(self, after: int = 3) -> None:
        """Leave an upload behind that has some of its parts."""
        self.store.before["put_part"] = at(after + 1, S3CredentialsError("expired"))
        await self.fails(S3CredentialsError)
        self.store.before.clear()
        assert len(await self.store.open_uploads()) == len(self.records) == 1
        self.store.calls.clear()
        self.events.clear()

    async def is_in_place(self, content: bytes = CONTENT) -> bool:
        """Whether the object is whole, and nothing else is left anywhere."""
        assert await self.store.content("k") == content
        assert (await self.store.head("k")).checksums == (compute("CRC64NVME", content),)
        return not self.records and not await self.store.open_uploads()

    @property
    def records(self) -> list[Path]:
        folder = self.state / "uploads"
        return sorted(folder.iterdir()) if folder.exists() else []

    @property
    def warnings(self) -> list[Warned]:
        return [event for event in self.events if isinstance(event, Warned)]


@pytest.fixture
def store() -> Stumbling:
    return Stumbling()


@pytest.fixture
def upload(tmp_path: Path, store: Stumbling) -> Upload:
    return Upload(tmp_path, store)


async def test_only_missing_parts_are_sent_again(upload: Upload, store: Stumbling) -> None:
    await upload.break_off(after=3)
    done = await upload()
    assert store.calls["create_multipart"] == 0
    assert store.calls["put_part"] == 2
    assert (done.size, done.verified) == (500, "checksum")
    assert sum(event.size for event in upload.events if isinstance(event, BytesMoved)) == 500
    assert await upload.is_in_place()


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32C", "none"])
async def test_parts_of_any_checksum_are_continued(upload: Upload, store: Stumbling, algorithm: str) -> None:
    upload.options = replace(upload.options, algorithm=algorithm)
    await upload.break_off()
    await upload()
    assert store.calls["put_part"] == 2
    assert await store.content("k") == CONTENT
    assert not upload.records


async def test_a_cancelled_upload_is_continued(upload: Upload, store: Stumbling) -> None:
    entered = asyncio.Event()

    async def wait(count: int) -> None:
        if count == 3:
            entered.set()
            await asyncio.Event().wait()

    store.before["put_part"] = wait
    task = asyncio.ensure_future(upload())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.before.clear()
    store.calls.clear()
    await upload()
    assert (store.calls["create_multipart"], store.calls["put_part"]) == (0, 3)
    assert await upload.is_in_place()


async def test_parts_that_the_store_lost_are_sent_again(upload: Upload, store: Stumbling) -> None:
    await upload.break_off(after=4)
    parts = next(iter(store._uploads.values())).parts
    del parts[2]
    part, data = parts[3]
    parts[3] = (part._replace(etag="another"), data)
    await upload()
    assert store.calls["put_part"] == 3
    assert await upload.is_in_place()


@pytest.mark.parametrize("change", ["content", "part size", "properties", "algorithm", "key"])
async def test_an_upload_of_something_else_is_aborted_and_begun_anew(
    upload: Upload, store: Stumbling, change: str
) -> None:
    if change == "key":
        store.create_multipart = _without_encryption(store)  # type: ignore[method-assign]
        upload.options = replace(upload.options, put=_with_key(b"1"))
    await upload.break_off()
    (old,) = await store.open_uploads()
    content = CONTENT
    match change:
        case "content":
            content = CONTENT[::-1]
            upload.path.write_bytes(content)
        case "part size":
            upload.options = replace(upload.options, part_size=200)
        case "properties":
            upload.options = replace(upload.options, put=PutOptions(cache_control="no-cache"))
        case "algorithm":
            upload.options = replace(upload.options, algorithm="CRC32")
        case "key":
            upload.options = replace(upload.options, put=_with_key(b"2"))
    await upload()
    assert store.calls["put_part"] == (3 if change == "part size" else 5)
    assert await store.content("k") == content
    assert old not in await store.open_uploads()
    assert not upload.records


def _with_key(byte: bytes) -> PutOptions:
    return PutOptions(encryption=Encryption("SSE-C", customer_key=Secret(byte * 32)))


def _without_encryption(store: Stumbling) -> Any:
    """Memory encrypts nothing; what is asked here is whether another key makes another upload."""

    async def create(key: str, options: PutOptions) -> str:
        return await MemoryStore.create_multipart(store, key, replace(options, encryption=None))

    return create


async def test_a_completion_whose_answer_was_lost_is_recognised(upload: Upload, store: Stumbling) -> None:
    store.after["complete_multipart"] = at(1, lost())
    await upload.fails(HaulError)
    assert len(upload.records) == 1
    store.calls.clear()
    done = await upload()
    assert (store.calls["put_part"], store.calls["create_multipart"]) == (0, 0)
    assert done.etag == (await store.head("k")).etag
    assert await upload.is_in_place()


@pytest.mark.parametrize("other", [CONTENT, b"shorter"])
async def test_somebody_elses_object_is_not_taken_for_a_lost_completion(
    upload: Upload, store: Stumbling, other: bytes
) -> None:
    store.after["complete_multipart"] = at(1, lost())
    await upload.fails(HaulError)
    await store.put("k", other)
    store.after.clear()
    store.calls.clear()
    await upload()
    assert store.calls["put_part"] == 5
    assert await upload.is_in_place()


async def test_an_upload_that_somebody_aborted_is_begun_anew(upload: Upload, store: Stumbling) -> None:
    await upload.break_off()
    store._uploads.clear()
    await upload()
    assert (store.calls["create_multipart"], store.calls["put_part"]) == (1, 5)
    assert await upload.is_in_place()


async def test_an_upload_whose_id_was_lost_is_named_and_offered_for_abortion(
    upload: Upload, store: Stumbling
) -> None:
    await store.create_multipart("k/other")
    store.after["create_multipart"] = at(2, lost())
    await upload()
    orphan, other = sorted(await store.open_uploads(), reverse=True)
    (warning,) = upload.warnings
    assert "memory://bucket/k has an upload open since 20" in warning.message
    assert f"haul uploads abort memory://bucket/k --upload-id {orphan}" in warning.hint
    assert [other] == [each.upload_id async for each in store.list_uploads("k/")]
    assert await store.content("k") == CONTENT
    assert not upload.records


async def test_so_is_that_of_a_process_that_was_killed_before_it_wrote_the_id_down(
    upload: Upload, store: Stumbling
) -> None:
    store.after["create_multipart"] = always(lost())
    await upload.fails(S3NetworkError)
    assert store.calls["create_multipart"] == len(await store.open_uploads()) == 5
    assert len(upload.records) == 1
    store.after.clear()
    await upload()
    assert len(upload.warnings) == 5
    assert await store.content("k") == CONTENT
    assert not upload.records


async def test_a_creation_that_was_never_sent_is_not_tried_again_here(
    upload: Upload, store: Stumbling
) -> None:
    error = lost()
    error.sent = False
    store.before["create_multipart"] = always(error)
    await upload.fails(S3NetworkError)
    assert store.calls["create_multipart"] == 1
    assert upload.warnings == []


async def test_where_uploads_cannot_be_listed_that_is_said(upload: Upload, store: Stumbling) -> None:
    store.after["create_multipart"] = at(1, lost())
    store.before["list_uploads"] = always(AccessDenied("denied"))
    await upload()
    (warning,) = upload.warnings
    assert "cannot be listed: denied" in warning.message
    assert await store.content("k") == CONTENT


@pytest.mark.parametrize(
    "error",
    [AccessDenied("x"), S3NotFound("x", code="NoSuchBucket"), ConfigError("x"), S3CredentialsError("x")],
)
async def test_an_upload_that_was_refused_leaves_no_record(
    upload: Upload, store: Stumbling, error: HaulError
) -> None:
    store.before["create_multipart"] = always(error)
    await upload.fails(type(error))
    assert not upload.records


async def test_what_cannot_be_continued_is_aborted(upload: Upload, store: Stumbling) -> None:
    store.before["complete_multipart"] = always(PreconditionFailed("exists"))
    await upload.fails(PreconditionFailed)
    assert (upload.records, await store.open_uploads()) == ([], [])
    assert not upload.warnings


async def test_an_abortion_that_fails_is_told_and_tried_again(upload: Upload, store: Stumbling) -> None:
    store.before["put_part"] = at(2, AccessDenied("no more"))
    store.before["abort_multipart"] = at(1, AccessDenied("nor that"))
    error = await upload.fails(AccessDenied)
    assert str(error) == "no more"
    (warning,) = upload.warnings
    (upload_id,) = await store.open_uploads()
    assert "could not be aborted: nor that" in warning.message
    assert upload_id in warning.hint
    assert len(upload.records) == 1
    upload.path.write_bytes(b"n" * 500)
    await upload()
    assert await upload.is_in_place(b"n" * 500)


async def test_a_conflict_at_the_end_is_met_by_a_new_upload(upload: Upload, store: Stumbling) -> None:
    store.before["complete_multipart"] = at(1, Conflict("ConditionalRequestConflict"))
    await upload()
    assert (store.calls["create_multipart"], store.calls["put_part"]) == (2, 10)
    assert await upload.is_in_place()
    store.before["complete_multipart"] = always(Conflict("ConditionalRequestConflict"))
    await upload.fails(Conflict)
    assert (upload.records, await store.open_uploads()) == ([], [])


async def test_two_uploads_of_one_file_to_one_key_do_not_meet(upload: Upload, store: Stumbling) -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def wait(count: int) -> None:
        entered.set()
        await gate.wait()

    store.before["put_part"] = wait
    first = asyncio.ensure_future(upload())
    await entered.wait()
    with pytest.raises(Conflict, match="is on its way to the same place") as caught:
        await upload()
    assert "wait" in caught.value.hint
    gate.set()
    await upload(key="elsewhere")
    await first
    assert await store.content("elsewhere") == CONTENT
    assert await upload.is_in_place()


async def test_a_state_directory_that_cannot_be_made_is_said(upload: Upload, store: Stumbling) -> None:
    upload.state.write_text("a file")
    error = await upload.fails(ConfigError)
    assert "cannot be kept in" in str(error)
    assert store.calls["create_multipart"] == 0


@pytest.mark.parametrize("short", [False, True])
async def test_a_full_disk_below_the_record_is_said_and_survived(
    upload: Upload, store: Stumbling, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    write, full = os.write, [False]

    def fill(fd: int, data: bytes) -> int:
        if not full[0]:
            return write(fd, data)
        if short:
            return write(fd, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("haulyard.transfer.resume.os.write", fill)
    store.before["put_part"] = lambda count: full.__setitem__(0, count >= 3)
    error = await upload.fails(StoreError)
    assert "the record of the upload" in str(error)
    full[0] = False
    store.before.clear()
    store.calls.clear()
    await upload()
    assert store.calls["put_part"] == 3
    assert await upload.is_in_place()


@pytest.mark.parametrize(
    ("damage", "sent"),
    [
        ("half a line", 2),
        ("no json", 2),
        ("another version", 5),
        ("not an object", 2),
        ("a field is missing", 2),
        ("empty", 5),
    ],
)
async def test_a_damaged_record_is_believed_as_far_as_it_goes(
    upload: Upload, store: Stumbling, damage: str, sent: int
) -> None:
    await upload.break_off(after=3)
    (record,) = upload.records
    text = record.read_bytes()
    match damage:
        case "half a line":
            text += b'{"part":4,"et'
        case "no json":
            text += b"\0\0\0\n" + text.splitlines()[-1] + b"\n"
        case "another version":
            text = text.replace(b'"v":1', b'"v":99', 1)
        case "not an object":
            text += b"[1]\n"
        case "a field is missing":
            text += b'{"part":4}\n'
        case "empty":
            text = b""
    record.write_bytes(text)
    await upload()
    assert store.calls["put_part"] == sent
    assert await store.content("k") == CONTENT
    assert not upload.records


async def test_the_first_error_is_the_one_that_is_raised(upload: Upload, store: Stumbling) -> None:
    store.before["put_part"] = at(2, S3CredentialsError("expired"))
    await upload.fails(S3CredentialsError, part_concurrency=4)
    store.before.clear()
    await upload()
    assert await upload.is_in_place()
