"""Names of rotated files: ``YYYYMMDD_HHMMSS[-N].json`` or ``.xml``, with ``.gz`` or ``.zst``, in UTC. Pure.

No name is given twice, whatever the clock does: a shipped file is gone from the directory, and its key in S3
must not be met again. So what was given is remembered, as three numbers.
"""

from __future__ import annotations

import calendar
import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Of a file that is still written.
ACTIVE: Final = ".active"
ENDINGS: Final = {"": "", "gzip": ".gz", "zstd": ".zst"}
_NAME: Final = re.compile(
    r"(?P<moment>[0-9]{8}_[0-9]{6})(?:-(?P<number>[1-9][0-9]{0,8}))?\.(?P<form>json|xml)(?P<packed>\.gz|\.zst)?"
)
_MOMENT: Final = "%Y%m%d_%H%M%S"


class Given(NamedTuple):
    """Which names were given: the ``latest`` second, the highest N within it, and the highest N of all.

    A second behind the latest has passed already, so its N begins above all that were given.
    """

    latest: int = 0
    within: int = 0
    most: int = 0

    def next(self, now: float) -> tuple[str, Given]:
        """Return a name without its endings, for ``now`` in epoch seconds, and what is then given."""
        second = max(0, int(now))
        if second > self.latest:
            return _stem(second, 0), Given(second, 0, self.most)
        if second == self.latest:
            number = self.within + 1
            return _stem(second, number), Given(second, number, max(self.most, number))
        number = self.most + 1
        return _stem(second, number), self._replace(most=number)

    def with_names(self, names: Iterable[str]) -> Given:
        """Return what is given with these files there, whoever named them."""
        given = self
        for name in names:
            if (found := parse(name)) is None:
                continue
            second, number = found.second, found.number
            if second > given.latest:
                given = Given(second, number, max(given.most, number))
            else:
                within = max(given.within, number) if second == given.latest else given.within
                given = Given(given.latest, within, max(given.most, number))
        return given


class Named(NamedTuple):
    """What a name says."""

    second: int
    number: int
    form: str
    compress: str


def parse(name: str) -> Named | None:
    """Return what the name of a rotated file, or of an active one, says; None of any other."""
    match = _NAME.fullmatch(name.removesuffix(ACTIVE))
    if match is None:
        return None
    try:
        second = calendar.timegm(time.strptime(match["moment"], _MOMENT))
    except ValueError:
        return None
    compress = {"": "", ".gz": "gzip", ".zst": "zstd"}[match["packed"] or ""]
    return Named(second, int(match["number"] or 0), match["form"], compress)


def variants(stem: str) -> list[str]:
    """Return every name that a file of this stem may have."""
    names = [f"{stem}.{form}{packed}" for form in ("json", "xml") for packed in ENDINGS.values()]
    return [*names, *(name + ACTIVE for name in names)]


def _stem(second: int, number: int) -> str:
    moment = time.strftime(_MOMENT, time.gmtime(second))
    return f"{moment}-{number}" if number else moment
