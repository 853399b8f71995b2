"""The HTTP client: sends one request, hands out one response, and never leaves a write alive behind."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from haulyard.errors import TransportError, UnsafeName
from haulyard.http.config import HttpConfig
from haulyard.http.failures import translate
from haulyard.http.proxies import is_loopback
from haulyard.http.sending import Outgoing
from haulyard.http.trust import read_bundle
from haulyard.pacing.bandwidth import Bandwidth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from pyreqwest.request import RequestBuilder, StreamRequest
    from pyreqwest.response import Response, ResponseBodyReader

    from haulyard.models.body import Body, Buffer

_DEFAULTS = HttpConfig()
#: Bytes asked of the transport at a time: fewer crossings from Rust to Python; measured in `benchmarks/`.
_READ_SIZE = 256 * 1024
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class HttpResponse:
    """One answer, its body unread. Close it, or read it to its end; both give the connection back."""

    __slots__ = ("_bandwidth", "_raw", "_reader", "_stream", "headers", "status")

    def __init__(self, stream: StreamRequest, raw: Response, bandwidth: Bandwidth | None) -> None:
        self._stream: StreamRequest | None = stream
        self._raw = raw
        self._reader: ResponseBodyReader | None = None
        self._bandwidth = bandwidth
        self.status = raw.status
        self.headers = _headers(raw)

    async def read(self, limit: int = -1) -> bytes:
        """Return the rest of the body; more than ``limit`` bytes (if not negative) are a TransportError."""
        parts = [bytes(chunk) async for chunk in self._limited(limit)] if self._guarded(limit) else None
        try:
            body = bytes(await self._raw.bytes()) if parts is None else b"".join(parts)
        except PyreqwestError as error:
            raise translate(error) from None
        finally:
            await self.close()
        return body

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the body as it comes; TransportError where it breaks off before its announced end."""
        reader = self._raw.body_reader
        try:
            while (chunk := await reader.read(_READ_SIZE)) is not None:
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


