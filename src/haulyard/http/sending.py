"""Bodies on their way out: cut, counted, slowed to the bandwidth, and stopped once abandoned.

A request whose task was cancelled goes on being sent by the transport. Bodies above `WHOLE_LIMIT` are
therefore streams: `Outgoing.abandoned` makes the stream raise when it is next asked for bytes, which ends
the request and its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from haulyard.errors import SourceChanged, TransportError
from haulyard.models.body import BUFFERS, body_size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models.body import Body, Buffer

#: Bodies up to this size are handed over as bytes (37 µs against 104 µs a call) and awaited to their end.
WHOLE_LIMIT = 256 * 1024
_SLICE = 256 * 1024

#: Reserves bandwidth for a number of bytes and returns how many seconds to wait.
Reserve = Callable[[int], float]


class Outgoing:
    """One body being sent once."""

    __slots__ = ("_body", "_reserve", "abandoned", "failure", "size")

    def __init__(self, body: Body, reserve: Reserve | None) -> None:
        self._body = body
        self._reserve = reserve
        self.abandoned = False
        self.failure: Exception | None = None
        self.size = body_size(body)

    @property
    def whole(self) -> Buffer | None:
        """The body as one buffer where it is small enough to be sent so."""
        small = self.size <= WHOLE_LIMIT and self._reserve is None
        return self._body if small and isinstance(self._body, BUFFERS) else None

    async def stream(self) -> AsyncIterator[memoryview]:
        """Yield exactly ``size`` bytes, or raise and keep the exception in ``failure``.

        The transport cuts a longer stream silently and calls it a success, so the bytes are counted here.
        """
        try:
            async for chunk in self._counted():
                yield chunk
        except Exception as error:
            self.failure = error
            raise

    async def _counted(self) -> AsyncIterator[memoryview]:
        left = self.size
        chunks = _slices(self._body) if isinstance(self._body, BUFFERS) else self._body.open()
        # One chunk is held back, for nobody asks for more after the last byte that was announced.
        held: memoryview | None = None
        async for chunk in chunks:
            if self.abandoned:
                raise TransportError("the request was abandoned", kind="request")
            if held is not None:
                yield held
            held = memoryview(chunk)
            left -= held.nbytes
            if left < 0:
                break
            if self._reserve is not None:
                await asyncio.sleep(self._reserve(held.nbytes))
        if left:
            raise SourceChanged(
                f"the body is {'longer' if left < 0 else 'shorter'} than the {self.size} bytes announced",
                hint="The source changed while it was read; run the command again.",
            )
        if held is not None:
            yield held


async def _slices(body: Buffer) -> AsyncIterator[memoryview]:
    view = memoryview(body).cast("B")
    for start in range(0, len(view), _SLICE):
        yield view[start : start + _SLICE]
