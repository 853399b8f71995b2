"""Which names deserve a second look: a filter of fixed size, that may take too many but never too few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: One byte for each: with a million suspects, 6 of 100 other names are looked at in vain.
_SLOTS: Final = 1 << 24
_MASK: Final = _SLOTS - 1
#: The lowest bits are equal for all hashes of a bucket; these are as good as any others.
_SHIFT: Final = 20


class Suspects:
    """Hashes of names that were seen twice. False where there are none.

    It takes 16 MiB however many there are, and nothing where there are none.
    """

    def __init__(self) -> None:
        self._slots = bytearray()

    def __bool__(self) -> bool:
        return bool(self._slots)

    def add(self, hashes: Iterable[int]) -> None:
        """Suspect all names with these hashes."""
        for value in hashes:
            if not self._slots:
                self._slots = bytearray(_SLOTS)
            self._slots[value >> _SHIFT & _MASK] = 1

    def clear(self) -> None:
        """Suspect none, and give the memory back."""
        self._slots = bytearray()

    def pick(self, keys: Sequence[str], destinations: Sequence[str]) -> list[int]:
        """Return the positions at which the key, or the destination, is a suspect."""
        slots = self._slots
        if not slots:
            return []
        return [
            at
            for at, (key, destination) in enumerate(
                zip(map(hash, keys), map(hash, destinations), strict=True)
            )
            if slots[key >> _SHIFT & _MASK] or slots[destination >> _SHIFT & _MASK]
        ]
