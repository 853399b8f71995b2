"""Writes a plan down: rows into shards, unmatched keys into a file, and with each shard how far the plan is.

A shard is sealed when it has `SHARD_ROWS` rows (pages are not cut, so some more). Its ``meta`` then says
where the source is to be taken up again (``position``), how long ``unmatched.txt`` was (``unmatched``), and
what is in it (``groups``). What came after the last seal is thrown away when the plan is taken up again.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import closing, suppress
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Self

from haulyard.errors import JobError
from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, SHARD_ROWS, Action
from haulyard.jobs.planning.tally import Tally
from haulyard.journal.building import ShardBuilder
from haulyard.journal.damage import foreign_errors
from haulyard.journal.opening import connect_reader
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from haulyard.jobs.planning.rows import Page
    from haulyard.journal.folder import JobFolder

#: Every key that no rule took, one a line; line feeds in them as %0A.
UNMATCHED: Final = "unmatched.txt"
_SAMPLES: Final = "SELECT rule, key, destination, min(id) FROM op WHERE action IN (?, ?) GROUP BY rule"
_FIRST: Final = "SELECT key FROM op WHERE action = ? ORDER BY id LIMIT ?"


class Recorded(NamedTuple):
    """What the sealed shards of a plan hold: their counts, and where its source is to be taken up again."""

    tally: Tally
    position: Mapping[str, Any] | None
    asked: Mapping[str, int]
    shards: int


class Recorder:
    """The shards of a plan that is being made. Use it as an async context manager.

    ``position`` and ``asked`` are asked when a shard is sealed: how far the source was read, and how many
    requests that took. Leaving it by an error throws away what was not sealed.
    """

    def __init__(
        self,
        folder: JobFolder,
        recorded: Recorded,
        position: Callable[[], Mapping[str, Any] | None],
        asked: Callable[[], Mapping[str, int]],
    ) -> None:
        self.tally = Tally(recorded.tally.to_json())
        self._folder = folder
        self._position = position
        self._asked = asked
        self._number = recorded.shards
        self._builder: ShardBuilder | None = None
        self._groups = Tally()
        self._sealing: asyncio.Task[None] | None = None
        self._unmatched: IO[str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._sealing is not None:
            # It is whole in a moment; what it raises, `finish` would have raised.
            await asyncio.wait([self._sealing])
            self._sealing.exception()
        if self._builder is not None:
            self._builder.discard()
        if self._unmatched is not None:
            self._unmatched.close()

    async def add(self, page: Page) -> None:
        """Write a page down.

        Raises:
            JobError: The disk is full, or failed.
        """
        if self._builder is None:
            path = os.path.join(self._folder.shards, f"{self._number:05}.db")
            self._builder = ShardBuilder(path, PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS)
        self._builder.add(page.rows)
        self._groups.add_page(page)
        if page.unmatched:
            self._note(page.unmatched)
        if self._builder.count >= SHARD_ROWS:
            await self.seal()

    async def seal(self, *, complete: bool = False) -> None:
        """Make what was written since the last time a shard, which stays whatever happens.

        ``complete`` says that nothing is left of the source.
        """
        await self._sealed()
        builder, self._builder = self._builder, None
        if builder is None:
            return
        self._number += 1
        self.tally.add(self._groups)
        position = {"complete": True} if complete else self._position()
        builder.meta |= {
            "position": json.dumps(position),
            "asked": json.dumps(dict(self._asked())),
            "unmatched": str(self._flush()),
            "groups": json.dumps(self._groups.to_json()),
        }
        self._groups = Tally()
        # In a thread, for it waits for the disk while the next shard can be filled.
        self._sealing = asyncio.create_task(asyncio.to_thread(builder.seal))

    async def finish(self, *, complete: bool) -> None:
        """Seal what is left, and wait until it is; ``complete`` as in `seal`."""
        await self.seal(complete=complete)
        await self._sealed()

    async def _sealed(self) -> None:
        if self._sealing is not None:
            sealing, self._sealing = self._sealing, None
            await sealing

    def _note(self, keys: list[str]) -> None:
        lines = "\n".join(keys) + "\n"
        if lines.count("\n") != len(keys) or "\r" in lines:
            lines = "".join(f"{key.replace(chr(10), '%0A').replace(chr(13), '%0D')}\n" for key in keys)
        path = os.path.join(self._folder.path, UNMATCHED)
        try:
            if self._unmatched is None:
                self._unmatched = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 -- closed on leaving
            self._unmatched.write(lines)
        except OSError as error:
            raise _unwritable(path, error) from error

    def _flush(self) -> int:
        """Bring the unmatched keys to the disk, and return how many bytes there are of them."""
        if self._unmatched is None:
            return _size(os.path.join(self._folder.path, UNMATCHED))
        try:
            self._unmatched.flush()
            os.fsync(self._unmatched.fileno())
            return os.fstat(self._unmatched.fileno()).st_size
        except OSError as error:
            raise _unwritable(self._unmatched.name, error) from error


def recorded(folder: JobFolder, *, is_listed: bool = False) -> Recorded:
    """Return what was written down of a plan; unless it ``is_listed``, what is of no use is removed.

    Of a listing without order only a complete plan is of use: the rest begins from nothing.
    """
    tally, position, asked, unmatched = Tally(), None, {}, 0
    paths = [path for path in folder.shard_paths() if not os.path.basename(path).startswith("ordered-")]
    for path in paths:
        with Shard.open(path, owner="plan", read_only=True) as shard:
            tally.add(Tally(json.loads(shard.meta("groups") or "[]")))
            position = json.loads(shard.meta("position") or "null")
            asked = json.loads(shard.meta("asked") or "{}")
            unmatched = int(shard.meta("unmatched") or 0)
    if is_listed:
        return Recorded(tally, position, asked, len(paths))
    if position is None:
        tally, asked, unmatched = Tally(), {}, 0
        # The last ones first, so that those that are left are always the first ones.
        for path in reversed(paths):
            for suffix in ("", ".lock", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.unlink(path + suffix)
        paths = []
    _forget_parts(folder)
    path = os.path.join(folder.path, UNMATCHED)
    try:
        if unmatched == 0:
            with suppress(FileNotFoundError):
                os.unlink(path)
        elif _size(path) < unmatched:
            raise JobError(f"{path} has become shorter", hint="start over with --new")
        else:
            os.truncate(path, unmatched)
    except OSError as error:
        raise _unwritable(path, error) from error
    return Recorded(tally, position, asked, len(paths))


def first_unmatched(folder: JobFolder, count: int) -> tuple[str, ...]:
    """Return the first of the keys that no rule took."""
    try:
        with open(os.path.join(folder.path, UNMATCHED), encoding="utf-8", newline="\n") as file:
            return tuple(line.removesuffix("\n") for line, _ in zip(file, range(count), strict=False))
    except FileNotFoundError:
        return ()


def first_keys(folder: JobFolder, action: Action, count: int) -> tuple[str, ...]:
    """Return the first of the keys with an action, in the order of the plan.

    Raises:
        JobError: A shard is damaged.
    """
    keys: list[str] = []
    for path in folder.shard_paths():
        if len(keys) < count:
            with foreign_errors(path), closing(connect_reader(path)) as connection:
                keys += [key for (key,) in connection.execute(_FIRST, (int(action), count - len(keys)))]
    return tuple(keys)


def samples(folder: JobFolder, rules: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return, by rule, the first object that each of ``rules`` takes and where that goes.

    Raises:
        JobError: A shard is damaged.
    """
    found: dict[int, tuple[str, str]] = {}
    for path in folder.shard_paths():
        # Mostly the first shard has them all.
        if not found.keys() >= set(rules):
            with foreign_errors(path), closing(connect_reader(path)) as connection:
                rows = connection.execute(_SAMPLES, (int(Action.ACT), int(Action.ORDERED)))
                for rule, key, destination, _ in rows:
                    found.setdefault(rule, (key, destination))
    return found


def _forget_parts(folder: JobFolder) -> None:
    with suppress(FileNotFoundError):
        for name in os.listdir(folder.shards):
            if name.endswith(".part"):
                os.unlink(os.path.join(folder.shards, name))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _unwritable(path: str, error: OSError) -> JobError:
    return JobError(
        f"{path} cannot be written: {error.strerror}",
        hint="make room, or make it writable, and run the same command again",
    )
