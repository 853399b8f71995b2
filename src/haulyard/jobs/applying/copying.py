"""One object copied to where the plan says, and verified there, before anybody may delete its source.

======================  ======================================================================================
what may be there       how the write is bound
======================  ======================================================================================
nothing                 If-None-Match: * where the store honours it, else a look right before
what was there when     ``overwrite``: If-Match on that ETag; ``skip``: left alone; ``suffix``: another name;
the plan was made       ``fail``: an error
the same content        nothing is copied
======================  ======================================================================================

Reading is bound to the planned ETag and version. Something that appeared since is kept, unless it has the
same content: then it is the copy, whoever made it (after a crash mostly ourselves).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from haulyard.errors import (
    Conflict as ConflictError,
)
from haulyard.errors import (
    HaulError,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    SourceChanged,
)
from haulyard.jobs.applying import verification
from haulyard.jobs.model import Conflict, Operation
from haulyard.models import CopyOptions, CopySource, GetOptions
from haulyard.stores.local import LocalStore
from haulyard.transfer.copy import HELD
from haulyard.transfer.engine import mover
from haulyard.transfer.items import Item, Job, prefix_of
from haulyard.transfer.workers import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.events import Emit
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.jobs.applying.wanted import Wanted
    from haulyard.jobs.ends import Ends
    from haulyard.models import ObjectHead

#: Names that are tried for one object under ``suffix``.
_SUFFIXES: Final = 1000
#: Seconds by which the store's clock may be behind ours when it is asked whether a copy is of this job.
_SKEW: Final = 300.0


class Wishing(Protocol):
    """Knows what each copy is to get."""

    async def of(self, operation: Operation, head: ObjectHead) -> Wanted:
        """Return what the copy of the object that ``head`` describes is to get."""
        ...


class LeftAlone(Exception):
    """The operation is not to be done, as was decided; the text says why."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A verified copy: where, what the store says of it, what it replaced.

    ``before`` are the properties of the source that the copy does not have, for who wants to put them back.
    """

    destination: str
    etag: str
    version: str
    size: int
    verified: str
    made: bool
    source_etag: str
    replaced: tuple[str, str] | None = None
    before: Mapping[str, Any] | None = None

    def details(self, operation: Operation, seconds: float) -> dict[str, Any]:
        """Return what the journal keeps of it."""
        kept: dict[str, Any] = {
            "etag": self.etag,
            "version": self.version,
            "size": self.size,
            "verified": self.verified,
            "seconds": round(seconds, 4),
        }
        if self.source_etag != operation.etag:
            kept["source_etag"] = self.source_etag
        if self.destination != operation.destination:
            kept["destination"] = self.destination
        if not self.made:
            kept["made"] = False
        if self.replaced is not None:
            kept["replaced"] = list(self.replaced)
        if self.before:
            kept["before"] = self.before
        return kept


class Copying:
    """Copies operations between the ends of a job, any number at a time.

    ``begun`` is when the first run of the job began, in POSIX seconds: what is younger may be of this job.
    """

    def __init__(
        self, ends: Ends, wishes: Wishing, options: ApplyOptions, emit: Emit, *, begun: float
    ) -> None:
        self._ends = ends
        self._source, self._destination = ends.source, ends.destination
        self._wishes = wishes
        self._options = options
        self._emit = emit
        self._begun = begun
        self._names = prefix_of(ends.source), prefix_of(ends.destination)
        self._inside = ends.source.service == ends.destination.service
        self._room = Room(HELD)
        capabilities = ends.destination.capabilities
        self._condition = capabilities.conditional_copy if self._inside else capabilities.conditional_put
        self._is_plain = isinstance(ends.source, LocalStore) or isinstance(ends.destination, LocalStore)
        # One bucket reached in two ways (endpoints, profiles, an access point) looks like two.
        self._may_be_one = not ends.is_one_store and (
            ends.source.bucket == ends.destination.bucket
            or any(store.bucket.startswith("arn:") for store in (ends.source, ends.destination))
        )
        self._written: dict[str, str] = {}
        """ETags that this job wrote where several sources have one destination."""

    def remember(self, destination: str, etag: str) -> None:
        """Take note of what an earlier run wrote to a destination that several sources have."""
        self._written[destination] = etag

    async def __call__(self, operation: Operation, *, in_doubt: bool) -> Copied:
        """Copy and verify one object.

        ``in_doubt`` says that an earlier run may have copied it without writing that down.

        Raises:
            LeftAlone: What is at the destination is to be kept.
            HaulError: It could not be done; nothing of it lies at the destination unless the error says so.
        """
        head = await self._described(operation, in_doubt=in_doubt)
        wanted = await self._wishes.of(operation, head)
        if self._is_in_place(operation):
            return await self._copy_to(operation, head, wanted, operation.destination, present="")
        conflict = Conflict(operation.conflict)
        if conflict is Conflict.SAME:
            return await self._accept(operation, head, operation.destination, in_doubt=False)
        if conflict is Conflict.NONE:
            return await self._create(operation, head, wanted, operation.destination, in_doubt=in_doubt)
        return await self._decided(operation, head, wanted, in_doubt=in_doubt)

    async def is_still_there(self, operation: Operation, details: Mapping[str, Any]) -> bool:
        """Return whether the copy that the journal knows of is what lies at the destination."""
        there = await self._look(str(details.get("destination") or operation.destination))
        return there is not None and there.etag == details["etag"]

    async def _decided(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Do what was decided for conflicts."""
        there = f"{self._names[1]}{operation.destination}"
        is_collision = operation.conflict == Conflict.COLLISION
        if self._options.on_conflict == "skip":
            raise LeftAlone("others have the same destination" if is_collision else "the destination exists")
        if self._options.on_conflict == "suffix":
            return await self._create_suffixed(operation, head, wanted, in_doubt=in_doubt)
        if self._options.on_conflict == "overwrite":
            present = self._written.get(operation.destination, operation.present)
            if not present:
                copied = await self._create(operation, head, wanted, operation.destination, in_doubt=in_doubt)
            else:
                copied = await self._replace(operation, head, wanted, present, in_doubt=in_doubt)
            self._written[operation.destination] = copied.etag
            return copied
        problem = "has the same destination as others" if is_collision else "has a destination that exists"
        raise ConflictError(
            f"{self._names[0]}{operation.key} {problem}: {there}",
            operation="copy",
            key=operation.key,
            hint="decide with haul apply --on-conflict skip, overwrite or suffix, or change the rules",
        )

    async def _create(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, destination: str, *, in_doubt: bool
    ) -> Copied:
        """Write where nothing is."""
        if self._condition is not True and await self._look(destination) is not None:
            return await self._accept(operation, head, destination, in_doubt=in_doubt)
        put = replace(wanted.put, if_none_match="" if self._condition is False else "*")
        try:
            return await self._copy_to(operation, head, replace(wanted, put=put), destination, present="")
        except (PreconditionFailed, SourceChanged) as error:
            await self._check_source(operation, head, error)
            return await self._accept(operation, head, destination, in_doubt=in_doubt)

    async def _create_suffixed(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Write under the first free of ``name``, ``name-1``, ``name-2`` …."""
        first = operation.wave if operation.conflict == Conflict.COLLISION and not operation.present else 1
        for number in range(first, first + _SUFFIXES):
            destination = suffixed(operation.destination, number)
            try:
                return await self._create(operation, head, wanted, destination, in_doubt=in_doubt)
            except ConflictError:
                continue
        raise ConflictError(
            f"{self._names[0]}{operation.key}: {_SUFFIXES} names beside {operation.destination} are taken",
            operation="copy",
            key=operation.key,
            hint="change the rules so that destinations differ",
        )

    async def _replace(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, present: str, *, in_doubt: bool
    ) -> Copied:
        """Write over what was there when the plan was made, and over nothing else."""
        there = await self._look(operation.destination)
        if there is None:
            return await self._create(operation, head, wanted, operation.destination, in_doubt=in_doubt)
        if there.etag != present:
            return await self._accept(operation, head, operation.destination, in_doubt=in_doubt)
        put = replace(wanted.put, if_match="" if self._condition is False else present)
        try:
            copied = await self._copy_to(
                operation, head, replace(wanted, put=put), operation.destination, present=present
            )
        except (PreconditionFailed, SourceChanged) as error:
            await self._check_source(operation, head, error)
            return await self._accept(operation, head, operation.destination, in_doubt=in_doubt)
        return replace(copied, replaced=(there.etag, there.version_id))

    async def _accept(
        self, operation: Operation, head: ObjectHead, destination: str, *, in_doubt: bool
    ) -> Copied:
        """Take what is at the destination for the copy, if it has the same content.

        Raises:
            Conflict: It has another one, or nothing tells and it cannot be ours.
            IntegrityError: It may be the source itself.
        """
        there = await self._look(destination)
        if there is None:
            raise ConflictError(
                f"{self._names[1]}{destination} was there, and is gone again",
                operation="copy",
                key=operation.key,
                hint="somebody else works on the destination; apply the job again",
            )
        if self._may_be_one and destination == operation.key and _looks(there) == _looks(head):
            raise IntegrityError(
                f"{self._names[0]}{operation.key} seems to be its own destination: nothing was done",
                operation="copy",
                key=operation.key,
                hint="both ends may be one bucket that is reached in two ways",
            )
        verdict = verification.compare(head, there)
        ours = in_doubt and self._is_of_this_job(there)
        if verdict is None and (ours or self._options.verify or operation.conflict == Conflict.SAME):
            # Nothing that is stated tells; what is in doubt is never assumed.
            verdict = await verification.reads_equal(self._source, head, self._destination, there)
        if not verdict:
            raise ConflictError(
                f"{self._names[1]}{destination} appeared after the plan was made, with another content; "
                f"{self._names[0]}{operation.key} was not copied",
                operation="copy",
                key=operation.key,
                hint="look at both, then plan again with --new, or move the one that is there away",
            )
        return Copied(
            destination,
            there.etag,
            there.version_id,
            there.size,
            verification.CHECKSUM,
            made=ours,
            source_etag=head.etag,
        )

    async def _copy_to(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, destination: str, *, present: str
    ) -> Copied:
        """Copy, look at what arrived, and compare it."""
        item = Item(operation.key, head.size, operation.modified, head.etag, operation.version)
        if self._inside and head.size <= self._destination.capabilities.max_put_size:
            source = CopySource(self._source.bucket, item.key, item.version_id, item.etag)
            copying = CopyOptions(wanted.put, wanted.replaces_metadata, wanted.replaces_tags)
            result = await self._destination.copy(source, destination, copying)
            verified, etag, version = "", result.etag, result.version_id
        else:
            transfer = replace(
                self._options.transfer,
                put=wanted.put,
                replace_metadata=wanted.replaces_metadata,
                replace_tags=wanted.replaces_tags,
                # Makes the mover tell a condition of the destination from one of the source.
                no_clobber=not present and bool(wanted.put.if_none_match),
            )
            move = mover(self._source, self._destination, transfer, self._emit, room=self._room)
            done = await move(Job(item, destination))
            verified, etag, version = done.verified, done.etag, done.version_id
        there = await self._destination.head(destination, _reading(version))
        verified = await self._verify(operation, head, there, verified)
        if not self._is_plain:
            names = self._names[0] + operation.key, self._names[1] + destination
            verification.check_properties(wanted.expected, there, names)
        if wanted.acl is not None:
            await self._destination.set_acl(destination, wanted.acl)
        return Copied(
            destination,
            there.etag or etag,
            version,
            there.size,
            verified,
            made=True,
            source_etag=head.etag,
            before=wanted.before,
        )

    async def _verify(self, operation: Operation, head: ObjectHead, there: ObjectHead, verified: str) -> str:
        names = self._names[0] + operation.key, self._names[1] + there.key
        if head.size != there.size:
            problem = f"has {there.size} bytes instead of {head.size}"
            raise verification.differs(names, there, problem)
        verdict = verification.compare(head, there)
        if verdict is False:
            raise verification.differs(names, there, "has another checksum than its source")
        if verdict or verified == verification.CHECKSUM:
            return verification.CHECKSUM
        if self._options.verify or (self._inside and verification.etags_differ(head, there)):
            if not await verification.reads_equal(self._source, head, self._destination, there):
                raise verification.differs(names, there, "has another content than its source")
            return verification.CHECKSUM
        return verification.SIZE_ONLY

    async def _described(self, operation: Operation, *, in_doubt: bool) -> ObjectHead:
        """Describe the source, which has to be what was planned."""
        try:
            head = await self._source.head(operation.key, GetOptions(version_id=operation.version))
        except NotFound as error:
            raise SourceChanged(
                f"{self._names[0]}{operation.key} is gone since the plan was made",
                operation="copy",
                key=operation.key,
                hint="somebody else moved or deleted it; haul plan --new lists again",
            ) from error
        if in_doubt and self._is_in_place(operation) and self._is_of_this_job(head):
            # It may have been copied onto itself already, with another ETag: doing that again is harmless.
            return head
        if (operation.etag and head.etag != operation.etag) or (0 <= operation.size != head.size):
            raise self._replaced(operation)
        return head

    async def _check_source(self, operation: Operation, head: ObjectHead, error: HaulError) -> None:
        """Raise where it was the source that a condition did not hold for."""
        try:
            now = await self._source.head(operation.key, GetOptions(version_id=operation.version))
        except NotFound:
            raise self._replaced(operation) from error
        if now.etag != head.etag:
            raise self._replaced(operation) from error

    def _replaced(self, operation: Operation) -> SourceChanged:
        return SourceChanged(
            f"{self._names[0]}{operation.key} was replaced since the plan was made; it is kept as it is",
            operation="copy",
            key=operation.key,
            hint="haul plan --new lists again what is to be done",
        )

    async def _look(self, destination: str) -> ObjectHead | None:
        try:
            return await self._destination.head(destination)
        except NotFound:
            return None

    def _is_in_place(self, operation: Operation) -> bool:
        return self._ends.is_one_store and operation.key == operation.destination

    def _is_of_this_job(self, there: ObjectHead) -> bool:
        modified = there.last_modified
        return modified is not None and modified.timestamp() >= self._begun - _SKEW


def suffixed(key: str, number: int) -> str:
    """Return ``dir/name-NUMBER.ext``; the key itself for 0."""
    if not number:
        return key
    directory, slash, name = key.rpartition("/")
    stem, dot, extension = name.partition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    return f"{directory}{slash}{stem}-{number}{dot}{extension}"


def _reading(version: str) -> GetOptions:
    return GetOptions(version_id=version)


def _looks(head: ObjectHead) -> tuple[object, ...]:
    return (head.etag, head.size, head.last_modified)
