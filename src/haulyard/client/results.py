"""What calls of a client return beyond the values of `haulyard.models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from haulyard.events import TransferDone


class CommonPrefix(NamedTuple):
    """All keys that start with ``prefix``, folded into one by a listing with a delimiter."""

    prefix: str


class TransferResult(NamedTuple):
    """What became of all objects of one call.

    ``done``, ``skipped``, ``failed`` and ``deleted`` count objects; ``bytes`` are those of what was done,
    ``seconds`` how long it took. ``failures`` are the outcomes that failed, at most the first 1,000: each
    names source, destination and error.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    deleted: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: tuple[TransferDone, ...] = ()
