"""The innermost layer: address, date, signature, and the hand-over to HTTP."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from haulyard.models.body import BUFFERS, body_size
from haulyard.s3.endpoint import resolve
from haulyard.s3.response import MAX_BUFFERED, HttpAnswer
from haulyard.s3.signing import EMPTY_SHA256, UNSIGNED_PAYLOAD, amz_date, encode_query, sign

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from haulyard.http import HttpResponse
    from haulyard.models.body import Body
    from haulyard.s3.credentials import Credentials
    from haulyard.s3.endpoint import Address, EndpointConfig
    from haulyard.s3.regions import RegionCache
    from haulyard.s3.request import Request


class Transport(Protocol):
    """What sends the signed request: `haulyard.http.HttpClient.send`, or a test's own."""

    def __call__(
        self,
        method: str,
        origin: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: Body | None = None,
    ) -> Awaitable[HttpResponse]:
        """Send one request; any failure is a TransportError."""
        ...


class Signer:
    """Sign and send one attempt; the callable itself is the layer."""

    def __init__(
        self,
        transport: Transport,
        endpoint: EndpointConfig,
        credentials: Callable[[], Awaitable[Credentials | None]],
        regions: RegionCache,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._credentials = credentials
        self._regions = regions
        self._clock = clock
        #: The endpoints of buckets that were asked for by a kind of their own.
        self._kinds: dict[str, EndpointConfig] = {}
        #: Seconds to add to this machine's clock, learned from the server's Date header.
        self.skew = 0.0

    def now(self) -> float:
        """Return the time as the server sees it, in seconds since the epoch."""
        return self._clock() + self.skew

    def address(self, bucket: str) -> Address:
        """Return where ``bucket`` is reached, by all that is known of it now."""
        return resolve(self._kinds.get(bucket, self._endpoint), bucket, self._regions.get(bucket))

    def reach(self, bucket: str, *, dualstack: bool, fips: bool, accelerate: bool) -> None:
        """Reach ``bucket`` by endpoints of these kinds from now on, besides those of the settings."""
        kind = self._kinds.get(bucket, self._endpoint)
        self._kinds[bucket] = kind._replace(
            dualstack=kind.dualstack or dualstack,
            fips=kind.fips or fips,
            accelerate=kind.accelerate or accelerate,
        )

    async def __call__(self, request: Request) -> HttpAnswer:
        """Send one attempt of ``request``."""
        credentials = await self._credentials()
        address = self.address(request.bucket)
        skew = self.skew
        path, canonical = address.path(request.key)
        headers = {"host": address.authority, **request.headers}
        if credentials is not None:
            headers |= sign(
                request.method,
                address.authority,
                canonical,
                request.query,
                request.headers,
                _payload_hash(request, address),
                credentials,
                address.signing_region,
                amz_date(self.now()),
                address.signing_service,
            )
        query = encode_query(request.query) if request.query else ""
        http = await self._transport(request.method, address.base_url, path, query, headers, request.body)
        ok = http.status < 300  # noqa: PLR2004 -- 2xx
        # All but a success is short.
        body = None if ok and request.streamed else await http.read(MAX_BUFFERED)
        if ok and request.classify is not None:
            ok = request.classify(http.status, http.headers, body or b"")
        answer = HttpAnswer(http, body, ok=ok)
        answer.signed_by, answer.address, answer.skew = credentials, address, skew
        return answer


def _payload_hash(request: Request, address: Address) -> str:
    """Return what to sign of the body.

    TLS protects the body, and on loopback nobody is in between; the checksum header is signed in any case.
    Over plain http the body itself is signed, as long as it is in memory.
    """
    if request.content_sha256:
        return request.content_sha256
    if body_size(request.body) == 0:
        return EMPTY_SHA256
    if address.is_private or not isinstance(request.body, BUFFERS):
        return UNSIGNED_PAYLOAD
    return sha256(request.body).hexdigest()
