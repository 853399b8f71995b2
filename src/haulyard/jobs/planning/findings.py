"""What the last pass of planning found, as the summary shows it: how many of each kind, and the first few."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.jobs.planning.clashes import Clashes

#: Examples of each kind, and sources named of one collision.
_SAMPLES: Final = 20
_SOURCES: Final = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """Operations that stand in one another's way, or in that of what is there already.

    All numbers are numbers of operations, but ``collision_groups``, which counts the destinations. Of these
    ``collisions`` and ``exists`` need a decision before `apply`. ``chained`` wait for others or are waited
    for, ``cycles`` wait for themselves and are left alone, ``repeated`` were listed more than once.

    ``samples`` has, for each of these names, up to 20 objects as JSON has them: ``destination``, ``sources``
    (up to five) and ``count`` of collisions, ``key`` and ``destination`` of all others, with the ETag
    ``present`` where something is there.
    """

    collisions: int = 0
    collision_groups: int = 0
    exists: int = 0
    same: int = 0
    chained: int = 0
    cycles: int = 0
    repeated: int = 0
    samples: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def undecided(self) -> int:
        """Operations that need a decision before `apply`."""
        return self.collisions + self.exists

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Findings:
        """Understand what `to_json` made; what another release knew besides is passed over."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


_EXISTING: Final = "SELECT key, destination, verdict.present FROM verdict JOIN row USING (place) WHERE"
_MOVING: Final = "SELECT key, destination, NULL FROM verdict JOIN row USING (place) WHERE"
_FIRST: Final = "ORDER BY place LIMIT :samples"
#: The operations of each kind; its samples are those of them that come first in the plan.
_KINDS: Final = {
    "collisions": "SELECT 1 FROM verdict WHERE conflict = :COLLISION",
    "collision_groups": "SELECT 1 FROM op WHERE many > 1 AND rank = 0",
    "exists": f"{_EXISTING} verdict.conflict = :EXISTS",
    "same": f"{_EXISTING} verdict.conflict = :SAME",
    "chained": f"{_MOVING} verdict.action = :ORDERED AND chained",
    "cycles": f"{_MOVING} verdict.action = :CYCLE",
    "repeated": "SELECT key, destination, NULL FROM row WHERE standing = :REPEATED",
}
_COLLIDING: Final = """
SELECT destination, many, min(place) AS first FROM op WHERE many > 1
GROUP BY destination ORDER BY first LIMIT :samples
"""
_COLLIDERS: Final = "SELECT key FROM op WHERE destination = :destination ORDER BY rank LIMIT :sources"


def tell(clashes: Clashes) -> Findings:
    """Return what the verdicts come to."""
    counts = {
        name: clashes.scalar(f"SELECT count(*) FROM ({rows})")  # noqa: S608 -- from the table above
        for name, rows in _KINDS.items()
    }
    samples = {"collisions": _collisions(clashes)}
    for name in ("exists", "same", "chained", "cycles", "repeated"):
        samples[name] = [
            {"key": key, "destination": destination} | ({} if present is None else {"present": present})
            for key, destination, present in clashes.select(f"{_KINDS[name]} {_FIRST}", samples=_SAMPLES)
        ]
    return Findings(**counts, samples={name: examples for name, examples in samples.items() if examples})


def _collisions(clashes: Clashes) -> list[dict[str, Any]]:
    return [
        {
            "destination": destination,
            "count": count,
            "sources": [
                key for (key,) in clashes.select(_COLLIDERS, destination=destination, sources=_SOURCES)
            ],
        }
        for destination, count, _ in clashes.select(_COLLIDING, samples=_SAMPLES)
    ]