class HttpClient:
    """Sends requests over kept connections; close it before its event loop ends.

    Reads may be given up at any time. Writes (everything but GET, HEAD and OPTIONS) are different: the
    transport goes on sending what it was given even when the waiting task is gone, and a late PUT overwrites
    a newer one. So a cancelled write is first brought to its end (a stream by making its generator raise,
    a small body by awaiting it for ``settle_timeout``), and the next write of the same path waits for it.
    """

    def __init__(self, config: HttpConfig = _DEFAULTS) -> None:
        self._config = config
        self._clients: dict[tuple[bool, bool, bool], Client] = {}
        self._unsettled: dict[str, asyncio.Task[HttpResponse]] = {}
        self._bandwidth = Bandwidth(config.bytes_per_second) if config.bytes_per_second else None
        self._loopback: dict[str, bool] = {}

    async def send(
        self,
        method: str,
        origin: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: Body | None = None,
    ) -> HttpResponse:
        """Send one request and return its answer with the body unread.

        ``origin`` is ``scheme://host:port``, ``path`` and ``query`` are percent-encoded already and arrive on
        the wire as they are, or UnsafeName is raised and nothing is sent. Any failure is a TransportError.
        """
        client = self._client(origin, reads=method in _SAFE)
        url = f"{origin}{path}?{query}" if query else origin + path
        try:
            builder = client.request(method, url).headers(headers)
            if method in _SAFE:
                request = builder.build_streamed()
                _assert_faithful(request, path)
                return HttpResponse(request, await request.__aenter__(), self._bandwidth)
        except PyreqwestError as error:
            raise translate(error) from None
        return await self._write(builder, path, origin + path, b"" if body is None else body)

    async def close(self) -> None:
        """Close all connections; writes that were given up are waited for, as long as they were promised."""
        if self._unsettled:
            await asyncio.wait(self._unsettled.values(), timeout=self._config.settle_timeout)
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _write(self, builder: RequestBuilder, path: str, target: str, body: Body) -> HttpResponse:
        while (alive := self._unsettled.get(target)) is not None:
            await asyncio.wait((alive,))
        bandwidth = self._bandwidth
        slow = (lambda count: bandwidth.reserve(count, time.monotonic())) if bandwidth else None
        outgoing = Outgoing(body, slow)
        task = asyncio.get_running_loop().create_task(self._exchange(builder, path, outgoing))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._settle(task, target, outgoing)
            raise

    async def _exchange(self, builder: RequestBuilder, path: str, outgoing: Outgoing) -> HttpResponse:
        size = outgoing.size
        whole = outgoing.whole
        # Said even where it is 0: the transport leaves it out there, and servers answer 411.
        builder = builder.header("content-length", str(size))
        builder = builder.body_stream(outgoing.stream()) if whole is None else builder.body_bytes(whole)
        deadline = self._config.write_timeout + size / self._config.slowest_upload
        try:
            request = builder.timeout(timedelta(seconds=deadline)).build_streamed()
            _assert_faithful(request, path)
            response = HttpResponse(request, await request.__aenter__(), self._bandwidth)
        except PyreqwestError as error:
            raise outgoing.failure or translate(error) from None
        if outgoing.abandoned:
            await response.close()
        return response

    async def _settle(self, task: asyncio.Task[HttpResponse], target: str, outgoing: Outgoing) -> None:
        """Bring a write that nobody waits for any more to its end, or remember it as alive."""
        outgoing.abandoned = True
        self._unsettled[target] = task
        task.add_done_callback(lambda _: self._settled(target, task))
        # A second cancellation (Ctrl-C twice) ends the waiting, not the remembering.
        await asyncio.wait((task,), timeout=self._config.settle_timeout)
        if task.done() and task.exception() is None:
            await task.result().close()

    def _settled(self, target: str, task: asyncio.Task[HttpResponse]) -> None:
        self._unsettled.pop(target, None)
        if not task.cancelled():
            # Looked at, so that the loop does not report an error that nobody waits for.
            task.exception()

    def _client(self, origin: str, *, reads: bool) -> Client:
        direct = self._loopback.get(origin)
        if direct is None:
            direct = self._loopback[origin] = is_loopback(origin)
        encrypted = not origin.startswith("http://")
        client = self._clients.get((direct, reads, encrypted))
        if client is None:
            client = self._build(direct=direct, reads=reads, encrypted=encrypted)
            self._clients[direct, reads, encrypted] = client
        return client

    def _build(self, *, direct: bool, reads: bool, encrypted: bool) -> Client:
        """Make one connection pool.

        Reads and writes have their own: a read timeout would also run while a body is being uploaded.
        """
        config = self._config
        builder = (
            ClientBuilder()
            .user_agent(config.user_agent)
            # Decompressing would change bytes, length and headers of what is stored.
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            # Followed redirects would carry our token and keys to whatever host is named.
            .follow_redirects(enable=False)
            .referer(enable=False)
            .connect_timeout(timedelta(seconds=config.connect_timeout))
            .pool_idle_timeout(timedelta(seconds=config.idle_timeout))
            .http2(enable=config.http2)
        )
        if reads:
            builder = builder.read_timeout(timedelta(seconds=config.read_timeout))
        if direct:
            builder = builder.no_proxy()
        if not (config.verify and encrypted):
            # A pool for http:// never sees a certificate; loading the system's takes 15 ms of start-up.
            builder = builder.danger_accept_invalid_certs(enable=True)
        for certificate in read_bundle(config.ca_bundle):
            builder = builder.add_root_certificate_pem(certificate)
        return builder.build()


def _assert_faithful(request: StreamRequest, path: str) -> None:
    """Refuse a request whose path the transport would rewrite: it would act on another object."""
    if request.url.path != path:
        raise UnsafeName(
            f"{path!r} would reach the server as {request.url.path!r}",
            operation="send",
            hint="This name cannot be sent faithfully over HTTP; rename the object with another tool.",
        )


def _headers(raw: Response) -> dict[str, str]:
    try:
        return dict(raw.headers)
    except ValueError:
        # One value that is not ASCII makes the whole map unreadable at once; the others are still wanted.
        return {name: value for name in raw.headers if (value := _header(raw, name)) is not None}


def _header(raw: Response, name: str) -> str | None:
    try:
        return raw.get_header(name)
    except ValueError:
        return None
