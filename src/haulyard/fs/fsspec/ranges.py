"""Which ranges of an object are read by one request: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Bytes between two ranges that are read and thrown away rather than asked for a second time.
GAP: Final = 64 * 1024
#: Bytes of one request at most: what a reader takes in one piece, and small enough for several at a time.
LARGEST: Final = 8 * 1024 * 1024


class Wanted(NamedTuple):
    """The bytes from ``start`` up to ``end``; ``owner`` says whose they are."""

    start: int
    end: int
    owner: int


class Joined(NamedTuple):
    """One request, and the ranges that are cut out of its answer."""

    start: int
    end: int
    parts: tuple[Wanted, ...]


def joined(ranges: Iterable[Wanted], gap: int = GAP, largest: int = LARGEST) -> list[Joined]:
    """Return the requests that fetch these ranges of one object.

    Ranges with at most ``gap`` bytes between them are fetched together, as long as that stays within
    ``largest`` bytes. A range that is larger by itself is fetched alone, and by one request.

    Example:
        >>> [(each.start, each.end) for each in joined([Wanted(0, 10, 0), Wanted(20, 30, 1)], gap=16)]
        [(0, 30)]
    """
    requests: list[Joined] = []
    parts: list[Wanted] = []
    start = end = 0
    for each in sorted(ranges):
        if parts and each.start <= end + gap and max(end, each.end) - start <= largest:
            parts.append(each)
            end = max(end, each.end)
            continue
        if parts:
            requests.append(Joined(start, end, tuple(parts)))
        parts = [each]
        start, end = each.start, each.end
    if parts:
        requests.append(Joined(start, end, tuple(parts)))
    return requests
