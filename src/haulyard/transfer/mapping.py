"""Which key each selected object gets in the destination: the rules of `cp` and `mv`.

=====================  ==========================  ==============================
source                 destination ``DST/``        destination ``DST``
=====================  ==========================  ==============================
object ``a/x``         ``DST/x``                   ``DST``
``-r a/b``             ``DST/b/…``                 ``DST/…``
``a/b/``               ``DST/…``                   ``DST/…``
wildcard ``a/*``       ``DST/`` + what follows     refused: may be several
manifest               ``DST/`` + what follows     refused: may be several
several sources        each as above               refused
=====================  ==========================  ==============================

``--flatten`` keeps only the last component of what would follow. A destination ``""`` is the top of a store,
which is always a ``DST/``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, StoreError
from haulyard.transfer.items import Job, prefix_of
from haulyard.transfer.selection import as_directory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.errors import HaulError
    from haulyard.stores.base import Store
    from haulyard.transfer.scratch import Claims
    from haulyard.transfer.selection import Selection
    from haulyard.transfer.sources import Found


class Target(NamedTuple):
    """What the destination argument says: a key, and whether things go *into* it.

    For a local directory that is the root of its store ``key`` is ``""``; ``into`` is True where the argument
    ended in a slash, was a whole bucket, or, for a single object, is a directory that exists.
    """

    key: str
    into: bool

    @classmethod
    def parse(cls, key: str) -> Target:
        """Understand the key of a URL."""
        return cls(key, not key or key.endswith("/"))


@dataclass(frozen=True, slots=True)
class CopyRules:
    """How objects are mapped.

    ``keep_markers`` says that the destination can hold zero-byte keys that end in a slash (S3); elsewhere
    they would be directories, and are left out. ``in_place`` lets an object be its own destination, for a
    copy that changes its properties.
    """

    flatten: bool = False
    keep_markers: bool = True
    in_place: bool = False


class Refusal(NamedTuple):
    """A job that is not to be done: with ``error`` it failed, without it is left out for ``reason``."""

    job: Job
    reason: str
    error: HaulError | None = None


Refuse = Callable[[Refusal], None]


class Mapping:
    """Where the objects of one selection go.

    ``base`` is what all their destinations start with.

    Raises:
        ConfigError: The target has to end in a slash.
    """

    def __init__(
        self, selection: Selection, target: Target, *, flatten: bool = False, alone: bool = True
    ) -> None:
        if not target.into and (not alone or selection.kind in {"wildcard", "manifest"}):
            raise ConfigError(
                f"the destination {target.key!r} is one name, and there may be several objects",
                hint="end the destination in a slash",
            )
        self._flatten = flatten
        self._single = target.key if selection.kind == "object" and not target.into else ""
        self.base = self._single or as_directory(target.key)
        if target.into and selection.name and not flatten:
            self.base += selection.name + "/"

    def key_of(self, relative: str) -> str:
        """Return the destination of the object at ``relative`` below the source."""
        if self._single:
            return self._single
        return self.base + (relative.rpartition("/")[2] if self._flatten else relative)


def location(store: Store, key: str) -> str:
    """Return a text that is equal for two keys of two stores exactly if they are one object.

    Two directories of which one lies in the other are two stores with objects in common: that shows too.
    """
    return f"{store.identity.rstrip('/')}/{key}"


async def map_jobs(
    pages: AsyncIterator[list[Found]],
    placement: Placement,
    refuse: Refuse,
    claims: Claims | None = None,
) -> AsyncIterator[list[Job]]:
    """Yield pages of jobs for pages of found objects; what is not to be done is told to ``refuse``.

    ``claims`` is needed where two objects can have one destination: with ``--flatten``, several sources or a
    manifest; all sources of a command share it. The later of two fails; an object that was named twice is
    left out the second time.
    """
    async for page in pages:
        jobs = []
        for item, relative in page:
            job = Job(item, placement.mapping.key_of(relative))
            refusal = placement.flaw(job)
            if refusal is None:
                jobs.append(job)
            else:
                refuse(refusal)
        if claims is not None:
            jobs = _unclaimed(jobs, placement.source, claims, refuse)
        if jobs:
            yield jobs


class Placement:
    """Knows which of the mapped objects have no place in the destination.

    - One that is its own destination fails, unless ``rules.in_place`` or an old version becomes the new one.
    - One that lies under the destination already is left out: copying ``b/`` to ``b/backup/`` must not
      copy the backup, let alone what is being copied.
    - One whose destination lies among the sources fails: it could overwrite what has yet to be read.
    - A marker of a directory is left out where the destination has none, or would lose its name.

    Raises:
        ConfigError: Source and destination are the same tree.
    """

    def __init__(
        self,
        source: Store,
        selection: Selection,
        destination: Store,
        mapping: Mapping,
        rules: CopyRules,
    ) -> None:
        self.source = source
        self.mapping = mapping
        self._destination = destination
        self._rules = rules
        self._is_single = selection.kind == "object"
        # A bucket and a directory have nothing in common; finding out by name costs a realpath an object.
        self._apart = type(source) is not type(destination)
        self._ours: str | None = None
        self._among: str | None = None
        if self._is_single or self._apart:
            return
        here, there = location(source, selection.base), location(destination, mapping.base)
        if here == there and rules.in_place and not rules.flatten:
            return
        if here == there:
            raise ConfigError(
                f"{prefix_of(source)}{selection.base} is both source and destination",
                hint="name another destination",
            )
        if there.startswith(here):
            self._ours = there[len(location(source, "")) :]
        elif here.startswith(there):
            self._among = here[len(location(destination, "")) :]

    def flaw(self, job: Job) -> Refusal | None:
        """Return why ``job`` is not to be done; None if it is."""
        key = job.item.key
        if self._is_single and self._is_itself(job):
            return Refusal(job, "", self._error(job, "is its own destination", "name another destination"))
        if self._ours is not None and key.startswith(self._ours):
            return Refusal(job, "lies under the destination already")
        if self._among is not None and job.destination.startswith(self._among):
            hint = "copy it to another destination first"
            return Refusal(job, "", self._error(job, "has a destination that lies among the sources", hint))
        if job.item.size == 0 and key.endswith("/") and not self._holds_marker(job):
            return Refusal(job, "marks a directory")
        return None

    def _is_itself(self, job: Job) -> bool:
        if self._apart or self._rules.in_place or job.item.version_id:
            return False
        return location(self.source, job.item.key) == location(self._destination, job.destination)

    def _holds_marker(self, job: Job) -> bool:
        return self._rules.keep_markers and not self._rules.flatten and bool(job.destination)

    def _error(self, job: Job, problem: str, hint: str) -> StoreError:
        where = prefix_of(self._destination) + job.destination
        return StoreError(
            f"{prefix_of(self.source)}{job.item.key} {problem}: {where}",
            operation="copy",
            bucket=self.source.bucket,
            key=job.item.key,
            hint=hint,
        )


def _unclaimed(jobs: list[Job], source: Store, claims: Claims, refuse: Refuse) -> list[Job]:
    prefix = prefix_of(source)
    names = [f"{prefix}{item.key}{'@' * bool(item.version_id)}{item.version_id}" for item, _ in jobs]
    owners = claims.take([(job.destination, name) for job, name in zip(jobs, names, strict=True)])
    kept = []
    for job, name, owner in zip(jobs, names, owners, strict=True):
        if not owner:
            kept.append(job)
        elif owner == name:
            refuse(Refusal(job, "was named before"))
        else:
            error = StoreError(
                f"{name} would overwrite {job.destination}, which {owner} becomes in this command",
                operation="copy",
                bucket=source.bucket,
                key=job.item.key,
                hint="copy it in a command of its own, to another destination",
            )
            refuse(Refusal(job, "", error))
    return kept
