"""The values of a bulk job: what can be done, what a plan says of each object, what the journal says of it.

A plan has a row for *every* object that was listed, also for those that are left alone: `Action` says why.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class Verb(StrEnum):
    """What a job does with the objects that its rules take."""

    COPY = "copy"
    MOVE = "move"
    DELETE = "delete"
    RESTORE = "restore"
    RETAG = "retag"

    @property
    def writes_elsewhere(self) -> bool:
        """Whether objects get a destination."""
        return self in {Verb.COPY, Verb.MOVE}

    @property
    def deletes(self) -> bool:
        """Whether sources are deleted."""
        return self in {Verb.MOVE, Verb.DELETE}


class Action(IntEnum):
    """What becomes of a listed object; only `ACT` and `FOLDER` are worked on."""

    ACT = 0
    UNMATCHED = 1
    """No rule takes it, and the fallback is ``fail``."""
    SKIPPED = 2
    """A rule, or the fallback, says ``skip``."""
    IN_PLACE = 3
    """It is its own destination and nothing about it changes, or the same object is there already."""
    UNSAFE = 4
    """What the rule makes of its name is no key: empty, over 1,024 bytes, or with a control character."""
    ORDERED = 5
    """Its row is in an ordered shard, for it must not come before another one."""
    CYCLE = 6
    """It and others take each other's places (a swap): no order is safe."""
    FOLDER = 7
    """No listed object: a placeholder that is to be written at ``destination``."""
    MARKER = 8
    """A marker of a directory, where the destination can hold none."""

    @property
    def word(self) -> str:
        """Return the name as plans and reports show it: ``act``, ``in-place`` …."""
        return self.name.lower().replace("_", "-")


class Conflict(IntEnum):
    """What stands in the way of an operation; all but `NONE` and `SAME` need a decision before `apply`."""

    NONE = 0
    COLLISION = 1
    """Several sources have this destination."""
    EXISTS = 2
    """Another object is at the destination already; ``present`` is its ETag."""
    SAME = 3
    """The same content is at the destination already (a move then only deletes the source)."""

    @property
    def word(self) -> str:
        """Return the name as plans and reports show it."""
        return self.name.lower()


#: Rule numbers that are none.
FALLBACK: Final = -1
NO_RULE: Final = -2


class Operation(NamedTuple):
    """A row of a plan: one listed object, and what is to become of it.

    ``key`` and ``destination`` are whole keys in the source's and the destination's store, ``destination``
    is ``""`` where there is none. ``rule`` is an index into the rules, `FALLBACK` or `NO_RULE`. ``size`` in
    bytes and ``modified`` in POSIX seconds are -1 and 0.0 where the source did not say. ``wave`` orders the
    operations of an ordered shard: none starts before those of the waves before it have ended.
    ``present`` is the ETag of what was at the destination when the plan was made.
    """

    id: int
    action: int
    rule: int
    key: str
    version: str
    size: int
    modified: float
    etag: str
    storage_class: str
    destination: str
    wave: int = 0
    conflict: int = 0
    present: str = ""


PLAN_TABLE: Final = "op"
#: The columns of `Operation`, in its order, ``id`` first.
PLAN_COLUMNS: Final = Operation._fields
PLAN_DDL: Final = (
    "CREATE TABLE op("
    "id INTEGER PRIMARY KEY, action INTEGER NOT NULL, rule INTEGER NOT NULL, key TEXT NOT NULL,"
    " version TEXT NOT NULL, size INTEGER NOT NULL, modified REAL NOT NULL, etag TEXT NOT NULL,"
    " storage_class TEXT NOT NULL, destination TEXT NOT NULL, wave INTEGER NOT NULL,"
    " conflict INTEGER NOT NULL, present TEXT NOT NULL)"
)
#: Rows of one shard: what is held of it in memory stays within a few MiB, and resuming reads one of them.
SHARD_ROWS: Final = 100_000
#: Classes of objects that cannot be read before they are restored ("Understanding S3 storage classes"); in
#: Intelligent-Tiering only HEAD shows which ones.
ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
#: Larger objects are copied by parts (the limit of CopyObject in the S3 API reference).
LARGE: Final = 5 * 1024**3


class Phase(StrEnum):
    """How far the journal says that an operation has come.

    An operation without an entry was not begun, or what became of it was not written down: it is in doubt,
    and the store is asked.
    """

    BEGUN = "begun"
    """Of the run itself (item 0): from here on things may have been done that are not written down."""
    COPIED = "copied"
    """The copy is there and verified; of a retag: the old tags are known. The source may be deleted."""
    DONE = "done"
    FAILED = "failed"
    """Given up for now; the next `apply` tries again."""
    SKIPPED = "skipped"
    """Left alone for good, as was decided."""
    RETURNED = "returned"
    """Undoing a move: the source is there again and verified; the copy may be deleted."""
    UNDONE = "undone"
    KEPT = "kept"
    """Undoing left it as it is, with the reason."""


class Stage(StrEnum):
    """How far a whole job has come (``state.json``)."""

    PLANNING = "planning"
    LISTED = "listed"
    """All shards are there; collisions and chains are yet to be found."""
    PLANNED = "planned"
    APPLYING = "applying"
    APPLIED = "applied"
    """Nothing is left to do, or what is left has failed."""
    UNDOING = "undoing"
    UNDONE = "undone"


ON_CONFLICT: Final = ("fail", "skip", "overwrite", "suffix")
