"""Beginning a job of any kind: a new folder, the one that is there, or a new one in its place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from haulyard.errors import JobError
from haulyard.journal.folder import JobFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Created(NamedTuple):
    """The folder of a job; ``existed`` where it was there before.

    ``kept_as`` is the new name of a job that had to make way, because it had done something.
    """

    folder: JobFolder
    existed: bool = False
    kept_as: str = ""


def create(
    directory: str,
    name: str,
    specification: Mapping[str, object],
    *,
    is_same: Callable[[Mapping[str, Any]], bool],
    has_acted: Callable[[JobFolder], bool],
    new: bool = False,
) -> Created:
    """Return the folder of the job ``name``, which is made unless it is there.

    ``is_same`` says whether the specification of a job that is there asks for the same. ``new`` removes the
    job of that name, unless it ``has_acted``: then it is kept under another name.

    Raises:
        JobError: There is another job of that name, or somebody works on the one to be removed.
    """
    directory = os.path.abspath(directory)
    if not JobFolder.exists(directory, name):
        return Created(JobFolder.create(directory, name, specification))
    folder = JobFolder.open(directory, name)
    if not new:
        there = folder.specification
        if there.get("kind") != specification.get("kind") or not is_same(there):
            what = f"{there.get('verb', 'process')} {there.get('source', '')}"
            raise JobError(
                f"job {name} is another one: {what}",
                hint="its ends, rules or flags are others: give this one another --job, or replace "
                "that one with --new",
            )
        return Created(folder, existed=True)
    if has_acted(folder):
        kept_as = folder.set_aside()
        return Created(JobFolder.create(directory, name, specification), kept_as=kept_as)
    folder.remove()
    return Created(JobFolder.create(directory, name, specification))
