"""A directory keeps contents, refuses what files cannot keep, and survives what goes wrong on disks."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import Conflict, NotFound, SourceChanged, StoreError, UnsafeName, Unsupported
from haulyard.models import (
    CopyOptions,
    CopySource,
    DeleteItem,
    DeleteOptions,
    Encryption,
    GetOptions,
    ListOptions,
    PutOptions,
)
from haulyard.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


def files_below(store: LocalStore) -> set[str]:
    root = Path(store.tree.root)
    return {str(entry.relative_to(root)) for entry in root.rglob("*") if not entry.is_dir()}


async def test_the_root_is_made_by_the_first_write(store: LocalStore) -> None:
    with pytest.raises(NotFound):
        _ = [page async for page in store.list()]
    with pytest.raises(NotFound):
        await store.head("k")
    assert (await store.delete("k")).error is None
    await store.put("a/k", b"x")
    assert files_below(store) == {"a/k"}


async def test_the_tag_changes_with_the_file(store: LocalStore) -> None:
    put = await store.put("k", b"one")
    head = await store.head("k")
    assert put.etag == head.etag
    assert put.last_modified == head.last_modified
    path = Path(store.tree.root) / "k"
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert (await store.head("k")).etag != put.etag


@pytest.mark.parametrize(
    "options",
    [
        PutOptions(content_type="text/plain"),
        PutOptions(metadata={"a": "b"}),
        PutOptions(tags={"a": "b"}),
        PutOptions(storage_class="GLACIER"),
        PutOptions(acl="private"),
        PutOptions(encryption=Encryption("AES256")),
        PutOptions(cache_control="no-store", expires="soon"),
    ],
    ids=["content_type", "metadata", "tags", "storage_class", "acl", "encryption", "two"],
)
async def test_what_a_file_cannot_keep_is_refused(store: LocalStore, options: PutOptions) -> None:
    await store.put("source", b"x")
    with pytest.raises(Unsupported):
        await store.put("k", b"x", options)
    with pytest.raises(Unsupported):
        await store.copy(CopySource("", "source"), "k", CopyOptions(put=options))
    assert files_below(store) == {"source"}


async def test_what_files_do_not_have_is_refused(store: LocalStore) -> None:
    await store.put("k", b"x")
    for call in (
        store.get("k", GetOptions(version_id="v")),
        store.head("k", GetOptions(part_number=1)),
        store.head("k", GetOptions(encryption=Encryption("AES256"))),
        store.attributes("k", "v"),
        store.delete("k", DeleteOptions(version_id="v")),
        store.delete("k", DeleteOptions(bypass_governance=True)),
        store.copy(CopySource("other", "k"), "new"),
        store.copy(CopySource("", "k", version_id="v"), "new"),
    ):
        with pytest.raises(Unsupported):
            await call
    (outcome,) = await store.delete_many([DeleteItem("k", version_id="v")])
    assert isinstance(outcome.error, Unsupported)
    assert files_below(store) == {"k"}


async def test_the_bucket_of_a_copy_may_be_named(store: LocalStore) -> None:
    await store.put("k", b"x")
    await store.copy(CopySource(store.bucket, "k"), "new")
    await store.copy(CopySource(store.bucket, "k"), "k")
    assert files_below(store) == {"k", "new"}


async def test_a_file_that_is_written_to_while_it_is_read_is_told(store: LocalStore) -> None:
    await store.put("k", bytes(3 * 1024 * 1024))
    path = Path(store.tree.root) / "k"
    for damage in (path.write_bytes, lambda data: os.truncate(path, len(data))):
        async with await store.get("k") as reader:
            chunks = reader.chunks()
            await anext(chunks)
            damage(b"short")
            with pytest.raises(SourceChanged) as caught:
                _ = [chunk async for chunk in chunks]
        assert caught.value.key == "k"
        await store.put("k", bytes(3 * 1024 * 1024))


async def test_reading_what_the_disk_cannot_give_is_an_error(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put("k", b"x")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with await store.get("k") as reader:
        monkeypatch.setattr(os, "pread", broken)
        with pytest.raises(StoreError, match="input/output") as caught:
            await reader.read()
    assert caught.value.hint


async def test_a_full_disk_leaves_the_old_file(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.put("k", b"old")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match="disk is full") as caught:
        await store.put("k", b"new")
    monkeypatch.undo()
    assert caught.value.hint
    assert (Path(store.tree.root) / "k").read_bytes() == b"old"
    assert files_below(store) == {"k"}


async def test_a_short_write_is_continued(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    await store.put("k", b"0123456789")
    assert (Path(store.tree.root) / "k").read_bytes() == b"0123456789"


async def test_two_writers_of_one_key_do_not_mix(store: LocalStore) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow:
        size = 4

        async def open(self) -> AsyncIterator[bytes]:
            yield b"sl"
            entered.set()
            await leave.wait()
            yield b"ow"

    first = asyncio.ensure_future(store.put("k", Slow()))
    await entered.wait()
    with pytest.raises(Conflict):
        await store.put("k", b"fast")
    with pytest.raises(Conflict):
        await store.delete("k", DeleteOptions(if_match="*"))
    leave.set()
    await first
    assert (Path(store.tree.root) / "k").read_bytes() == b"slow"


async def test_a_file_that_comes_while_another_is_made_is_not_replaced(store: LocalStore) -> None:
    root = Path(store.tree.root)

    class Meanwhile:
        size = 3

        async def open(self) -> AsyncIterator[bytes]:
            (root / "k").write_bytes(b"other")
            yield b"new"

    with pytest.raises(StoreError):
        await store.put("k", Meanwhile(), PutOptions(if_none_match="*"))
    assert (root / "k").read_bytes() == b"other"
    assert files_below(store) == {"k"}


async def test_a_cancelled_write_leaves_nothing(store: LocalStore) -> None:
    entered = asyncio.Event()

    class Endless:
        size = 10

        async def open(self) -> AsyncIterator[bytes]:
            yield b"x"
            entered.set()
            await asyncio.Event().wait()

    write = asyncio.ensure_future(store.put("d/k", Endless()))
    await entered.wait()
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    assert files_below(store) == set()
    await store.put("d/k", b"later")


async def test_names_are_refused_with_the_key_named(store: LocalStore) -> None:
    for call in (store.put("../k", b"x"), store.get("../k"), store.head("../k"), store.delete("../k")):
        with pytest.raises(UnsafeName) as caught:
            await call
        assert caught.value.key == "../k"
    outcomes = await store.delete_many([DeleteItem("../k"), DeleteItem("k")])
    assert [outcome.error is None for outcome in outcomes] == [False, True]


async def test_any_delimiter_folds(store: LocalStore) -> None:
    for key in ("a-1", "a-2", "b", "c/d-1"):
        await store.put(key, b"x")
    (page,) = [page async for page in store.list("", ListOptions(delimiter="-"))]
    assert ([info.key for info in page.objects], page.prefixes) == (["b"], ["a-", "c/d-"])


async def test_the_same_directory_has_the_same_identity(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "root")
    one, other = LocalStore(tmp_path / "root"), LocalStore(tmp_path / "link/.")
    assert one.identity == other.identity == one.service
    assert one.identity != LocalStore(tmp_path).identity
    assert one.name == f"file://{tmp_path}/root"


async def test_a_closed_store_can_be_used_again(store: LocalStore) -> None:
    await store.put("k", b"x")
    await store.close()
    await store.close()
    await store.put("k", b"y")
    async with await store.get("k") as reader:
        assert await reader.read() == b"y"
        assert await reader.read() == b""
