"""The settings of `haul process` alone, by the names that its users have in their ``.env``.

They are resolved by that command only (`haulyard.config.resolve.resolve_owned`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from haulyard.config.kinds import DURATION, SIZE, TEXT, Kind, count
from haulyard.config.settings import Setting, setting, table_of

_URL = re.compile(r"(?:https?://[^\s#/?]|\$\{[A-Za-z_][A-Za-z0-9_]*\})[^\s#]*", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9._-]+|arn:[^\s/]+(?:/[^\s/]+)?")


def _parse_url(text: str) -> str:
    if not _URL.fullmatch(text.strip()):
        raise ValueError(text)
    return text.strip()


def _parse_bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text.strip()):
        raise ValueError(text)
    return text.strip()


def _parse_period(text: str) -> float:
    seconds = DURATION.parse(text)
    if not isinstance(seconds, float) or not seconds > 0:
        raise ValueError(text)
    return seconds


URL: Final = Kind(_parse_url, (str,), "http:// or https:// and an address")
BUCKET: Final = Kind(_parse_bucket, (str,), "the name of a bucket, without s3:// and key")
PERIOD: Final = Kind(_parse_period, (int, float, str), "seconds above 0, or a duration like 500ms, 1m or 1d")


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What `haul process` takes from flags, the environment, ``.env`` and ``haul.toml``.

    ``rate_limit_calls`` calls in any ``rate_limit_period`` seconds, 0 for no limit. ``max_in_flight`` caps
    the calls in flight, 0: they follow the latency alone. ``batch_size`` is how many records are read and
    queued at a time, ``chunk_size`` the fewest bytes of a read.
    """

    s3_bucket: str = setting("", BUCKET, "bucket of the records", names=("S3_BUCKET",))
    s3_key: str = setting("", TEXT, "object, prefix/ or wildcard of the records", names=("S3_KEY",))
    api_endpoint: str = setting("", URL, "where the records go", names=("API_ENDPOINT",), flag="--to")
    batch_size: int = setting(
        1000, count(1, 1_000_000), "records read and queued at a time", names=("BATCH_SIZE",)
    )
    max_in_flight: int = setting(
        0,
        count(0, 100_000),
        "calls in flight at most; 0: as many as the latency asks for",
        names=("MAX_WORKERS",),
    )
    rate_limit_calls: int = setting(
        5000,
        count(0, 1_000_000_000),
        "calls that the API allows in a period, retries included; 0: no limit",
        names=("RATE_LIMIT_CALLS",),
    )
    rate_limit_period: float = setting(1.0, PERIOD, "that period in seconds", names=("RATE_LIMIT_PERIOD",))
    chunk_size: int = setting(8192, SIZE, "fewest bytes of a read", names=("CHUNK_SIZE",))


#: Each of them by name.
PROCESSING: Final[dict[str, Setting]] = table_of(ProcessSettings)
