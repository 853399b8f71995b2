"""One answer of HTTP: its head, and its body while it comes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self

from pyreqwest.exceptions import PyreqwestError

from haulyard.errors import TransportError
from haulyard.http.failures import translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response

    from haulyard.models.body import Buffer
    from haulyard.pacing.bandwidth import Bandwidth

UNREADABLE: Final = "\ufffd"
"""Stands for a header's value that is not ASCII, of which the transport gives nothing."""


class HttpResponse:
    """One answer, its body unread. Close it, or read it to its end; both give the connection back.

    The transport hands it over when 64 KiB of the body or all of it are there, which spares small bodies a
    second wait; one that breaks off before that is a request that failed, not a body.

    ``headers`` are lower case; of one that is repeated the last counts, and a value that is not ASCII is
    `UNREADABLE`, for dropping it would silently lose somebody's metadata.
    """

    __slots__ = ("_bandwidth", "_raw", "_stream", "headers", "status")

    def __init__(self, stream: StreamRequest, raw: Response, bandwidth: Bandwidth | None) -> None:
        self._stream: StreamRequest | None = stream
        self._raw = raw
        self._bandwidth = bandwidth
        self.status = raw.status
        self.headers = _headers(raw)

    async def read(self, limit: int = -1) -> bytes:
        """Return the rest of the body; more than ``limit`` bytes (if not negative) are a TransportError."""
        try:
            if self._guarded(limit):
                return b"".join([chunk async for chunk in self._limited(limit)])
            return bytes(await self._raw.bytes())
        except PyreqwestError as error:
            raise translate(error) from None
        finally:
            await self.close()

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the body as it comes; TransportError where it breaks off before its announced end."""
        # Chunks as they came from the socket: pieces of a fixed size would be put together by copying, which
        # took three times the CPU for 1 GiB.
        reader = self._raw.body_reader
        try:
            while (chunk := await reader.read_chunk()) is not None:
                if self._bandwidth is not None:
                    await asyncio.sleep(self._bandwidth.reserve(len(chunk), time.monotonic()))
                # Bytes of pyreqwest live in Rust; a view of them is what file and checksum calls take.
                yield memoryview(chunk)
        except PyreqwestError as error:
            raise translate(error) from None
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the connection back, or up where the body was not read to its end."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _guarded(self, limit: int) -> bool:
        # A body of known and allowed length needs no counting: the transport checks it.
        if self._bandwidth is not None:
            return True
        length = self.headers.get("content-length", "")
        return limit >= 0 and (not length.isdigit() or int(length) > limit)

    async def _limited(self, limit: int) -> AsyncIterator[Buffer]:
        seen = 0
        async for chunk in self.chunks():
            seen += len(chunk)
            if 0 <= limit < seen:
                raise TransportError(f"the answer is longer than {limit} bytes", kind="body")
            yield chunk


def _headers(raw: Response) -> dict[str, str]:
    try:
        return dict(raw.headers)
    except ValueError:
        # One value that is not ASCII makes the whole map unreadable at once; the others are still wanted.
        return {name: _header(raw, name) for name in raw.headers}


def _header(raw: Response, name: str) -> str:
    try:
        return raw.get_header(name) or ""
    except ValueError:
        return UNREADABLE
