"""How to speak HTTP: one frozen value, with the reason for each default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLOWEST_UPLOAD: Final = 64 * 1024
"""Bytes a second below which an upload is taken for stuck."""

PING: Final = 5.0
"""Seconds between two pings of an HTTP/2 connection in use, and in which one has to be answered."""


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Timeouts in seconds, trust and proxies of one `HttpClient`.

    ``read_timeout`` is the longest silence while an answer is awaited or read. ``work_timeout`` bounds all
    that a small write may set off: a store that copies 5 GiB or assembles 10,000 parts sends blanks
    meanwhile, so that it is not silent. A streamed write has a deadline instead: ``read_timeout`` and its
    size at ``slowest_upload`` bytes a second. ``idle_timeout`` is short, because servers close idle
    connections and a request on such a one is lost (S3 waits about 20 s, others 5). ``settle_timeout``
    bounds the wait for a write that was cancelled. ``bytes_per_second`` is the bandwidth of all bodies
    together, 0 for no limit. With ``http2`` a server that offers it over TLS is spoken to in HTTP/2, over
    one connection; all others, and plain http, in HTTP/1.1. It is off by default, for S3 has none. Proxies
    come from ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``; one is never used for a loopback address.
    """

    user_agent: str = "haulyard"
    ca_bundle: str = ""
    verify: bool = True
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    work_timeout: float = 900.0
    slowest_upload: float = SLOWEST_UPLOAD
    idle_timeout: float = 4.0
    settle_timeout: float = 5.0
    bytes_per_second: float = 0.0
    http2: bool = False
