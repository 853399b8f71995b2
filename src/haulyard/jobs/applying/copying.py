"""One object copied to where the plan says, and verified there, before anybody may delete its source.

======================  ======================================================================================
what may be there       how the write is bound
======================  ======================================================================================
nothing                 If-None-Match: * where the store honours it, else a look right before
what was there when     ``overwrite``: If-Match on that ETag; ``skip``: left alone; ``suffix``: another name;
the plan was made       ``fail``: an error
the same content        nothing is copied
======================  ======================================================================================

Reading is bound to the planned ETag and version. Something that appeared since is kept, unless it is the
same in content and properties: then it is the copy, whoever made it (after a crash mostly ourselves). A name
with a suffix is not planned, so that there only what is ours is taken for the copy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from haulyard.errors import (
    Conflict as ConflictError,
)
from haulyard.errors import (
    NotFound,
    PreconditionFailed,
    SourceChanged,
)
from haulyard.jobs.applying import deeds, verification
from haulyard.jobs.applying.copied import Copied, LeftAlone, suffixed
from haulyard.jobs.applying.likeness import Likeness
from haulyard.jobs.applying.planned import Planned
from haulyard.jobs.applying.writing import Writing
from haulyard.jobs.model import Conflict, Operation
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.events import Emit
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.jobs.applying.wanted import Wanted
    from haulyard.jobs.ends import Ends
    from haulyard.models import ObjectHead

#: Names that are tried for one object under ``suffix``.
_SUFFIXES: Final = 1000
#: Seconds by which the store's clock may be behind ours when it is asked whether a copy is of this job.
SKEW: Final = 300.0


class Wishing(Protocol):
    """Knows what each copy is to get."""

    async def of(self, operation: Operation, head: ObjectHead) -> Wanted:
        """Return what the copy of the object that ``head`` describes is to get."""
        ...


class Copying:
    """Copies operations between the ends of a job, any number at a time.

    ``begun`` is when the first run of the job began, in POSIX seconds: what is younger may be of this job.
    ``is_planned`` says whether a key is the destination of an operation of the plan.
    """

    def __init__(
        self,
        ends: Ends,
        wishes: Wishing,
        options: ApplyOptions,
        emit: Emit,
        *,
        begun: float,
        is_planned: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._ends = ends
        self._source, self._destination = ends.source, ends.destination
        self._wishes = wishes
        self._on_conflict = options.on_conflict
        self._begun = begun
        self._is_planned = is_planned
        self._names = prefix_of(ends.source), prefix_of(ends.destination)
        self._write = Writing(ends, options, emit)
        self._likeness = Likeness(ends, is_plain=self._write.is_plain)
        self._planned = Planned(ends.source, begun - SKEW)
        self._written: dict[str, tuple[int, str]] = {}
        """Wave and ETag of what this job wrote last where several sources have one destination."""
        self._taken: set[str] = set()
        """Names with a suffix that this job gave away."""

    def remember(self, operation: Operation, details: Mapping[str, Any]) -> None:
        """Take note of what an earlier run wrote where several sources have one destination."""
        destination = str(details.get("destination") or operation.destination)
        if destination != operation.destination:
            self._taken.add(destination)
        else:
            self._note(operation, str(details["etag"]))

    async def __call__(self, operation: Operation, *, in_doubt: bool) -> Copied:
        """Copy and verify one object.

        ``in_doubt`` says that an earlier run may have copied it without writing that down.

        Raises:
            LeftAlone: What is at the destination is to be kept.
            HaulError: It could not be done; nothing of it lies at the destination unless the error says so.
        """
        head = await self._planned.describe(
            operation, may_be_younger=in_doubt and self.is_in_place(operation)
        )
        deeds.check_readable(self._source, head)
        wanted = await self._wishes.of(operation, head)
        if self.is_in_place(operation):
            return await self._in_place(operation, head, wanted, in_doubt=in_doubt)
        conflict = Conflict(operation.conflict)
        if conflict is Conflict.SAME:
            return await self._accept(operation, head, wanted, in_doubt=False)
        if conflict is Conflict.NONE:
            return await self._create(operation, head, wanted, in_doubt=in_doubt)
        return await self._decided(operation, head, wanted, in_doubt=in_doubt)

    async def found(self, operation: Operation) -> Copied | None:
        """Return the copy that an earlier run made without writing that down; None where there is none.

        For who takes a job back: nothing is copied.
        """
        try:
            head = await self._planned.describe(operation, may_be_younger=self.is_in_place(operation))
        except SourceChanged:
            return None
        wanted = await self._wishes.of(operation, head)
        if self.is_in_place(operation):
            return await self._in_place_before(operation, head, wanted)
        conflict = Conflict(operation.conflict)
        if conflict in {Conflict.COLLISION, Conflict.EXISTS} and self._on_conflict == "suffix":
            return await self._found_suffixed(operation, head, wanted)
        if conflict is Conflict.SAME or (conflict is not Conflict.NONE and self._on_conflict != "overwrite"):
            return None
        _, present = self._written.get(operation.destination, (-1, operation.present))
        copied = await self._ours(operation, head, wanted, operation.destination)
        if copied is None or not present:
            return copied
        return None if copied.etag == present else replace(copied, replaced=(present, ""))

    async def is_still_there(self, operation: Operation, details: Mapping[str, Any]) -> bool:
        """Return whether the copy that the journal knows of is what lies at the destination."""
        there = await self._look(str(details.get("destination") or operation.destination))
        return there is not None and there.etag == details["etag"]

    def is_in_place(self, operation: Operation) -> bool:
        """Return whether an object is its own destination: only its properties change."""
        return self._ends.is_one_store and operation.key == operation.destination

    async def _in_place(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Write an object over itself, unless an earlier run did so."""
        copied = await self._in_place_before(operation, head, wanted) if in_doubt else None
        copied = copied or await self._write(operation, head, wanted, operation.destination)
        self._note(operation, copied.etag)
        return replace(copied, in_place=True)

    async def _in_place_before(self, operation: Operation, head: ObjectHead, wanted: Wanted) -> Copied | None:
        """Return what an earlier run wrote over itself; None where that is not seen."""
        if not (_is_younger(head, operation) and await self._likeness.has_all(wanted, head)):
            return None
        verified = verification.CHECKSUM if head.etag == operation.etag else verification.SIZE_ONLY
        return Copied(
            operation.key,
            head.etag,
            head.version_id,
            head.size,
            verified,
            made=True,
            source_etag=head.etag,
            in_place=True,
        )

    async def _decided(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Do what was decided for conflicts."""
        there = f"{self._names[1]}{operation.destination}"
        is_collision = operation.conflict == Conflict.COLLISION
        if self._on_conflict == "skip":
            raise LeftAlone("others have the same destination" if is_collision else "the destination exists")
        if self._on_conflict == "suffix":
            return await self._create_suffixed(operation, head, wanted, in_doubt=in_doubt)
        if self._on_conflict == "overwrite":
            return await self._overwrite(operation, head, wanted, in_doubt=in_doubt)
        problem = "has the same destination as others" if is_collision else "has a destination that exists"
        raise ConflictError(
            f"{self._names[0]}{operation.key} {problem}: {there}",
            operation="copy",
            key=operation.key,
            hint="decide with haul apply --on-conflict skip, overwrite or suffix, or change the rules",
        )

    async def _create(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Write where nothing is, or take what is there for the copy."""
        copied = await self._created(operation, head, wanted, operation.destination)
        return copied or await self._accept(operation, head, wanted, in_doubt=in_doubt)

    async def _created(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, destination: str
    ) -> Copied | None:
        """Write where nothing is; None where something is."""
        condition = self._write.condition
        if condition is not True and await self._look(destination) is not None:
            return None
        put = replace(wanted.put, if_none_match="" if condition is False else "*")
        try:
            return await self._write(operation, head, replace(wanted, put=put), destination)
        except (PreconditionFailed, SourceChanged) as error:
            await self._planned.check(operation, head, error)
            return None

    async def _create_suffixed(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Write under the first free of ``name``, ``name-1``, ``name-2`` …."""
        first = _first_suffix(operation)
        for number in range(first, first + _SUFFIXES):
            destination = suffixed(operation.destination, number)
            if destination in self._taken:
                continue
            copied = await self._created(operation, head, wanted, destination)
            if copied is None and in_doubt and not (number and self._is_planned(destination)):
                copied = await self._ours(operation, head, wanted, destination)
            if copied is not None:
                self._taken.add(destination)
                return copied
        raise ConflictError(
            f"{self._names[0]}{operation.key}: {_SUFFIXES} names beside {operation.destination} are taken",
            operation="copy",
            key=operation.key,
            hint="change the rules so that destinations differ",
        )

    async def _found_suffixed(self, operation: Operation, head: ObjectHead, wanted: Wanted) -> Copied | None:
        for number in range(_first_suffix(operation), _SUFFIXES):
            destination = suffixed(operation.destination, number)
            if await self._look(destination) is None:
                return None
            if destination in self._taken or (number and self._is_planned(destination)):
                continue
            if copied := await self._ours(operation, head, wanted, destination):
                return copied
        return None

    async def _overwrite(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Write over what was there when the plan was made, or what an operation before this one wrote."""
        wave, present = self._written.get(operation.destination, (-1, operation.present))
        if wave > operation.wave:
            # It failed when its turn was, and must not come after those that would have replaced it.
            raise LeftAlone("another one that comes later in the plan has the destination by now")
        if present:
            copied = await self._replace(operation, head, wanted, present, in_doubt=in_doubt)
        else:
            copied = await self._create(operation, head, wanted, in_doubt=in_doubt)
        self._note(operation, copied.etag)
        return copied

    async def _replace(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, present: str, *, in_doubt: bool
    ) -> Copied:
        """Write over what has the ETag ``present``, and over nothing else."""
        there = await self._look(operation.destination)
        if there is None:
            return await self._create(operation, head, wanted, in_doubt=in_doubt)
        if there.etag == present:
            put = replace(wanted.put, if_match="" if self._write.condition is False else present)
            try:
                copied = await self._write(operation, head, replace(wanted, put=put), operation.destination)
                return replace(copied, replaced=(there.etag, there.version_id))
            except (PreconditionFailed, SourceChanged) as error:
                await self._planned.check(operation, head, error)
        copied = await self._accept(operation, head, wanted, in_doubt=in_doubt)
        return replace(copied, replaced=(present, "")) if copied.made else copied

    async def _accept(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, *, in_doubt: bool
    ) -> Copied:
        """Take what is at the destination for the copy, if it is the same.

        Raises:
            Conflict: It is not.
            IntegrityError: It may be the source itself.
        """
        destination = operation.destination
        there = await self._look(destination)
        names = self._names[0] + operation.key, self._names[1] + destination
        if there is None:
            raise ConflictError(
                f"{names[1]} was there, and is gone again",
                operation="copy",
                key=operation.key,
                hint="somebody else works on the destination; apply the job again",
            )
        self._likeness.refuse_itself(operation, head, there)
        is_ours = in_doubt and self._is_of_this_job(there)
        problem = await self._likeness.difference(operation, head, wanted, there, is_ours=is_ours)
        if problem:
            raise ConflictError(
                f"{names[1]} appeared after the plan was made, with {problem}; {names[0]} was not copied"
                if operation.conflict != Conflict.SAME
                else f"{names[1]} has {problem}, and not what {names[0]} has",
                operation="copy",
                key=operation.key,
                hint="look at both, then plan again with --new, or move the one that is there away",
            )
        return await self._taken_over(operation, head, wanted, there, is_ours=is_ours)

    async def _ours(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, destination: str
    ) -> Copied | None:
        """Return what an earlier run copied without writing that down; None where it did not."""
        there = await self._look(destination)
        if there is None or not self._is_of_this_job(there):
            return None
        self._likeness.refuse_itself(operation, head, there)
        if await self._likeness.difference(operation, head, wanted, there, is_ours=True):
            return None
        return await self._taken_over(operation, head, wanted, there, is_ours=True)

    async def _taken_over(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, there: ObjectHead, *, is_ours: bool
    ) -> Copied:
        before = dict(wanted.before or {})
        if not is_ours:
            # Nobody gave it the properties of this source: with the source go those that differ.
            before = {**await self._likeness.otherwise(operation, head, there), **before}
        if is_ours and wanted.acl is not None:
            # The earlier run may have ended between the copy and its ACL.
            await self._destination.set_acl(there.key, wanted.acl)
        return Copied(
            there.key,
            there.etag,
            there.version_id,
            there.size,
            verification.CHECKSUM,
            made=is_ours,
            source_etag=head.etag,
            before=before,
        )

    async def _look(self, destination: str) -> ObjectHead | None:
        try:
            return await self._destination.head(destination)
        except NotFound:
            return None

    def _is_of_this_job(self, there: ObjectHead) -> bool:
        modified = there.last_modified
        return modified is not None and modified.timestamp() >= self._begun - SKEW

    def _note(self, operation: Operation, etag: str) -> None:
        if operation.conflict == Conflict.COLLISION:
            wave, _ = self._written.get(operation.destination, (-1, ""))
            if operation.wave >= wave:
                self._written[operation.destination] = operation.wave, etag


def _first_suffix(operation: Operation) -> int:
    """Return the first number that is free for all that is known, 0 for the name itself."""
    if operation.conflict == Conflict.COLLISION and not operation.present:
        return operation.wave
    return 1


def _is_younger(head: ObjectHead, operation: Operation) -> bool:
    """Return whether an object was written after it was planned, in whole seconds as HEAD has them."""
    if head.last_modified is None or not operation.modified:
        return False
    return int(head.last_modified.timestamp()) > int(operation.modified)
