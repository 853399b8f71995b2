"""What became of the files: a result for each, and how many there were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

#: ``ship``: uploaded, and the store holds it; ``recognise``: the store held the same content before;
#: ``fail``: given up, the file is where it was; ``quarantine``: given up, it lies in ``quarantine/``.
Action = Literal["ship", "recognise", "fail", "quarantine"]


class Shipped(NamedTuple):
    """The end of one file.

    ``path`` is where the file was found, ``url`` and ``key`` where it is (or should be). ``checksum`` is the
    SHA-256 in hex, ``""`` where it was not read. ``attempts`` counts the tries, ``seconds`` is what the last
    of them took. ``error`` is None where the store provably holds the file.
    """

    path: str
    key: str
    bytes: int
    checksum: str = ""
    attempts: int = 1
    error: Exception | None = None
    seconds: float = 0.0
    action: Action = "ship"
    url: str = ""
    etag: str = ""
    version_id: str = ""


@dataclass(slots=True)
class Account:
    """Counts of one run: ``recognised`` are among ``shipped``, ``quarantined`` among ``failed``.

    ``unfinished`` are files that were left because somebody was still writing them, ``before`` those that
    stay since an earlier run shipped them to the same place.
    """

    shipped: int = 0
    recognised: int = 0
    bytes: int = 0
    failed: int = 0
    quarantined: int = 0
    unfinished: int = 0
    before: int = 0
    interrupted: bool = False

    def add(self, result: Shipped) -> None:
        """Count one result."""
        if result.error is None:
            self.shipped += 1
            self.recognised += result.action == "recognise"
            self.bytes += result.bytes
        else:
            self.failed += 1
            self.quarantined += result.action == "quarantine"
