"""Local files as sources: read in pieces, and never sent where they changed meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute, digest_of
from haulyard.errors import SourceChanged, StoreError
from haulyard.models import ByteRange
from haulyard.transfer.files import PIECE, SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 3 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def file(path: Path) -> Iterator[SourceFile]:
    file = SourceFile(os.open(path, os.O_RDONLY), str(path))
    yield file
    if not _is_closed(file):
        file.close()


def _is_closed(file: SourceFile) -> bool:
    return file._fd < 0


async def read(file: SourceFile, part: ByteRange) -> bytes:
    return b"".join([bytes(piece) async for piece in file.slice(part).open()])


async def test_a_range_comes_in_pieces(file: SourceFile) -> None:
    pieces = [bytes(piece) async for piece in file.slice(ByteRange(10)).open()]
    assert b"".join(pieces) == CONTENT[10:]
    assert [len(piece) for piece in pieces] == [PIECE, PIECE, len(CONTENT) - 10 - 2 * PIECE]
    assert await read(file, ByteRange(5, 9)) == CONTENT[5:9]
    assert await read(file, ByteRange(5, 5)) == b""
    assert file.slice(ByteRange(5, 9)).size == 4


async def test_a_small_file_is_read_at_once(file: SourceFile) -> None:
    assert file.read() == CONTENT


async def test_digests_are_those_of_the_range(file: SourceFile) -> None:
    digest = await file.digest("CRC64NVME", ByteRange(7, 300_000))
    assert digest == digest_of(compute("CRC64NVME", CONTENT[7:300_000]))


@pytest.mark.parametrize("change", ["append", "truncate", "touch"])
async def test_a_file_that_changes_is_never_read_to_its_end(
    file: SourceFile, path: Path, change: str
) -> None:
    pieces = file.slice(ByteRange(0)).open()
    await anext(pieces)
    match change:
        case "append":
            with path.open("ab") as other:
                other.write(b"more")
        case "truncate":
            os.truncate(path, 1000)
        case "touch":
            os.utime(path, ns=(1, 1))
    with pytest.raises(SourceChanged, match="changed while it was read"):
        assert [piece async for piece in pieces] == []
    with pytest.raises(SourceChanged):
        file.read()
    with pytest.raises(SourceChanged):
        file.check()


async def test_a_file_with_fewer_bytes_than_its_size_says_is_refused(
    file: SourceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulyard.transfer.files.os.pread", lambda fd, size, at: b"")
    with pytest.raises(SourceChanged, match="does not have the 786432 bytes") as caught:
        await read(file, ByteRange(0))
    assert "haul put -" in caught.value.hint


async def test_a_disk_that_cannot_be_read_is_an_error_of_the_file(
    file: SourceFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, size: int, at: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("haulyard.transfer.files.os.pread", fail)
    with pytest.raises(StoreError, match="cannot be read: Input/output error") as caught:
        file.read()
    assert caught.value.key == str(path)


async def test_a_body_that_is_still_asked_after_the_file_was_closed_reads_no_other_file(
    file: SourceFile, tmp_path: Path
) -> None:
    pieces = file.slice(ByteRange(0)).open()
    await anext(pieces)
    file.close()
    with pytest.raises(StoreError, match="Bad file descriptor"):
        await anext(pieces)


def test_the_etag_is_the_directorys_own(file: SourceFile, path: Path) -> None:
    status = path.stat()
    assert file.etag == f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"
    assert file.fingerprint == (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)
