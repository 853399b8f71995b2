"""Text in memory, read as the files of a dataset are."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import pyarrow as pa

from haulyard.ingest.model import ReadOptions, SourceFile
from haulyard.ingest.text import TextProfile, text_pieces, text_profile
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.events import Event
    from haulyard.ingest.model import Piece, Reject

URI = "s3://bucket/"


class Read(NamedTuple):
    """What came of a file."""

    pieces: list[Piece]
    events: list[Event]
    names: list[tuple[str, ...]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for piece in self.pieces for row in piece.batch.to_pylist()]

    @property
    def rejects(self) -> list[Reject]:
        return [reject for piece in self.pieces for reject in piece.rejects]

    @property
    def schema(self) -> pa.Schema:
        return self.pieces[-1].batch.schema

    @property
    def lines(self) -> list[int]:
        return [reject.line for reject in self.rejects]

    @property
    def reasons(self) -> list[str]:
        return [reject.reason for reject in self.rejects]


def texts(*names: str) -> pa.Schema:
    return pa.schema((name, pa.string()) for name in names)


def read(
    data: bytes,
    schema: pa.Schema | None = None,
    *,
    name: str = "a.csv",
    chunk: int = 1 << 20,
    block: int = 0,
    **options: Any,
) -> Read:
    """Read ``data``, which arrives in pieces of ``chunk`` bytes and is cut into blocks of ``block``."""
    return asyncio.run(_read(data, schema, name, chunk, block, ReadOptions(**options)))


def profile(data: bytes, *, name: str = "a.csv", block: int = 0, **options: Any) -> TextProfile:
    async def run() -> TextProfile:
        with ThreadPoolExecutor(1) as lanes, _blocks_of(block):
            stream = _chunks(data, 1 << 20)
            return await text_profile(_source(name, data), stream, ReadOptions(**options), lanes)

    return asyncio.run(run())


async def _read(
    data: bytes, schema: pa.Schema | None, name: str, chunk: int, block: int, options: ReadOptions
) -> Read:
    result = Read([], [], [])
    with ThreadPoolExecutor(1) as lanes, _blocks_of(block):
        pieces = text_pieces(
            _source(name, data),
            _chunks(data, chunk),
            options,
            schema,
            lanes,
            emit=result.events.append,
            found=result.names.append,
        )
        async for piece in pieces:
            assert piece.rows == piece.batch.num_rows + len(piece.rejects)
            result.pieces.append(piece)
    assert sum(piece.stored for piece in result.pieces) == len(data)
    return result


def _source(name: str, data: bytes) -> SourceFile:
    return SourceFile(MemoryStore(), name, URI + name, len(data), "etag")


async def _chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _blocks_of(size: int) -> ExitStack:
    stack = ExitStack()
    if size:
        for target in ("flight.BLOCK", "flight._SMALLEST", "cutting._FIRST"):
            stack.enter_context(patch(f"haulyard.ingest.text.{target}", size))
    return stack
