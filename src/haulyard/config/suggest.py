"""The nearest word to a mistyped one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the most similar of ``words``, or ``""`` where none is similar."""
    import difflib  # 3 ms that only mistakes pay

    return next(iter(difflib.get_close_matches(word, list(words), 1, 0.7)), "")
