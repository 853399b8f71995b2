"""Open files: read here and there, written, appended to, given up."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import pickle
import random
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.asyn import sync

from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = random.Random(5).randbytes(2_000_000)


@pytest.fixture
def path(fs: HaulFileSystem, place: str) -> str:
    fs.pipe_file(f"{place}/data.bin", DATA)
    return f"{place}/data.bin"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(buckets=["b"], minimum_part_size=1) as server:
        yield server


@pytest.fixture
def scripted(server: FaultServer) -> HaulFileSystem:
    return HaulFileSystem(
        endpoint_url=server.url, key="k", secret="s", region="us-east-1", skip_instance_cache=True
    )


@pytest.mark.parametrize("cache_type", ["ahead", "readahead", "none", "bytes", "background"])
def test_a_file_reads_as_its_bytes_do(fs: HaulFileSystem, path: str, cache_type: str) -> None:
    draw = random.Random(cache_type)
    with fs.open(path, cache_type=cache_type, block_size=64 * 1024) as file, io.BytesIO(DATA) as same:
        for _ in range(60):
            if draw.random() < 0.3:
                at = draw.randrange(len(DATA) + 10)
                assert file.seek(at) == same.seek(at)
            size = draw.choice([0, 1, 100, 10_000, 200_000])
            assert file.read(size) == same.read(size)
            assert file.tell() == same.tell()
        file.seek(-7, 2)
        assert file.read() == DATA[-7:]


def test_a_small_file_takes_one_request(server: FaultServer, scripted: HaulFileSystem) -> None:
    scripted.pipe_file("b/k", b"0123456789")
    before = len(server.requests)
    with scripted.open("b/k") as file:
        assert file.size == 10
        assert file.read(4) + file.read() == b"0123456789"
    assert [each.operation for each in server.requests[before:]] == ["GetObject"]


def test_a_listed_file_is_opened_without_a_request(server: FaultServer, scripted: HaulFileSystem) -> None:
    scripted.pipe_file("b/d/k", b"0123456789")
    scripted.find("b")
    before = len(server.requests)
    with scripted.open("b/d/k") as file:
        assert file.size == 10
        assert len(server.requests) == before
        assert file.read() == b"0123456789"


def test_reading_from_start_to_end_asks_for_more_and_more(
    server: FaultServer, scripted: HaulFileSystem
) -> None:
    scripted.pipe_file("b/k", DATA)
    before = len(server.requests)
    with scripted.open("b/k", block_size=512 * 1024) as file:
        while file.read(10_000):
            pass
    # A request for each 10,000 bytes would be 200.
    assert len(server.requests) - before < 12


def test_a_read_here_and_there_takes_little_more_than_was_asked_for(
    server: FaultServer, scripted: HaulFileSystem
) -> None:
    scripted.pipe_file("b/k", DATA)
    with scripted.open("b/k") as file:
        before = len(server.requests)
        file.seek(1_000_000)
        file.read(10)
        file.seek(1_900_000)
        file.read(10)
    ranges = [each.headers["range"] for each in server.requests[before:]]
    assert ranges == ["bytes=1000000-1131071", "bytes=1900000-1999999"]


def test_a_file_that_is_replaced_while_it_is_open_is_not_read_as_a_mixture(
    fs: HaulFileSystem, path: str
) -> None:
    with fs.open(path, block_size=64 * 1024) as file:
        assert file.read(10) == DATA[:10]
        fs.pipe_file(path, b"another")
        with pytest.raises(OSError, match="PreconditionFailed") as caught:
            file.read()
    assert caught.value.errno == errno.EBUSY
    assert fs.cat_file(path) == b"another"


def test_lines_and_archives_are_read(fs: HaulFileSystem, place: str) -> None:
    with fs.open(f"{place}/t.txt", "w", encoding="utf-8") as text:
        text.write("äöü\nsecond\n")
    with fs.open(f"{place}/t.txt", "r", encoding="utf-8") as text:
        assert list(text) == ["äöü\n", "second\n"]
    with fs.open(f"{place}/z.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner", b"content")
    with fs.open(f"{place}/z.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inner") == b"content"
    assert fs.read_block(f"{place}/t.txt", 0, 8, b"\n") == "äöü\n".encode() + b"second\n"


def test_a_read_file_is_pickled_where_it_stands(fs: HaulFileSystem, path: str) -> None:
    with fs.open(path) as file:
        file.seek(1_000)
        with pickle.loads(pickle.dumps(file)) as copy:  # noqa: S301 -- its own
            assert copy.read(10) == DATA[1_000:1_010]


@pytest.mark.parametrize("mode", ["r+b", "w+b", "rw", "zb"])
def test_modes_that_an_object_has_not_are_refused(fs: HaulFileSystem, path: str, mode: str) -> None:
    with pytest.raises((NotImplementedError, ValueError)):
        fs.open(path, mode)


def test_what_is_no_file_is_not_opened(fs: HaulFileSystem, bucket: str) -> None:
    fs.touch(f"{bucket}/d/file")
    with pytest.raises(FileNotFoundError):
        fs.open(f"{bucket}/nothing")
    with pytest.raises(IsADirectoryError):
        fs.open(f"{bucket}/d")
    with pytest.raises(ValueError, match="names no object"):
        fs.open(bucket)
    with pytest.raises(FileNotFoundError):
        fs.open("no-such-bucket-anywhere/file", "wb").close()


def test_an_object_appears_when_its_file_is_closed(fs: HaulFileSystem, place: str) -> None:
    path = f"{place}/new"
    with fs.open(path, "wb", content_type="text/x-test", metadata={"by": "me"}) as file:
        file.write(b"first ")
        file.write(bytearray(b"second"))
        assert file.tell() == 12
        assert not fs.exists(path)
        assert (file.readable(), file.writable(), file.seekable()) == (False, True, False)
    assert fs.cat_file(path) == b"first second"
    assert fs.info(path)["ContentType"] == "text/x-test"
    assert fs.metadata(path) == {"by": "me"}


def test_a_large_object_is_written_in_parts(server: FaultServer, scripted: HaulFileSystem) -> None:
    with scripted.open("b/k", "wb", block_size=5 * 1024**2) as file:
        for at in range(0, 12_000_000, 500_000):
            file.write(bytes([at % 251]) * 500_000)
    assert scripted.info("b/k")["size"] == 12_000_000
    parts = [each for each in server.requests if each.operation == "UploadPart"]
    assert len(parts) == 3
    with pytest.raises(ValueError, match="part size"):
        scripted.open("b/k", "wb", block_size=10)


def test_nothing_appears_where_an_error_leaves_the_block(fs: HaulFileSystem, bucket: str) -> None:
    path = f"{bucket}/broken"
    with pytest.raises(ZeroDivisionError), fs.open(path, "wb") as file:  # noqa: PT012 -- the block is what is tested
        file.write(b"x" * 9_000_000)
        raise ZeroDivisionError
    assert not fs.exists(path)
    assert fs.list_multipart_uploads(bucket) == []


def test_only_one_creates(fs: HaulFileSystem, place: str) -> None:
    path = f"{place}/only"
    first = fs.open(path, "xb")
    second = fs.open(path, "xb")
    first.write(b"1")
    second.write(b"2")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert fs.cat_file(path) == b"1"


@pytest.mark.parametrize("size", [0, 10, 6_000_000])
def test_what_is_appended_follows_what_there_was(fs: HaulFileSystem, place: str, size: int) -> None:
    path, content = f"{place}/log", random.Random(size).randbytes(size)
    if size:
        fs.pipe_file(path, content, content_type="text/x-log", metadata={"kept": "yes"})
    with fs.open(path, "ab") as file:
        assert file.tell() == size
    assert fs.exists(path)
    with fs.open(path, "ab") as file:
        file.write(b"more")
        assert file.tell() == size + 4
    assert fs.cat_file(path) == content + b"more"
    if size:
        assert fs.info(path)["ContentType"] == "text/x-log"
        assert fs.metadata(path) == {"kept": "yes"}


def test_of_two_that_append_at_once_one_is_told(fs: HaulFileSystem, place: str) -> None:
    path = f"{place}/log"
    fs.pipe_file(path, b"0")
    first, second = fs.open(path, "ab"), fs.open(path, "ab")
    first.write(b"1")
    second.write(b"2")
    first.close()
    with pytest.raises(OSError, match="PreconditionFailed"):
        second.close()
    assert fs.cat_file(path) == b"01"


def test_a_transaction_shows_all_of_it_at_its_end(fs: HaulFileSystem, place: str, tmp_path: Any) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"file")
    names = [f"{place}/{name}" for name in ("opened", "piped", "large", "put")]
    with fs.transaction:
        with fs.open(names[0], "wb") as file:
            file.write(b"opened")
        fs.pipe_file(names[1], b"piped")
        fs.pipe_file(names[2], b"x" * 17_000_000)
        fs.put_file(str(local), names[3])
        assert fs.find(place) == []
    assert sorted(fs.find(place)) == sorted(names)
    assert fs.cat_file(names[0]) == b"opened"
    fs.pipe_file(names[1], b"at once")
    assert fs.cat_file(names[1]) == b"at once"


def test_a_transaction_that_fails_shows_nothing(fs: HaulFileSystem, bucket: str) -> None:
    with pytest.raises(ZeroDivisionError), fs.transaction:  # noqa: PT012 -- the block is what is tested
        fs.pipe_file(f"{bucket}/a", b"x" * 17_000_000)
        with fs.open(f"{bucket}/b", "wb") as file:
            file.write(b"b")
        raise ZeroDivisionError
    assert fs.find(bucket) == []
    assert fs.list_multipart_uploads(bucket) == []


def test_a_commit_that_fails_gives_up_the_rest(fs: HaulFileSystem, place: str) -> None:
    fs.start_transaction()
    fs.pipe_file(f"{place}/good", b"1")
    fs.pipe_file("no-such-bucket-anywhere/bad", b"2")
    with pytest.raises(FileNotFoundError):
        fs.end_transaction()
    fs.pipe_file(f"{place}/later", b"3")
    assert fs.cat_file(f"{place}/later") == b"3"


def test_a_file_is_committed_or_given_up_by_hand(fs: HaulFileSystem, place: str) -> None:
    with fs.open(f"{place}/a", "wb", autocommit=False) as file:
        file.write(b"1")
    assert not fs.exists(f"{place}/a")
    file.commit()
    assert fs.cat_file(f"{place}/a") == b"1"
    with fs.open(f"{place}/b", "wb", autocommit=False) as file:
        file.write(b"1")
    file.discard()
    with pytest.raises(ValueError, match="given up"):
        file.commit()
    assert not fs.exists(f"{place}/b")


def test_a_file_that_nobody_closed_is_closed_when_nobody_has_it(fs: HaulFileSystem, place: str) -> None:
    pickle.dump({"a": 1}, fs.open(f"{place}/p", "wb"))
    gc.collect()
    assert pickle.loads(fs.cat_file(f"{place}/p")) == {"a": 1}  # noqa: S301 -- its own


def test_text_is_refused_where_bytes_are_wanted(fs: HaulFileSystem, place: str) -> None:
    with pytest.raises(TypeError, match="encode"):
        fs.pipe_file(f"{place}/t", "text")


def test_nobody_complains_of_reading_ahead_that_failed_when_the_file_was_closed(
    fs: HaulFileSystem, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe_file(f"{place}/x", bytes(1_000_000))
    complaints: list[dict[str, Any]] = []
    began, ended = threading.Event(), threading.Event()

    async def failing(*_: object) -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("the connection broke at that moment") from None
        finally:
            ended.set()
        raise AssertionError

    async def settled() -> None:
        gc.collect()

    fs.loop.call_soon_threadsafe(fs.loop.set_exception_handler, lambda _, said: complaints.append(said))
    try:
        file = fs.open(f"{place}/x", block_size=100_000)
        file.read(1)
        monkeypatch.setattr(fs, "_bound", failing)
        file.read(50_000)
        assert began.wait(60)
        file.close()
        assert ended.wait(60)
        del file
        for _ in range(3):
            sync(fs.loop, settled)
    finally:
        fs.loop.call_soon_threadsafe(fs.loop.set_exception_handler, None)
    assert complaints == []
