"""Whether the API as a whole is well, told from the answers to single records: pure.

A record that is refused is a dead letter only if the API takes others: where *everything* fails, the address,
the format or the API itself is wrong, and 200 million dead letters would help nobody. So refusals are *held*
until a success shows that the API works. Once the last `STREAK` answers were no success the API is taken for
broken: if they were refusals the job stops, and the records that were held are left as if they had not been
sent; if they were failures of the kind that passes, it is waited for, `patience` seconds at most.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

STREAK: Final = 100
"""Answers without a success after which everything is taken to fail."""

NEVER_ANSWERED: Final = 3
"""Attempts at an endpoint that never answered: its address is probably wrong."""

_LONGEST_PROBE: Final = 15.0


class Health(Generic[T]):
    """What the answers so far say of the API; times are seconds of a monotonic clock.

    Args:
        patience: Seconds without a success, while everything fails, until it is given up.
        longest: Answers without a success after which everything is taken to fail; 0 for never.

    Attributes:
        has_answered: Whether an answer of any kind has come.
        is_out: Whether the API is taken to be out of order, so that single failures say nothing.
    """

    def __init__(self, patience: float, longest: int = STREAK) -> None:
        self.has_answered = False
        self.is_out = False
        self._patience = patience
        self._longest = longest
        self._streak = 0
        self._refused = 0
        self._unreached = 0
        self._out_since = 0.0
        self._probe = 0.0
        self._quiet_until = 0.0
        self._held: list[T] = []

    @property
    def streak(self) -> int:
        """How many answers there were since the last success."""
        return self._streak

    def succeeded(self) -> list[T]:
        """Take note of a success; return the refusals that it shows to be the records' own."""
        self.has_answered = True
        if not self._streak:
            return []
        self._streak = self._refused = self._unreached = 0
        self.is_out = False
        self._probe = 0.0
        return self.settled()

    def refused(self, letter: T) -> bool:
        """Hold a refusal; False if now everything is refused, and the job has to stop."""
        self.has_answered = True
        self._streak += 1
        self._refused += 1
        self._held.append(letter)
        return not self._is_over() or self._refused < self._streak // 2

    def hold(self, letter: T) -> None:
        """Hold a record that was tried until it was given up."""
        self._held.append(letter)

    def failed(self, now: float, *, answered: bool) -> float | None:
        """Take note of a failure that may pass; return for how long everything pauses, None to give up."""
        self.has_answered = self.has_answered or answered
        self._streak += 1
        if not self.has_answered:
            self._unreached += 1
            return None if self._unreached >= NEVER_ANSWERED else 0.0
        if not self._is_over():
            return 0.0
        if not self.is_out:
            self.is_out, self._out_since = True, now
        if now - self._out_since > self._patience:
            return None
        if now < self._quiet_until:
            # It was in flight when the pause began: it tells nothing new.
            return 0.0
        self._probe = min(max(1.0, self._probe * 2), _LONGEST_PROBE)
        pause = min(self._probe, max(0.0, self._patience - (now - self._out_since)) + 0.1)
        self._quiet_until = now + pause
        return pause

    def known(self) -> list[T]:
        """Return what is held for nothing, because nothing is ever taken for a failure of the API."""
        return [] if self._longest else self.settled()

    def settled(self) -> list[T]:
        """Return what is held, for good: the input has ended, or a success has come."""
        held, self._held = self._held, []
        return held

    def _is_over(self) -> bool:
        return 0 < self._longest <= self._streak
