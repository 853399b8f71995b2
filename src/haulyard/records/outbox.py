"""Kept answers and dead letters on their way to where they are wanted, while a run goes on and at its end."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import HaulError
from haulyard.events import Warned, ignore
from haulyard.records import letters
from haulyard.records.uploading import upload_file

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.journal.folder import JobFolder
    from haulyard.records.books import Books
    from haulyard.records.ledger import Ledger
    from haulyard.records.responses import AnswerFormat, Responses
    from haulyard.stores.base import Store

#: Seconds until a store that did not take answers is tried again, as long as the run goes on.
_PATIENCE: Final = 60.0


class Place(NamedTuple):
    """Where something is written: a store, and what its keys begin with (or, of one object, its key)."""

    store: Store
    prefix: str


class Outbox:
    """Delivers segments of kept answers once they are closed; ``name`` begins their names behind the prefix.

    It does so beside the run, so that the answers of days do not pile up here. A store that does not take
    them is tried again; in the end that is an error, and nothing is lost: the next run delivers them.
    """

    def __init__(
        self, responses: Responses, place: Place, name: str, form: AnswerFormat, emit: Emit = ignore
    ) -> None:
        self._responses = responses
        self._place = place
        self._name = name
        self._form = form
        self._emit = emit
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._is_ending = False

    def look(self) -> None:
        """Begin to deliver what is due, unless that is under way; to be called after a commit."""
        # One at a time delivers.
        if self._is_ending or self._task is not None or time.monotonic() < self._not_before:
            return
        if self._responses.due:
            self._task = asyncio.create_task(self._try())

    async def end(self, books: Books) -> None:
        """Deliver all that is left, at the end of a run.

        Raises:
            StoreError: The store does not take it.
            JobError: The books cannot be kept, or a segment is damaged.
        """
        self._is_ending = True
        await self.close()
        self._responses.end_segment()
        await books.commit()
        await self._deliver()
        await books.commit()
        self._responses.settle()

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _try(self) -> None:
        try:
            await self._deliver()
        except HaulError as error:
            self._not_before = time.monotonic() + _PATIENCE
            self._emit(
                Warned(
                    f"kept answers could not be delivered: {error}",
                    "they lie in the job's folder; it is tried again",
                )
            )
        finally:
            self._task = None

    async def _deliver(self) -> None:
        place = self._place
        await self._responses.deliver(place.store, place.prefix, self._name, form=self._form)


async def write_letters(folder: JobFolder, ledger: Ledger) -> str:
    """Write the dead letters that are left into the job's folder, and return the path. Raises JobError."""
    path = os.path.join(folder.path, letters.FILE)
    await asyncio.to_thread(letters.write_letters, ledger, path, unresolved_only=True)
    return path


async def deliver_letters(folder: JobFolder, ledger: Ledger, place: Place) -> None:
    """Write them to an object, or to another file. Raises StoreError, JobError."""
    await upload_file(await write_letters(folder, ledger), place.store, place.prefix)
