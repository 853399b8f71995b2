"""Bodies on their way out: cut, counted, slowed to the bandwidth, and stopped once abandoned.

A request whose task was cancelled goes on being sent by the transport. Bodies above `WHOLE_LIMIT` are
therefore streams: once abandoned, the stream raises when it is next asked for bytes, which ends the request
and its connection. The server never gets all of such a body, and so never carries the request out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from haulyard.errors import SourceChanged, TransportError
from haulyard.models.body import BUFFERS, body_size

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from haulyard.models.body import Body, Buffer

WHOLE_LIMIT: Final = 256 * 1024
"""Bytes up to which a body is handed over as it is (37 µs against 104 µs a call) and awaited to its end."""

_SLICE: Final = 256 * 1024

#: Reserves bandwidth for a number of bytes and returns how many seconds to wait.
Reserve = Callable[[int], float]


class Outgoing:
    """One body being sent once."""

    __slots__ = ("_body", "_reserve", "_stream", "abandoned", "failure", "handed_over", "size", "whole")

    def __init__(self, body: Body, reserve: Reserve | None) -> None:
        self._body = body
        self._reserve = reserve
        self._stream: AsyncGenerator[memoryview, None] | None = None
        self.abandoned = False
        self.failure: Exception | None = None
        self.size = size = body_size(body)
        small = size == 0 or (size <= WHOLE_LIMIT and reserve is None)
        #: The body as one buffer where it is small enough to be sent so.
        self.whole: Buffer | None = body if small and isinstance(body, BUFFERS) else None
        #: Whether the transport has all of it, so that nothing can stop the request any more.
        self.handed_over = size == 0 or self.whole is not None

    def stream(self) -> AsyncIterator[memoryview]:
        """Return the body's pieces, which the transport asks for: ``size`` bytes exactly, or an exception.

        The transport cuts a longer stream silently and calls it a success, so the bytes are counted here.
        """
        self._stream = self._pieces()
        return self._stream

    def answered(self) -> None:
        """Leave a stream to the transport alone, so that its source is let go of together with it."""
        self._stream = None

    async def end(self) -> None:
        """Let go of the source of a stream that the transport will not ask again."""
        self.abandoned = True
        if self._stream is not None:
            # It may be at work this moment; then it ends by itself as soon as it sees that it was abandoned.
            with suppress(RuntimeError):
                await self._stream.aclose()

    async def _pieces(self) -> AsyncGenerator[memoryview, None]:
        body = self._body
        source = _slices(body) if isinstance(body, BUFFERS) else body.open()
        left = self.size
        # One piece is held back, for nobody asks for more after the last byte that was announced.
        held: memoryview | None = None
        try:
            async for chunk in source:
                piece = memoryview(chunk)
                left -= piece.nbytes
                if left < 0:
                    break
                if not piece.nbytes:
                    continue
                if held is not None:
                    self._go_on()
                    yield held
                held = piece
                if self._reserve is not None:
                    await asyncio.sleep(self._reserve(held.nbytes))
            self._go_on()
            if left:
                self._refuse(left)
            self.handed_over = True
            if held is not None:
                yield held
        except Exception as error:
            # The transport only says that the body failed; this says why.
            self.failure = error
            raise
        finally:
            # At once, not when it is collected: it may hold a file open.
            if (close := getattr(source, "aclose", None)) is not None:
                await close()

    def _go_on(self) -> None:
        if self.abandoned:
            raise TransportError("the request was abandoned", kind="request")

    def _refuse(self, left: int) -> NoReturn:
        raise SourceChanged(
            f"the body is {'longer' if left < 0 else 'shorter'} than the {self.size} bytes announced",
            hint="The source changed while it was read; run the command again.",
        )


async def _slices(body: Buffer) -> AsyncIterator[memoryview]:
    view = memoryview(body).cast("B")
    for start in range(0, len(view), _SLICE):
        yield view[start : start + _SLICE]
