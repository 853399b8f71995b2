"""What strangers said, as JSON has it: records and answers are JSON where they are that, else text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson


def told(content: bytes) -> Any:  # noqa: ANN401 -- whatever JSON it is
    """Return what `orjson.dumps` makes the content of: the same JSON on one line, or a text.

    Numbers come out as they went in, for they are not read. Bytes that are no UTF-8 are spelled out.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "backslashreplace")
    if b"\n" in content or b"\r" in content:
        return value
    return orjson.Fragment(content.strip())


def moment(at: float) -> str:
    """Return POSIX seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
