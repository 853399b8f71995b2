"""Files into a store: in one request or in parts, whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.transfer.stumbling import Stumbling

from haulyard.checksums import compute
from haulyard.errors import AccessDenied, IntegrityError, NotFound, PreconditionFailed, SourceChanged
from haulyard.events import BytesMoved, Event
from haulyard.models import PutOptions
from haulyard.stores.fate import TOKEN
from haulyard.stores.local import LocalStore
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.upload import Uploader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from haulyard.events import TransferDone

pytestmark = pytest.mark.anyio

KIB, MIB = 1024, 1024**2
THRESHOLDS = (0, 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB - 1, MIB, MIB + 1, 8 * MIB - 1, 8 * MIB)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def store() -> Stumbling:
    return Stumbling()


class Up:
    """Uploads files of one directory."""

    def __init__(self, root: Path, store: Stumbling) -> None:
        self.events: list[Event] = []
        self.root = root
        self.store = store
        self.state = str(root.parent / "state")

    async def __call__(
        self, name: str, content: bytes, options: TransferOptions | None = None, key: str = ""
    ) -> TransferDone:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return await self.again(name, options, key)

    async def again(self, name: str, options: TransferOptions | None = None, key: str = "") -> TransferDone:
        options = options or TransferOptions(state_dir=self.state)
        uploader = Uploader(LocalStore(self.root), self.store, options, self.events.append)
        return await uploader(Job(Item(name), key or name))


@pytest.fixture
def up(root: Path, store: Stumbling) -> Up:
    return Up(root, store)


@pytest.mark.parametrize("size", [*THRESHOLDS, 8 * MIB + 1, 16 * MIB])
async def test_files_of_every_size_arrive_byte_for_byte(up: Up, store: Stumbling, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    done = await up("file", content, key="in/file")
    assert await store.content("in/file") == content
    head = await store.head("in/file")
    assert head.checksums == (compute("CRC64NVME", content),)
    assert (done.action, done.size, done.verified, done.etag) == ("upload", size, "checksum", head.etag)
    assert done.source == str(up.root / "file")
    assert done.destination == "memory://bucket/in/file"
    assert store.calls["put"] == (1 if size <= 8 * MIB else 0)
    assert store.calls["put_part"] == (0 if size <= 8 * MIB else 2)
    assert not os.listdir(up.state + "/uploads") if size > 8 * MIB else not os.path.exists(up.state)


@pytest.mark.parametrize("size", [1, 256 * KIB, 256 * KIB + 1, 9 * MIB])
@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32", "none"])
async def test_the_checksum_is_the_one_that_was_asked_for(
    up: Up, store: Stumbling, algorithm: str, size: int
) -> None:
    content = b"x" * size
    await up("file", content, TransferOptions(state_dir=up.state, algorithm=algorithm))
    assert await store.content("file") == content


async def test_the_content_type_is_guessed_from_the_name_alone(up: Up, store: Stumbling) -> None:
    uploader = Uploader(LocalStore(up.root), store, TransferOptions(state_dir=up.state), up.events.append)
    # A hidden file's name is no extension, and must not give its type to all that have none.
    names = ("a/.json", "README", "b.csv", "c.CSV", "d.tar.gz", ".profile", "e.unknown")
    for name in names:
        (up.root / name).parent.mkdir(exist_ok=True)
        (up.root / name).write_bytes(b"x")
        await uploader(Job(Item(name), name))
    types = {name: (await store.head(name)).content_type for name in names}
    unknown = "application/octet-stream"
    assert types.pop("a/.json") in {unknown, "application/json"}
    assert types == {
        "README": unknown,
        "b.csv": "text/csv",
        "c.CSV": "text/csv",
        "d.tar.gz": "application/gzip",
        ".profile": unknown,
        "e.unknown": unknown,
    }


async def test_what_was_asked_for_goes_before_what_is_guessed(up: Up, store: Stumbling) -> None:
    put = PutOptions(content_type="text/x", metadata={"a": "b"}, storage_class="STANDARD_IA")
    for name, size in (("small.csv", 1), ("large.csv", 100)):
        await up(name, b"x" * size, TransferOptions(put=put, state_dir=up.state, part_size=60))
        head = await store.head(name)
        assert (head.content_type, head.metadata["a"], head.storage_class) == ("text/x", "b", "STANDARD_IA")
    assert set((await store.head("small.csv")).metadata) == {"a"}
    assert set((await store.head("large.csv")).metadata) == {"a", TOKEN}
    await up("bare.csv", b"x", TransferOptions(guess_content_type=False, state_dir=up.state))
    assert (await store.head("bare.csv")).content_type in {"", "binary/octet-stream"}


@pytest.mark.parametrize("size", [1, 300 * KIB, 9 * MIB])
async def test_no_clobber_is_a_condition_of_the_write(up: Up, store: Stumbling, size: int) -> None:
    await store.put("file", b"old")
    options = TransferOptions(no_clobber=True, state_dir=up.state)
    with pytest.raises(PreconditionFailed):
        await up("file", b"n" * size, options)
    assert await store.content("file") == b"old"
    assert await store.open_uploads() == []
    await up("other", b"n" * size, options)


@pytest.mark.parametrize(("honoured", "condition"), [(True, "*"), (None, "*"), (False, "")])
async def test_a_condition_is_sent_unless_it_is_known_to_be_ignored(
    up: Up, honoured: bool | None, condition: str
) -> None:
    up.store = Stumbling(conditional_put=honoured)
    uploader = Uploader(LocalStore(up.root), up.store, TransferOptions(no_clobber=True), up.events.append)
    assert uploader._options_for("k").if_none_match == condition


async def test_a_file_that_is_gone_or_no_file_is_not_found(up: Up) -> None:
    with pytest.raises(NotFound, match="no such file"):
        await up.again("nothing")
    (up.root / "directory").mkdir()
    with pytest.raises(NotFound):
        await up.again("directory")
    os.mkfifo(up.root / "fifo")
    with pytest.raises(NotFound):
        await up.again("fifo")


async def test_a_file_that_may_not_be_read_is_denied(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("haulyard.stores.tree.os.open", deny)
    with pytest.raises(AccessDenied, match="permission denied"):
        await up("file", b"x")


def _append(path: Path) -> Callable[[int], None]:
    def append(count: int) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    return append


@pytest.mark.parametrize("size", [256 * KIB + 1, 8 * MIB])
async def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    up: Up, store: Stumbling, size: int
) -> None:
    store.before["put"] = _append(up.root / "file")
    with pytest.raises(SourceChanged, match="nothing was stored") as caught:
        await up("file", b"x" * size)
    assert "run the command again" in caught.value.hint
    with pytest.raises(NotFound):
        await store.head("file")


async def test_a_file_that_changes_between_its_parts_leaves_no_upload(up: Up, store: Stumbling) -> None:
    store.after["put_part"] = _append(up.root / "file")
    options = TransferOptions(state_dir=up.state, part_size=100, part_concurrency=1)
    with pytest.raises(SourceChanged):
        await up("file", b"x" * 300, options)
    assert store.calls["put_part"] == 1
    assert await store.open_uploads() == []
    assert os.listdir(up.state + "/uploads") == []
    store.after.clear()
    await up.again("file", options)
    assert await store.content("file") == (up.root / "file").read_bytes()


async def test_a_file_that_changes_after_its_last_part_is_not_completed(up: Up, store: Stumbling) -> None:
    def change(count: int) -> None:
        if count == 3:
            os.utime(up.root / "file", ns=(1, 1))

    store.after["put_part"] = change
    with pytest.raises(SourceChanged):
        await up("file", b"x" * 300, TransferOptions(state_dir=up.state, part_size=100, part_concurrency=1))
    assert store.calls["complete_multipart"] == 0
    assert await store.open_uploads() == []


async def test_a_refused_checksum_is_blamed_on_the_file_if_it_changed(up: Up, store: Stumbling) -> None:
    path = up.root / "file"

    def rewrite(count: int) -> None:
        # As a writer does that hides: other bytes, the same size and time.
        status = path.stat()
        path.write_bytes(b"y" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    store.before["put"] = rewrite
    with pytest.raises(IntegrityError):
        await up("file", b"x" * 300 * KIB)
    store.before["put"] = lambda count: None
    store.after["put"] = lambda count: _refuse(path)
    with pytest.raises(SourceChanged):
        await up("file", b"x" * 300 * KIB)


def _refuse(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")
    raise IntegrityError("BadDigest")


async def test_parts_are_told_as_they_arrive(up: Up) -> None:
    await up("file", b"x" * 250, TransferOptions(state_dir=up.state, part_size=100, part_concurrency=1))
    name = str(up.root / "file")
    assert up.events == [BytesMoved(name, 100), BytesMoved(name, 100), BytesMoved(name, 50)]
