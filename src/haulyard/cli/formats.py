"""Sizes and times as people read them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# Converting a time to the local zone costs as much as all else in a line of `ls`; servers run on UTC.
_LOCAL_IS_UTC = time.timezone == 0 and not time.daylight
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def local_time(moment: datetime | None) -> str:
    """Return a time in the local zone, to the second; blanks for None."""
    if moment is None:
        return " " * 19
    return str(moment if _LOCAL_IS_UTC else moment.astimezone())[:19]


def human_size(size: int) -> str:
    """Return a size in the largest binary unit of which there is at least one: ``7.5 KiB``."""
    if size < 1024:  # noqa: PLR2004 -- one KiB
        return f"{size} B"
    value, power = size / 1024, 0
    # 1023.96 KiB would be shown as 1024.0 KiB.
    while value >= 1023.95 and power < len(_UNITS) - 1:  # noqa: PLR2004 -- what would round to 1024.0
        value, power = value / 1024, power + 1
    return f"{value:.1f} {_UNITS[power]}"
