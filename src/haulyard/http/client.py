"""The HTTP client: sends one request, hands out one response, and never leaves a write alive behind."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from haulyard.errors import UnsafeName
from haulyard.http.config import PING, HttpConfig
from haulyard.http.failures import translate
from haulyard.http.native import native_threads_left
from haulyard.http.ongoing import Ongoing
from haulyard.http.proxies import is_loopback, is_without_proxies
from haulyard.http.response import HttpResponse
from haulyard.http.sending import Outgoing
from haulyard.http.trust import read_bundle
from haulyard.http.unsettled import Unsettled
from haulyard.pacing.bandwidth import Bandwidth

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from pyreqwest.request import RequestBuilder, StreamRequest
    from pyreqwest.response import Response

    from haulyard.models.body import Body

_DEFAULTS = HttpConfig()
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class HttpClient:
    """Sends requests over kept connections; close it before its event loop ends.

    Reads may be given up at any time. Writes (everything but GET, HEAD and OPTIONS) are different: the
    transport goes on sending what it was given even when the waiting task is gone, and a late PUT overwrites
    a newer one. So a cancelled write is first brought to its end: a stream by making it raise, a small body
    by awaiting its answer for ``settle_timeout``. Where that is not enough, the next write of the same path
    (or of one above or below it) waits until it has ended.
    """

    def __init__(self, config: HttpConfig = _DEFAULTS) -> None:
        self._config = config
        self._clients: dict[tuple[bool, bool, bool], Client] = {}
        self._unsettled = Unsettled()
        self._bandwidth = bandwidth = Bandwidth(config.bytes_per_second) if config.bytes_per_second else None
        self._reserve = (lambda count: bandwidth.reserve(count, time.monotonic())) if bandwidth else None
        self._work_timeout = timedelta(seconds=config.work_timeout)

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

        ``origin`` is ``scheme://host:port``; ``path`` and ``query`` are percent-encoded already and arrive on
        the wire as they are, or UnsafeName is raised and nothing is sent. The length of the body is added to
        the headers. Any failure is a TransportError, or the exception that the source of the body raised.
        """
        url = f"{origin}{path}?{query}" if query else origin + path
        outgoing = None if method in _SAFE else Outgoing(b"" if body is None else body, self._reserve)
        try:
            client = self._client(origin, streams=outgoing is not None and outgoing.whole is None)
            builder = client.request(method, url).headers(headers)
            if outgoing is not None:
                builder = self._with_body(builder, outgoing)
            request = builder.build_streamed()
            _assert_faithful(request, path, query)
            if outgoing is None:
                return HttpResponse(request, await request.__aenter__(), self._bandwidth)
        except (PyreqwestError, ValueError) as error:
            raise translate(error, origin) from None
        return await self._write(request, origin, path, outgoing)

    async def close(self) -> None:
        """Close all connections; writes that were given up are waited for, ``settle_timeout`` at most."""
        try:
            await self._unsettled.end(self._config.settle_timeout)
        finally:
            clients, self._clients = self._clients, {}
            for client in clients.values():
                await client.close()
            await native_threads_left()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _with_body(self, builder: RequestBuilder, outgoing: Outgoing) -> RequestBuilder:
        # Said even where it is 0: the transport leaves it out there, and servers answer 411.
        builder = builder.header("content-length", str(outgoing.size))
        if outgoing.whole is not None:
            return builder.body_bytes(outgoing.whole).timeout(self._work_timeout)
        deadline = self._config.read_timeout + outgoing.size / self._config.slowest_upload
        return builder.body_stream(outgoing.stream()).timeout(timedelta(seconds=deadline))

    async def _write(
        self, request: StreamRequest, origin: str, path: str, outgoing: Outgoing
    ) -> HttpResponse:
        target = origin + path
        if self._unsettled:
            await self._unsettled.clear(target)
        ongoing = Ongoing(request.__aenter__())
        try:
            return await self._answer(request, ongoing, outgoing, origin)
        except asyncio.CancelledError:
            task = asyncio.get_running_loop().create_task(self._answer(request, ongoing, outgoing, origin))
            await self._settle(task, target, outgoing)
            raise

    async def _answer(
        self, request: StreamRequest, ongoing: Ongoing[Response], outgoing: Outgoing, origin: str
    ) -> HttpResponse:
        try:
            response = HttpResponse(request, await ongoing, self._bandwidth)
        except PyreqwestError as error:
            await outgoing.end()
            failure, outgoing.failure = outgoing.failure, None
            raise failure or translate(error, origin) from None
        outgoing.answered()
        if outgoing.abandoned:
            await response.close()
        return response

    async def _settle(self, task: Task[HttpResponse], target: str, outgoing: Outgoing) -> None:
        """Bring a write that nobody waits for any more to its end, or remember it as alive."""
        outgoing.abandoned = True
        if not outgoing.handed_over:
            # The server will never have all of the body: this write can do no harm however long it takes.
            self._unsettled.add(task, "")
            return
        self._unsettled.add(task, target)
        with _undisturbed():
            # A second cancellation (Ctrl-C twice) ends the waiting, not the remembering.
            await asyncio.wait((task,), timeout=self._config.settle_timeout)

    def _client(self, origin: str, *, streams: bool) -> Client:
        pool = (is_loopback(origin), streams, not origin.startswith("http://"))
        client = self._clients.get(pool)
        if client is None:
            client = self._clients[pool] = self._build(*pool)
        return client

    def _build(self, direct: bool, streams: bool, encrypted: bool) -> Client:  # noqa: FBT001 -- a pool's key
        """Make one connection pool.

        Streamed bodies have their own: a read timeout would also run while a body is being uploaded.
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
        )
        if not streams:
            builder = builder.read_timeout(timedelta(seconds=config.read_timeout))
        if config.http2:
            # All requests share one connection, and a timeout does not close it: without pings, one that went
            # silent would take every later request with it. Over plain http there is no negotiation.
            builder = (
                builder.http2(enable=True)
                .http2_keep_alive_interval(timedelta(seconds=PING))
                .http2_keep_alive_timeout(timedelta(seconds=PING))
            )
        if direct:
            builder = builder.no_proxy()
        # What goes over http:// sees no certificate but that of a proxy; loading the system's takes 15 ms.
        trusts = encrypted or not (direct or is_without_proxies())
        if not (config.verify and trusts):
            builder = builder.danger_accept_invalid_certs(enable=True)
        if trusts:
            for certificate in read_bundle(config.ca_bundle):
                builder = builder.add_root_certificate_pem(certificate)
        return builder.build()


def _assert_faithful(request: StreamRequest, path: str, query: str) -> None:
    """Refuse a request whose URL the transport would rewrite: it would act on another object."""
    url = request.url
    if url.path != path:
        raise UnsafeName(
            f"{path!r} would reach the server as {url.path!r}",
            operation="send",
            hint="This name cannot be sent faithfully over HTTP; rename the object with another tool.",
        )
    if query and url.query_string != query:
        # Not repeated: it may hold a signature.
        raise UnsafeName(f"the query of {path!r} would reach the server changed", operation="send")


def _undisturbed() -> AbstractContextManager[object]:
    """Return a scope in which anyio, if it is there at all, does not repeat its cancellation at each step."""
    anyio = sys.modules.get("anyio")
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
