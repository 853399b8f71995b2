"""Batches on their way from the event loop to a thread that takes them as a stream of Arrow."""

from __future__ import annotations

import asyncio
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

#: Batches that wait to be taken: one is parsed while another is written.
_AHEAD: Final = 2


class Feed:
    """Batches of one schema; made in the event loop, where `put`, `end` and `give_up` belong."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_AHEAD)
        self._queue: SimpleQueue[pa.RecordBatch | _GivenUpError | None] = SimpleQueue()
        self._is_closed = False

    async def put(self, batch: pa.RecordBatch) -> bool:
        """Hand a batch over, once there is room; False where nobody takes any more."""
        await self._room.acquire()
        if self._is_closed:
            return False
        self._queue.put(batch)
        return True

    def end(self) -> None:
        """Say that all was put."""
        self._queue.put(None)

    def give_up(self) -> None:
        """Let the reader fail, where it still reads."""
        self._queue.put(_GivenUpError())

    def close(self) -> None:
        """Take note that nobody reads any more; who waits in `put` goes on."""
        self._is_closed = True
        self._room.release()

    def reader(self) -> pa.RecordBatchReader:
        """Return the stream, for one thread."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._queue.get()) is not None:
            if isinstance(batch, _GivenUpError):
                raise batch
            self._loop.call_soon_threadsafe(self._room.release)
            yield batch


class _GivenUpError(Exception):
    """What feeds the reader has failed."""
