"""Where proxies come in: never for this machine itself."""

from __future__ import annotations

import os
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_loopback(origin: str) -> bool:
    """Return True where the host of ``scheme://host:port`` is a loopback address or ``localhost``.

    Remembered, as each request asks.
    """
    host = origin.partition("://")[2].rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return host == "localhost" or host.endswith(".localhost") or host == "::1" or _is_127(host)


def _is_127(host: str) -> bool:
    return host.startswith("127.") and host.replace(".", "").isdigit()


def is_without_proxies() -> bool:
    """Return True where the environment names no proxy, so that none can be used for any host."""
    return not any(name.lower().endswith("_proxy") for name in os.environ)
