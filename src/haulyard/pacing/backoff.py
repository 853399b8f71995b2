"""The delay before a retry.

The method and, unless stated otherwise, the constants are those of the new standard retry mode of the AWS
SDKs, which botocore 1.43 has behind `AWS_NEW_RETRIES_2026`: full jitter (a uniform draw between nothing and
the exponential bound), because clients that failed together must not come back together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSIENT_BASE: Final = 0.1
"""Seconds; the bound of the first retry after a transient error (5xx, reset, timeout). The SDKs' is 0.05 for
three attempts; ours are ten, which are to last through a short outage."""

THROTTLING_BASE: Final = 1.0
"""Seconds; the bound of the first retry after throttling (503 SlowDown, 429)."""

MAX_DELAY: Final = 20.0
"""Seconds; no computed delay is longer."""

MAX_RETRY_AFTER: Final = 120.0
"""Seconds; a `Retry-After` beyond this is cut to it: a server must not park a client for a day."""

_MAX_EXPONENT: Final = 64
"""2**64 times any useful base is far beyond any cap, and a float does not overflow there."""


def full_jitter(
    attempt: int,
    base: float,
    cap: float = MAX_DELAY,
    *,
    random: Callable[[], float],
) -> float:
    """Return the seconds to wait after failed attempt number `attempt`.

    A uniform draw from 0 to `min(cap, base * 2 ** (attempt - 1))`.

    Args:
        attempt: The attempt that has just failed; the first one is 1.
        base: The bound after the first attempt, in seconds: `TRANSIENT_BASE` or `THROTTLING_BASE`.
        cap: The highest bound, in seconds.
        random: Draws a float from 0 up to 1, as `random.random` does.

    Raises:
        ValueError: If `attempt` is less than 1.
    """
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not from {attempt}")
    bound = base * 2.0 ** min(attempt - 1, _MAX_EXPONENT)
    return random() * min(cap, bound)


def parse_retry_after(value: str, *, now: float, limit: float = MAX_RETRY_AFTER) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or None where it cannot be read.

    Args:
        value: The header: seconds (decimals are accepted, although RFC 9110 has whole ones only)
            or an HTTP date in any of the three forms of RFC 9110, section 5.6.7.
        now: Seconds since the epoch. The server's own `Date` is the better choice where it is
            known, since a wrong clock here then does not matter.
        limit: The longest answer, in seconds. A date in the past is 0.
    """
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return min(float(value), limit)
    date = parse_http_date(value)
    return None if date is None else min(max(date - now, 0.0), limit)


def parse_http_date(value: str) -> float | None:
    """Return an HTTP date as seconds since the epoch, or None where it is not one.

    Reads the three forms of RFC 9110, section 5.6.7; a date without a zone is taken as UTC.
    """
    # Start-up: email.utils takes milliseconds to import, and few runs ever see such a date.
    from calendar import timegm
    from email.utils import parsedate_tz

    try:
        parsed = parsedate_tz(value)
        return None if parsed is None else float(timegm(parsed[:6]) - (parsed[9] or 0))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # parsedate_tz is known to stumble over rubbish instead of refusing it.
        return None
