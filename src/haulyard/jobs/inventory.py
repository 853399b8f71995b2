"""What a job's folder has to hold: how far it is, and all shards of its plan, each under its own name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import JobError
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from haulyard.journal.folder import JobFolder

#: Where ``state.json`` keeps what `shard_ids` returned when the plan was finished.
SHARDS: Final = "shards"


def shard_ids(folder: JobFolder) -> dict[str, str]:
    """Return the ids of the shards that are there, by the names of their files.

    Raises:
        JobError: One of them is damaged.
    """
    found = {}
    for path in folder.shard_paths():
        with Shard.open(path, owner="", read_only=True) as shard:
            found[os.path.basename(path)] = shard.meta("id") or ""
    return found


def state_of(folder: JobFolder) -> dict[str, Any]:
    """Return the content of ``state.json``, nothing where planning has not begun.

    Raises:
        JobError: It is damaged; or it is missing, though there are shards: how far the job is nobody knows.
    """
    state = folder.read("state")
    if state is None and folder.shard_paths():
        raise JobError(f"{folder.path}/state.json is missing", hint="restore it, or plan again with --new")
    return state or {}


def check_shards(folder: JobFolder, state: Mapping[str, Any]) -> None:
    """Refuse a job without one of its shards: its objects would be left out, and nobody would know.

    Raises:
        JobError: One is missing, is another one, or does not belong here; the message names it.
    """
    for flaw in _flaws(folder, state):
        raise flaw


def missing_shards(folder: JobFolder) -> list[str]:
    """Return what is wrong with the set of shards, for who tells what there is; damage is told elsewhere."""
    try:
        return [str(flaw) for flaw in _flaws(folder, folder.read("state") or {})]
    except JobError:
        return []


def _flaws(folder: JobFolder, state: Mapping[str, Any]) -> Iterator[JobError]:
    planned: Mapping[str, str] = state.get(SHARDS, {})
    found = shard_ids(folder) if planned else {}
    again = "restore it, or plan again with --new"
    for name in sorted(planned.keys() | found.keys()):
        path = os.path.join(folder.shards, name)
        if name not in found:
            yield JobError(f"{path} is missing", hint=again)
        elif name not in planned:
            yield JobError(f"{path} is no shard of this job", hint="move it away")
        elif found[name] != planned[name]:
            yield JobError(f"{path} is not the shard that the plan has under this name", hint=again)
