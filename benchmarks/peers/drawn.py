"""Which objects and ranges the programs around the filesystems work on: the same for each of them."""

from __future__ import annotations

import random
from typing import NamedTuple


class Draw(NamedTuple):
    """``number`` ranges of ``size`` bytes, in runs of ``run`` that lie side by side.

    They lie in ``objects`` objects of ``slots`` ranges each, and are drawn anywhere in them.
    """

    objects: int
    slots: int
    run: int
    number: int
    size: int


def paths(prefix: str, count: int) -> list[str]:
    """Return the paths of so many objects."""
    return [f"{prefix}{number:05}.bin" for number in range(count)]


def body(size: int) -> bytes:
    """Return the content of an object."""
    return random.Random(size).randbytes(size)


def ranges(prefix: str, draw: Draw) -> list[tuple[str, int, int]]:
    """Return path, start and end of each range."""
    names = paths(prefix, draw.objects)
    runs = [(name, slot) for name in names for slot in range(0, draw.slots, draw.run)]
    chosen = random.Random(draw.number).sample(runs, draw.number // draw.run)
    starts = [(name, (slot + number) * draw.size) for name, slot in chosen for number in range(draw.run)]
    return [(name, start, start + draw.size) for name, start in starts]
