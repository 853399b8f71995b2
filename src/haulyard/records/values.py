"""Values of records from JSON and back, integers of any length included. Pure."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final

import orjson

#: Integers of so many digits may not fit into 64 bits, which is all that orjson has.
_LONG: Final = re.compile(rb"[0-9]{19}")


def loads(record: bytes) -> Any:  # noqa: ANN401 -- whatever JSON it is
    """Return the value of a text that is known to be JSON."""
    return json.loads(record) if _LONG.search(record) else orjson.loads(record)


def dumps(value: object) -> bytes:
    """Return a value as JSON. Raises TypeError, ValueError or RecursionError where it cannot be."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=_plain)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain).encode()


def _plain(value: object) -> object:
    """Return what stands for a value that JSON does not know; raises TypeError where nothing does."""
    if isinstance(value, (Decimal, PurePath)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")
