"""What an answer of the API means: pure.

2xx is a success, unless an expression over the answer says otherwise. 408, 425, 429 and 5xx are tried again;
401 and 403 concern every record, and so does a redirect. All other answers are the record's own.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import orjson

from haulyard.errors import ConfigError
from haulyard.pacing.backoff import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RETRIED: Final = frozenset({408, 425})
_THROTTLED: Final = 429
_UNAVAILABLE: Final = 503
_DENIED: Final = frozenset({401, 403})
#: Seconds; how long `Retry-After` may hold a job up. An API that counts by the day says hours.
LONGEST_PAUSE: Final = 24 * 3600.0


class Verdict(Enum):
    """What becomes of a call."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    """The record's own failure: it is not sent again."""
    AGAIN = "again"
    """Another attempt may help."""
    THROTTLED = "throttled"
    """All have to wait; it is no attempt."""
    DENIED = "denied"
    """The caller is refused, whatever the record."""
    MOVED = "moved"
    """The API is elsewhere."""


class Judge:
    """Judges answers; ``success`` is a JMESPath expression over the JSON of a 2xx, ``""`` for none.

    Raises:
        ConfigError: The expression is none.
    """

    def __init__(self, success: str = "") -> None:
        self._succeeds = _compiled(success) if success else None

    def verdict(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Return what the answer means."""
        if 200 <= status < 300:  # noqa: PLR2004 -- the classes of HTTP
            if self._succeeds is None or self._succeeds(body):
                return Verdict.DELIVERED
            return Verdict.REJECTED
        if status == _THROTTLED or (status == _UNAVAILABLE and "retry-after" in headers):
            return Verdict.THROTTLED
        if status in _RETRIED or status >= 500:  # noqa: PLR2004 -- likewise
            return Verdict.AGAIN
        if status in _DENIED:
            return Verdict.DENIED
        return Verdict.MOVED if 300 <= status < 400 else Verdict.REJECTED  # noqa: PLR2004 -- likewise


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that the server asks to wait for, None where it does not say.

    A date is compared with the server's own ``Date``, else with ``now`` in POSIX seconds.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    from haulyard.pacing.backoff import parse_http_date

    told = parse_http_date(headers["date"]) if "date" in headers else None
    return parse_retry_after(value, now=now if told is None else told, limit=LONGEST_PAUSE)


def describe(status: int, body: bytes) -> str:
    """Return what an answer said, for people: its status and the beginning of its text."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return f"HTTP {status}: {text}" if text else f"HTTP {status}"


def _compiled(expression: str) -> Callable[[bytes], bool]:
    import jmespath

    try:
        parsed = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise ConfigError(
            f"--success {expression!r} is no JMESPath expression: {str(error).splitlines()[0]}",
            hint="write --success 'status == `ok`', for example",
        ) from None

    def succeeds(body: bytes) -> bool:
        try:
            answer: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return False
        try:
            return bool(parsed.search(answer))
        except jmespath.exceptions.JMESPathError:
            # A function that does not fit this answer's types.
            return False

    return succeeds
