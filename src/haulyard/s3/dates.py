"""The two ways in which S3 writes a time: HTTP dates in headers, ISO 8601 in documents.

Signatures::

    http_date(time) -> str                           raises ConfigError
    parse_http_date(text) -> datetime | None
    parse_iso_date(text) -> datetime                 raises ValueError
"""

from __future__ import annotations

from datetime import UTC, datetime

from haulyard.errors import ConfigError

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_MONTH_NAMES = tuple(_MONTHS)
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HTTP_DATE_LENGTH = len("Sun, 06 Nov 1994 08:49:37 GMT")


def http_date(time: datetime) -> str:
    """Return an aware time as HTTP writes it (RFC 9110, section 5.6.7), in whole seconds.

    Raises:
        ConfigError: the time has no zone.
    """
    if time.tzinfo is None:
        raise ConfigError("a time without a zone in a condition", hint="pass an aware datetime, such as UTC")
    time = time.astimezone(UTC)
    day, month = _DAY_NAMES[time.weekday()], _MONTH_NAMES[time.month - 1]
    return f"{day}, {time.day:02} {month} {time.year:04} {time:%H:%M:%S} GMT"


def parse_http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date, None where it cannot be read.

    ``email.utils`` would take 5 µs and 15 ms to import; it is left for the obsolete forms.
    """
    if len(text) == _HTTP_DATE_LENGTH and text.endswith(" GMT"):
        try:
            return datetime(
                int(text[12:16]),
                _MONTHS[text[8:11]],
                int(text[5:7]),
                int(text[17:19]),
                int(text[20:22]),
                int(text[23:25]),
                tzinfo=UTC,
            )
        except (KeyError, ValueError):
            return None
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_iso_date(text: str) -> datetime:
    """Return the time of a document (``2024-05-01T12:00:00.000Z``); one without a zone is in UTC.

    Raises:
        ValueError: it is not one.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is UTC:
        return time
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
