"""How many calls the open files of a process allow: each may be a connection."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

#: Descriptors that are left to all else.
_RESERVED: Final = 256
_MOST_IN_FLIGHT: Final = 4096


def most_in_flight() -> int:
    """Return how many calls may be in flight; more files may be open from now on, if that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_IN_FLIGHT + _RESERVED
    if soft < wanted:
        with suppress(OSError, ValueError):
            allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
            soft = max(soft, allowed)
    return max(16, min(_MOST_IN_FLIGHT, soft - _RESERVED))
