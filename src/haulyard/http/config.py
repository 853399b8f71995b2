"""How to speak HTTP: one frozen value, with the reason for each default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Timeouts in seconds, trust and proxies of one `HttpClient`.

    ``read_timeout`` is the longest silence while an answer is awaited or read. A write has a deadline
    instead: ``write_timeout`` and its size at ``slowest_upload`` bytes a second. ``idle_timeout`` is short,
    because servers close idle connections and a request on such a one is lost (S3 waits about 20 s,
    others 5). ``settle_timeout`` bounds the wait for a write that was cancelled. Proxies come from
    ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``; one is never used for a loopback address.
    """

    user_agent: str = "haulyard"
    ca_bundle: str = ""
    verify: bool = True
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    write_timeout: float = 60.0
    slowest_upload: int = 64 * 1024
    idle_timeout: float = 4.0
    settle_timeout: float = 5.0
    http2: bool = False
    bytes_per_second: float = 0.0
