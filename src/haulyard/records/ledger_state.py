"""What a ledger replaces with every commit: the rows of its table ``state``, and the head that binds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import orjson

from haulyard.journal.damage import damaged, foreign_errors
from haulyard.records.ledger_rows import inserting, seeded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from haulyard.records.model import Letter

_HEAD: Final = "head"
_COUNTED: Final = ("seq", "letters", "resolved", "unread")
_NAMES: Final = ("progress", "account", "windows", "answers")
_COUNTS: Final = (
    "SELECT (SELECT count(*) FROM letter), (SELECT coalesce(max(id), 0) FROM letter),"
    " (SELECT count(*) FROM resolution), (SELECT count(*) FROM unread)"
)


class Listed(NamedTuple):
    """The source objects that were listed: how many, and their bytes."""

    objects: int
    size: int

    @classmethod
    def read(cls, path: str, meta: Mapping[str, str]) -> Self | None:
        """Return what a ledger's ``meta`` says, None where the listing is not whole.

        Raises:
            JobError: It is no such thing.
        """
        if "objects" not in meta:
            return None
        try:
            return cls(*map(int, meta["objects"].split()))
        except (TypeError, ValueError) as error:
            raise damaged(path, "in its listing") from error

    def meta(self) -> dict[str, str]:
        """Return what says so."""
        return {"objects": f"{self.objects} {self.size}"}


@dataclass(frozen=True, slots=True)
class Commit:
    """What happened since the last one; what is None stays as it is.

    ``progress`` is a snapshot of `haulyard.records.progress.Progress`, ``account`` what an
    `haulyard.records.account.Account` makes of itself, ``windows`` what the pacer has to remember,
    ``answers`` how far the kept answers are on the disk. The ``letters`` of a record come with the mark that
    it ended; one with the address and part of a letter that is there takes its place. ``resolved`` are ids of
    letters that were delivered after all, at ``at``. ``unread`` says by object id why it cannot be read on,
    ``""`` that it can.
    """

    progress: Mapping[str, Any] | None = None
    account: Mapping[str, Any] | None = None
    windows: object | None = None
    answers: Mapping[str, Any] | None = None
    letters: Sequence[Letter] = ()
    resolved: Sequence[int] = ()
    unread: Mapping[int, str] = field(default_factory=dict)
    at: float = 0.0

    @property
    def adds_rows(self) -> bool:
        """Whether there is more in it than state that is replaced."""
        return bool(self.letters or self.resolved or self.unread)

    def bodies(self) -> dict[str, str]:
        """Return what is replaced, as JSON, by name."""
        given = ((name, getattr(self, name)) for name in _NAMES)
        return {name: orjson.dumps(value).decode() for name, value in given if value is not None}


@dataclass(frozen=True, slots=True)
class State:
    """What the last commit left, None for what was never given.

    ``seq`` counts the commits, ``letters`` the dead letters, ``resolved`` those that were delivered after
    all, ``unread`` the objects that cannot be read to their end. ``crcs`` are those of the rows.
    """

    seq: int = 0
    letters: int = 0
    resolved: int = 0
    unread: int = 0
    progress: dict[str, Any] | None = None
    account: dict[str, Any] | None = None
    windows: Any = None
    answers: dict[str, Any] | None = None
    crcs: Mapping[str, int] = field(default_factory=dict)


def replacing(state: State, bodies: Mapping[str, str], seed: int) -> tuple[State, str, tuple[Any, ...]]:
    """Return the state after the next commit, and the one statement, with its values, that writes it."""
    crcs = {**state.crcs, **{name: seeded(seed, f"{name} {body}") for name, body in bodies.items()}}
    state = replace(state, seq=state.seq + 1, crcs=crcs)
    head = orjson.dumps({**{name: getattr(state, name) for name in _COUNTED}, "crcs": crcs}).decode()
    rows: list[tuple[Any, ...]] = [(name, body, crcs[name]) for name, body in bodies.items()]
    rows.append((_HEAD, head, seeded(seed, f"{_HEAD} {head}")))
    return state, *inserting("INSERT OR REPLACE INTO state", rows)


def read_state(connection: sqlite3.Connection, path: str, seed: int) -> State:
    """Return the state, all of one commit also while another process writes.

    Raises:
        JobError: It is not what was written; or dead letters are missing.
    """
    with foreign_errors(path):
        connection.execute("BEGIN")
        try:
            rows = connection.execute("SELECT name, body, crc FROM state").fetchall()
            counts = connection.execute(_COUNTS).fetchone()
        finally:
            connection.execute("COMMIT")
    for name, body, crc in rows:
        if not isinstance(body, str) or seeded(seed, f"{name} {body}") != crc:
            raise damaged(path, f"in its state {name!r}")
    crcs = {name: crc for name, _, crc in rows if name != _HEAD}
    try:
        bodies = {name: orjson.loads(body) for name, body, _ in rows}
        head = bodies.pop(_HEAD) if bodies else {"crcs": {}}
        state = State(**{name: head.get(name, 0) for name in _COUNTED}, **bodies, crcs=crcs)
    except (LookupError, TypeError, ValueError) as error:
        raise damaged(path, "in its state") from error
    if head["crcs"] != crcs:
        raise damaged(path, "in its state: it is of several commits")
    if counts != (state.letters, state.letters, state.resolved, state.unread):
        raise damaged(path, "in its dead letters: some are missing")
    return state
