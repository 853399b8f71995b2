"""Two thousand small files for `haul demo`, named like what partners deliver, and where rules put them."""

from __future__ import annotations

import itertools
import os
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Files in all.
COUNT: Final = 2_000
#: What the rules file says. Two kinds of names, and everything else has a place, too.
RULES: Final = r"""[[rule]]
name = "deliveries"
match = '/(?P<source>[a-z]+)_(?P<day>\d{8})_(?P<n>\d+)\.csv$'
dates = { day = "%Y%m%d" }
to = "raw/{source}/{day:%Y/%m/%d}/{n}.csv"

[fallback]
to = "unsorted/{name}"
"""
#: Names that no rule takes; some have what has to be escaped somewhere on the way.
_ODD: Final = (
    "README.txt",
    "crm-20250104-1.csv",
    "crm_2025_1.csv",
    "notes (final) v2.csv",
    "a+b=c & d%20e.csv",
    "it's.csv",
    "Übersicht März.csv",
)
#: The rule takes it, and there is no such day: it stays where it is.
_IMPOSSIBLE: Final = "billing_20250230_1.csv"
_SOURCES: Final = ("billing", "crm", "sensors", "web")
_FIRST_DAY: Final = date(2025, 1, 1)
_A_DAY: Final = 5
_LINES: Final = 6
#: Bytes of a real file that are cut into lines.
_CUT: Final = 2 * 1024**2


class Feeds(NamedTuple):
    """Two trees of the same files: ``before`` as they come, ``after`` as the rules sort them.

    ``moved`` of the ``files`` change their places; ``size`` in bytes.
    """

    before: str
    after: str
    files: int
    moved: int
    size: int


def make_feeds(before: str, after: str, text: str, count: int) -> Feeds:
    """Make ``count`` files of a few lines of the file ``text`` each, in two trees with hard links."""
    with open(text, "rb") as file:
        lines = itertools.cycle(file.read(_CUT).splitlines(keepends=True) or [b"\n"])
    size = 0
    for came, goes in itertools.islice(_places(), count):
        path = os.path.join(before, "incoming", came)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            # With its own name in it, no two are alike.
            file.writelines([f"{came}\n".encode(), *itertools.islice(lines, _LINES)])
        size += os.path.getsize(path)
        place = os.path.join(after, goes)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.link(path, place)
    return Feeds(before, after, count, count - 1, size)


def _places() -> Iterator[tuple[str, str]]:
    """Yield names below ``incoming/`` with where they belong, found without any rules."""
    yield _IMPOSSIBLE, f"incoming/{_IMPOSSIBLE}"
    for name in _ODD:
        yield name, f"unsorted/{name}"
    yield "late/web_20250103_901.csv", "raw/web/2025/01/03/901.csv"
    for days in itertools.count():
        day = _FIRST_DAY + timedelta(days=days)
        for source in _SOURCES:
            for n in range(1, _A_DAY + 1):
                yield f"{source}_{day:%Y%m%d}_{n}.csv", f"raw/{source}/{day:%Y/%m/%d}/{n}.csv"
