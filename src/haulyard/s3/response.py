"""The one implementation of `haulyard.s3.request.Response`, over an HTTP answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from haulyard.http import HttpResponse
    from haulyard.models.body import Buffer
    from haulyard.s3.credentials import Credentials
    from haulyard.s3.endpoint import Address

#: Bytes of an answer that is read whole: listings and errors are far smaller, object bodies are streamed.
MAX_BUFFERED = 32 * 1024 * 1024


class HttpAnswer:
    """An answer of S3; see `haulyard.s3.request.Response`.

    Layers that hold something until the end of the answer hand in a callback with `when_closed`: it runs
    once, with the number of bytes received, or at once where the answer has already ended.

    ``ok`` says whether it is the success that its status says; ``signed_by``, ``address`` and ``skew`` are
    what the request was made with, so that what was learned meanwhile can be told from what is yet to learn.
    """

    __slots__ = (
        "_closers",
        "_http",
        "address",
        "attempts",
        "body",
        "headers",
        "ok",
        "received",
        "signed_by",
        "skew",
        "status",
    )

    def __init__(self, http: HttpResponse, body: bytes | None, *, ok: bool) -> None:
        self._http: HttpResponse | None = http if body is None else None
        self._closers: list[Callable[[int], None]] = []
        self.status = http.status
        self.headers: Mapping[str, str] = http.headers
        self.body = b"" if body is None else body
        self.received = len(self.body)
        self.attempts = 1
        self.ok = ok
        self.signed_by: Credentials | None = None
        self.address: Address | None = None
        self.skew = 0.0

    def when_closed(self, callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the bytes received once the body has been read or given up."""
        if self._http is None:
            callback(self.received)
        else:
            self._closers.append(callback)

    async def read(self) -> bytes:
        """Read the rest of the body whole."""
        if self._http is None:
            return self.body
        try:
            body = await self._http.read()
            self.received += len(body)
        finally:
            await self.close()
        return body

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the body as it comes."""
        if self._http is None:
            if self.body:
                yield self.body
            return
        try:
            async for chunk in self._http.chunks():
                self.received += len(chunk)
                yield chunk
        finally:
            await self.close()

    async def close(self) -> None:
        """Give up the rest of the body and let go of what the layers held."""
        http, self._http = self._http, None
        if http is None:
            return
        try:
            await http.close()
        finally:
            closers, self._closers = self._closers, []
            for callback in closers:
                callback(self.received)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
