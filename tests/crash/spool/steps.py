"""Killing at one step after the other."""

from __future__ import annotations

from itertools import count, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def kill_at(round_of: Callable[[str], bool], moment: str, start: int, stride: int) -> int:
    """Kill at steps until there are no more; return at how many."""
    numbers = count(start, stride)
    return sum(1 for _ in takewhile(lambda number: round_of(f"step:{number}:{moment}"), numbers))
