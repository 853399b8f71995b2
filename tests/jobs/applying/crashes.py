"""The process ends at a numbered moment: before or after a call of a store, or a commit of a journal.

From that moment on nothing reaches store or journal any more, whatever the code still does while it unwinds:
what it would have tidied up stays as a killed process leaves it.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from haulyard.errors import JobError
from haulyard.journal.writer import Writer
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import pytest


class Killed(BaseException):
    """The process is gone."""


class Moment:
    """Counts moments, and ends the process at one of them."""

    def __init__(self) -> None:
        self._left = -1
        self.is_dead = False
        self.was_reached = False

    def set(self, number: int) -> None:
        """End the process at moment ``number``, from 0."""
        self._left = number
        self.is_dead = self.was_reached = False

    def live(self) -> None:
        """Let everything work from now on."""
        self._left = -1
        self.is_dead = False

    def pass_by(self) -> None:
        """Be a moment."""
        if not self.is_dead and self._left == 0:
            self.is_dead = self.was_reached = True
        self._left -= 1
        if self.is_dead:
            raise Killed


class MortalStore(MemoryStore):
    """A store in memory whose calls begin and end with a moment."""

    moment = Moment()


def _mortal(name: str) -> Callable[..., Any]:
    async def call(self: MortalStore, *arguments: Any, **named: Any) -> Any:
        self.moment.pass_by()
        result = await getattr(MemoryStore, name)(self, *arguments, **named)
        self.moment.pass_by()
        return result

    return call


def _mortal_pages(name: str) -> Callable[..., Any]:
    async def pages(self: MortalStore, *arguments: Any, **named: Any) -> AsyncIterator[Any]:
        self.moment.pass_by()
        async for page in getattr(MemoryStore, name)(self, *arguments, **named):
            yield page

    return pages


for _name in (
    *("head", "get", "put", "delete", "delete_many", "copy", "get_tags", "set_tags", "get_acl", "set_acl"),
    *("create_multipart", "put_part", "copy_part", "complete_multipart", "abort_multipart"),
):
    setattr(MortalStore, _name, _mortal(_name))
for _name in ("list", "list_versions", "list_parts", "list_uploads"):
    setattr(MortalStore, _name, _mortal_pages(_name))


@contextmanager
def mortal_journal(moment: Moment, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make each commit of every journal begin and end with a moment."""
    execute = Writer._execute

    def execute_or_die(self: Writer, *arguments: Any) -> None:
        try:
            moment.pass_by()
            execute(self, *arguments)
            moment.pass_by()
        except Killed:
            # The thread has to live on, for those who wait for it.
            raise sqlite3.OperationalError("killed") from None

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_execute", execute_or_die)
        yield


async def killed_at(moment: Moment, number: int, work: Callable[[], Any]) -> bool:
    """Do ``work`` until the process ends at moment ``number``; False where it never came to that."""
    moment.set(number)
    try:
        await work()
    except (Killed, JobError):
        # The journal's own way to say that nothing is written any more.
        assert moment.was_reached
    finally:
        moment.live()
    return moment.was_reached
