"""Where a listing in byte order can be cut in two: pure guesses, which may be poor but never wrong.

A cut at any string is right, for the lower part ends with the last key up to it and the upper one begins
behind it. A good cut leaves much on both sides. Two ways to find some:

- The names of one level, from a listing with a delimiter, where keys lie in directories (`from_names`).
- Within a directory: the last key seen, with one of its characters replaced by one that is further on
  (`guesses`). Keys that end in numbers or hashes have as many on both sides.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Characters that vary from key to key; each class is in order, and in order among each other.
_CLASSES: Final = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def levels(prefix: str, at: str, until: str) -> Iterator[str]:
    """Yield the directories to ask for names: the one with both ends, then those down to ``at``.

    ``until`` is ``""`` where nothing bounds what is left of the listing of ``prefix``.
    """
    end = len(prefix)
    if until:
        shared = next((i for i, (a, b) in enumerate(zip(at, until, strict=False)) if a != b), len(until))
        end = max(end, at.rfind("/", 0, min(shared, len(at))) + 1)
    while True:
        yield at[:end]
        end = at.find("/", end) + 1
        if not end:
            return


def from_names(names: Sequence[str], at: str, until: str, keys: Sequence[str], parts: int) -> list[str]:
    """Return cuts between the names of one level, ascending, at most ``parts`` of them.

    ``keys`` are those of the last page, which says how many of the names fill a page: parts smaller than
    that would cost more requests than they save.
    """
    first = bisect_right(names, at)
    inside = names[first : bisect_left(names, until)] if until else names[first:]
    if not inside:
        return []
    depth = inside[0].rfind("/", 0, -1) + 1
    covered = max(1, len({key[: key.find("/", depth) + 1] or key for key in keys}))
    step = max(covered, -(-len(inside) // parts))
    return list(inside[step - 1 :: step])


def guesses(floor: int, first: str, at: str, until: str) -> Iterator[str]:
    """Yield cuts behind ``at``, the farthest first; ``first`` and ``at`` are the ends of the last page.

    ``floor`` is how many characters of ``at`` are not varied: those of the directory.
    """
    varied = next((i for i, (a, b) in enumerate(zip(first, at, strict=False)) if a != b), len(first))
    for index in range(floor, min(varied + 1, len(at))):
        bound = until[index] if len(until) > index and until[:index] == at[:index] else ""
        cut = at[:index] + _further(at[index], bound)
        if at < cut and (not until or cut < until):
            yield cut


def _further(character: str, bound: str) -> str:
    """Return a character between ``character`` and ``bound``, ``""`` if there is none worth trying."""
    for number, alphabet in enumerate(_CLASSES):
        at = alphabet.find(character)
        if at < 0:
            continue
        end = alphabet.find(bound) if bound else -1
        middle = (at + (end if end > at else len(alphabet))) // 2
        if middle > at:
            return alphabet[middle]
        # Hexadecimal digits go on in another class.
        return _CLASSES[-1][0] if number == 0 else ""
    return ""
