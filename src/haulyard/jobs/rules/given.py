"""What a file of rules may give for sizes, ages and names that S3 knows.

Each function returns the value, and raises ValueError with a sentence that follows the key's name.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from haulyard.config.kinds import parse_duration, parse_size
from haulyard.config.suggest import nearest
from haulyard.jobs.rules.conditions import Age

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Amazon S3 API reference, PutObject, ``x-amz-storage-class``.
STORAGE_CLASSES: Final = (
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "EXPRESS_ONEZONE",
    "OUTPOSTS",
    "SNOW",
    "FSX_OPENZFS",
    "FSX_ONTAP",
)
#: Amazon S3 user guide, "Canned ACL".
ACLS: Final = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)
ENCRYPTIONS: Final = ("AES256", "aws:kms", "aws:kms:dsse")

_WEEKS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)w", re.IGNORECASE)
_DAY: Final = 86_400.0
#: Ages go back this far at most, which keeps them within what dates can hold.
_LONGEST: Final = 1000 * 366 * _DAY


def size(value: object) -> int:
    """Return a number of bytes."""
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, int) and value < 0):
        raise ValueError(f"is no size: {value!r}; write 500KB, 5GiB or a number of bytes")
    try:
        return parse_size(str(value))
    except ValueError:
        raise ValueError(f"is no size: {value!r}; write 500KB, 5GiB or a number of bytes") from None


def age(value: object) -> Age:
    """Return a limit of ages: ``30d``, ``12h``, ``2w``, or a date or time (in UTC if it does not say)."""
    if isinstance(value, datetime):
        return Age.absolute(_in_utc(value), value.isoformat(" "))
    if isinstance(value, date):
        return Age.absolute(datetime(value.year, value.month, value.day, tzinfo=UTC), value.isoformat())
    if isinstance(value, str):
        if value[:1].isdigit() and not value.isdigit() and (seconds := _seconds(value.strip())) is not None:
            return Age.relative(seconds, value)
        try:
            return Age.absolute(_in_utc(datetime.fromisoformat(value)), value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"is neither an age nor a date: {value!r}; write 30d, 12h, 2w or 2025-01-31")


def _seconds(text: str) -> float | None:
    weeks = _WEEKS.fullmatch(text)
    try:
        seconds = float(weeks[1]) * 7 * _DAY if weeks else parse_duration(text)
    except ValueError:
        return None
    return seconds if seconds <= _LONGEST else None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def one_of(value: object, names: Iterable[str], what: str) -> str:
    """Return a name that is among ``names``."""
    known = list(names)
    if isinstance(value, str) and value in known:
        return value
    folded = {name.lower(): name for name in known}
    near = folded.get(nearest(str(value).lower(), folded), "")
    hint = f"did you mean {near}?" if near else "there are " + ", ".join(known)
    raise ValueError(f"is no {what}: {value!r}; {hint}")
