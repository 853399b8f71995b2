"""One copy made and verified: nothing is called copied that was not looked at where it arrived."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.errors import HaulError, IntegrityError
from haulyard.jobs.applying import verification
from haulyard.jobs.applying.copied import Copied
from haulyard.models import CopyOptions, CopySource, DeleteOptions, GetOptions
from haulyard.stores.local import LocalStore
from haulyard.transfer.copy import HELD
from haulyard.transfer.engine import mover
from haulyard.transfer.items import Item, Job, prefix_of
from haulyard.transfer.workers import Room

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.jobs.applying.wanted import Wanted
    from haulyard.jobs.ends import Ends
    from haulyard.jobs.model import Operation
    from haulyard.models import ObjectHead


class Writing:
    """Copies objects between the ends of a job and compares what arrived, any number at a time."""

    def __init__(self, ends: Ends, options: ApplyOptions, emit: Emit) -> None:
        self._source, self._destination = ends.source, ends.destination
        self._options = options
        # The journal says that a copy is there only where it survives a power failure.
        self._transfer = replace(options.transfer, durable=True)
        self._emit = emit
        self._names = prefix_of(ends.source), prefix_of(ends.destination)
        self._room = Room(HELD)
        self.is_inside = ends.source.service == ends.destination.service
        """Whether the store copies by itself."""
        self.is_plain = isinstance(ends.source, LocalStore) or isinstance(ends.destination, LocalStore)
        """Whether one end is a directory, whose files have no properties."""
        capabilities = ends.destination.capabilities
        self.condition = capabilities.conditional_copy if self.is_inside else capabilities.conditional_put
        """Whether the destination honours conditions of a write; None where that is not proved."""

    async def __call__(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, destination: str
    ) -> Copied:
        """Copy the object that ``head`` describes, look at what arrived, and compare it.

        Conditions on the destination are in ``wanted``.

        Raises:
            PreconditionFailed: One of them does not hold.
            SourceChanged: The source is not what ``head`` describes, or a condition does not hold.
            IntegrityError: What arrived is not the same; it is removed where that can be done safely.
        """
        verified, etag, version = await self._send(operation, head, wanted, destination)
        # Of an object without a version; not every store understands its own answer.
        version = "" if version == "null" else version
        there = await self._destination.head(destination, GetOptions(version_id=version))
        try:
            verified = await self._verify(operation, head, there, verified, etag)
            if not self.is_plain:
                self._check_properties(operation, head, wanted, there)
        except IntegrityError:
            # What lies there may be somebody else's by now; that must stay.
            if version or there.etag == etag:
                await self._withdraw(destination, etag, version, wanted)
            raise
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

    async def _send(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, destination: str
    ) -> tuple[str, str, str]:
        """Return by what the mover verified it, ETag and version of the copy."""
        item = Item(operation.key, head.size, operation.modified, head.etag, operation.version)
        if self.is_inside and head.size <= self._destination.capabilities.max_put_size:
            source = CopySource(self._source.bucket, item.key, item.version_id, item.etag)
            options = CopyOptions(wanted.put, wanted.replaces_metadata, wanted.replaces_tags)
            result = await self._destination.copy(source, destination, options)
            return "", result.etag, result.version_id
        transfer = replace(
            self._transfer,
            put=wanted.put,
            replace_metadata=wanted.replaces_metadata,
            replace_tags=wanted.replaces_tags,
            # Makes the mover tell a condition of the destination from one of the source.
            no_clobber=bool(wanted.put.if_none_match),
        )
        move = mover(self._source, self._destination, transfer, self._emit, room=self._room)
        done = await move(Job(item, destination))
        return done.verified, done.etag, done.version_id

    async def _verify(
        self, operation: Operation, head: ObjectHead, there: ObjectHead, verified: str, etag: str
    ) -> str:
        """Compare what lies there with its source; ``etag`` is that of what was written, if it is known."""
        names = self._names[0] + operation.key, self._names[1] + there.key
        if head.size != there.size:
            problem = f"has {there.size} bytes instead of {head.size}"
            raise verification.differs(names, there, problem)
        verdict = verification.compare(head, there)
        if verdict is False:
            raise verification.differs(names, there, "has another checksum than its source")
        is_another = bool(etag and there.etag) and there.etag != etag
        if verdict or (verified == verification.CHECKSUM and not is_another):
            return verification.CHECKSUM
        in_doubt = is_another or (self.is_inside and verification.etags_differ(head, there))
        if self._options.verify or in_doubt:
            if not await verification.reads_equal(self._source, head, self._destination, there):
                raise verification.differs(names, there, "has another content than its source")
            return verification.CHECKSUM
        return verification.SIZE_ONLY

    def _check_properties(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, there: ObjectHead
    ) -> None:
        problem = verification.other_properties(wanted.expected, there)
        tags_kept = self._destination.capabilities.tags and not wanted.replaces_tags
        if not problem and tags_kept and head.tag_count > there.tag_count:
            problem = f"{there.tag_count} tags instead of {head.tag_count}"
        if problem:
            names = self._names[0] + operation.key, self._names[1] + there.key
            raise verification.lost(names, problem, there)

    async def _withdraw(self, destination: str, etag: str, version: str, wanted: Wanted) -> None:
        """Remove what was written just now and is no copy, where nothing else can be hit.

        Without versions that is only what was made where nothing was, which the store has proved; never what
        was written over something, or over itself.
        """
        capabilities = self._destination.capabilities
        if version:
            options = DeleteOptions(version_id=version)
        elif wanted.put.if_none_match and self.condition and capabilities.conditional_delete and etag:
            options = DeleteOptions(if_match=etag)
        else:
            return
        with suppress(HaulError):
            await self._destination.delete(destination, options)
