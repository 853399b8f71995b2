from __future__ import annotations

import asyncio
import gzip
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import AccessDenied, ConfigError, IntegrityError, NotFound, StoreError
from haulyard.transfer.lines import file_chunks, inflated, line_pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def chunked(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def inflate(data: bytes, size: int = 1000) -> bytes:
    return b"".join([piece async for piece in inflated(chunked(data, size), "x.gz")])


@given(data=st.binary(max_size=200), size=st.integers(1, 50), cut=st.integers(0, 200))
async def test_gzip_of_one_or_more_members_is_inflated_however_it_is_cut(
    data: bytes, size: int, cut: int
) -> None:
    assert await inflate(gzip.compress(data), size) == data
    assert await inflate(gzip.compress(data[:cut]) + gzip.compress(data[cut:]), size) == data


@given(
    data=st.binary(max_size=200).filter(lambda data: not data.startswith(b"\x1f\x8b")),
    size=st.integers(1, 50),
)
async def test_what_is_no_gzip_comes_as_it_is(data: bytes, size: int) -> None:
    assert await inflate(data, size) == data


async def test_what_inflates_to_very_much_comes_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(50 * 1024**2))
    sizes = [len(piece) async for piece in inflated(chunked(bomb, 100_000), "x.gz")]
    assert sum(sizes) == 50 * 1024**2
    assert max(sizes) <= 256 * 1024


async def test_damaged_or_short_gzip_is_an_error() -> None:
    data = gzip.compress(os.urandom(10_000))
    for short in (data[:-1], data[:5000], data[:3]):
        with pytest.raises(IntegrityError, match=r"x\.gz is cut short"):
            await inflate(short)
    with pytest.raises(IntegrityError, match=r"x\.gz is damaged"):
        await inflate(data[:-8] + b"xxxxxxxx")
    with pytest.raises(IntegrityError, match=r"x\.gz is damaged"):
        await inflate(data + b"rubbish")


@given(lines=st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line)), size=st.integers(1, 9))
async def test_lines_are_those_of_the_whole_however_it_is_cut(lines: list[bytes], size: int) -> None:
    for ending in (b"", b"\n"):
        data = b"\n".join(lines) + ending
        found = [line async for page in line_pages(chunked(data, size), "x") for line in page]
        assert found == (data.removesuffix(b"\n").split(b"\n") if data else [])


async def test_a_line_without_end_is_refused() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1024**2)

    with pytest.raises(ConfigError, match="a line of more than"):
        [page async for page in line_pages(endless(), "x")]


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    (tmp_path / "file").write_bytes(data)
    chunks = [chunk async for chunk in file_chunks(str(tmp_path / "file"))]
    assert b"".join(chunks) == data
    assert len(chunks) == 3


async def test_a_pipe_is_read_as_it_fills(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    chunks = file_chunks(str(path))
    for text in (b"one", b"two"):
        os.write(writer, text)
        assert await anext(chunks) == text
    waiting = asyncio.ensure_future(anext(chunks))
    os.close(writer)
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_waiting_for_a_pipe_can_be_given_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    chunks = file_chunks(str(path))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(chunks), 0.01)
    os.close(writer)


async def test_standard_input_is_a_file_like_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"a\nb\n")
    given_fd = os.open(tmp_path / "file", os.O_RDONLY)
    monkeypatch.setattr(os, "dup", lambda fd: given_fd if fd == 0 else pytest.fail("another descriptor"))
    assert [chunk async for chunk in file_chunks("-")] == [b"a\nb\n"]


async def test_what_cannot_be_waited_for_is_read_at_once() -> None:
    assert [chunk async for chunk in file_chunks(os.devnull)] == []


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="missing: no such file"):
        [chunk async for chunk in file_chunks(str(tmp_path / "missing"))]
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        [chunk async for chunk in file_chunks(str(tmp_path))]

    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(AccessDenied, match="secret may not be read"):
        [chunk async for chunk in file_chunks("secret")]
