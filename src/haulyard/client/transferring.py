"""The run of one call that moves, deletes or compares many objects, and the account at its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from haulyard.client.arguments import checksum_algorithm, put_options
from haulyard.client.ends import is_uri, open_destination, open_source
from haulyard.client.results import TransferResult
from haulyard.client.session import both
from haulyard.errors import TransferError
from haulyard.events import TransferDone
from haulyard.stores.local import LocalStore
from haulyard.transfer.deletion import delete_items
from haulyard.transfer.engine import mover, run
from haulyard.transfer.guard import guarded
from haulyard.transfer.items import Summary, prefix_of
from haulyard.transfer.mapping import CopyRules, Mapping, Placement, map_jobs
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.removal import then_remove
from haulyard.transfer.resume import forget_completed
from haulyard.transfer.sources import find

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from haulyard.client.arguments import Properties, StrPath
    from haulyard.client.ends import Destination, Source
    from haulyard.client.session import Session
    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.models import Encryption
    from haulyard.stores.base import Store
    from haulyard.transfer.filters import Filter
    from haulyard.transfer.items import Item
    from haulyard.transfer.mapping import Refusal
    from haulyard.transfer.sync import SyncPlan

_NOTHING: Final = Summary()
_REPLACED_TOGETHER: Final = frozenset(
    (
        "content_type",
        "content_encoding",
        "content_disposition",
        "content_language",
        "cache_control",
        "expires",
        "website_redirect",
        "metadata",
    )
)
#: Outcomes that failed are kept in memory up to this number.
_KEPT: Final = 1000


def transfer_options(
    settings: Settings,
    properties: Properties,
    *,
    source_encryption: Encryption | None = None,
    no_clobber: bool = False,
) -> TransferOptions:
    """Return the options of a call.

    A copy keeps the properties of its source, unless one of them is given: S3 replaces all of them, or none.
    Tags are a kind of their own.
    """
    return TransferOptions(
        put=put_options(properties),
        source_encryption=source_encryption,
        part_size=settings.part_size,
        no_clobber=no_clobber,
        replace_metadata=not properties.keys().isdisjoint(_REPLACED_TOGETHER),
        replace_tags="tags" in properties,
        state_dir=settings.state_dir,
        algorithm=checksum_algorithm(settings),
    )


async def transfer(
    session: Session,
    action: Literal["upload", "download", "copy", "move"],
    ends: tuple[StrPath, StrPath],
    options: TransferOptions,
    *,
    recursive: bool,
    filters: Filter,
    follow_symlinks: bool = True,
    version_id: str = "",
    in_place: bool = False,
    check: bool,
    on_event: Emit | None,
) -> TransferResult:
    """Move what the first of ``ends`` selects to the second.

    Raises:
        TransferError: Something failed, of several.
        HaulError: It failed, of one; or nothing could be done.
    """
    source = await open_source(
        session,
        ends[0],
        recursive=recursive,
        follow_symlinks=follow_symlinks,
        version_id=version_id,
        source_side=all(map(is_uri, ends)),
        deletes=action == "move",
    )
    destination = await open_destination(
        session, ends[1], single=source.is_single, only_new=options.no_clobber
    )
    run_of_it = Transfer(session, action, options, on_event=on_event, check=check)
    return await run_of_it.move(source, destination, filters, in_place=in_place)


class Transfer:
    """One call, its options and its account.

    ``action`` is what its failures are called. ``check`` raises at the end if anything failed.
    """

    def __init__(
        self,
        session: Session,
        action: str,
        options: TransferOptions,
        *,
        on_event: Emit | None,
        check: bool,
    ) -> None:
        self.emit = both(session.emit, on_event)
        self._options = options
        self._concurrency = session.settings.concurrency
        self._action = action
        self._check = check
        self._failures: list[TransferDone] = []
        self._skipped = self._failed = 0

    async def move(
        self, source: Source, destination: Destination, filters: Filter, *, in_place: bool
    ) -> TransferResult:
        """Move what is selected; for a real move, delete each source once its copy is verified.

        ``in_place`` lets an object be its own destination.

        Raises:
            TransferError: Something failed, of several.
            HaulError: It failed, of one.
        """
        # What is moved has no other copy.
        options = replace(self._options, durable=self._action == "move")
        move = mover(source.store, destination.store, options, self.emit)
        if self._action == "move":
            move = then_remove(move, source.store, destination.store, options, self.emit)
        if options.no_clobber:
            move = guarded(move, source.store, destination.store, options)
        rules = CopyRules(keep_markers=not isinstance(destination.store, LocalStore), in_place=in_place)
        placement = Placement(
            source.store,
            source.selection,
            destination.store,
            Mapping(source.selection, destination.target),
            rules,
        )
        found = find(source.store, source.selection, filters, version_id=source.version_id)
        jobs = map_jobs(found, placement, lambda refusal: self._refuse(source, destination, refusal))
        summary = await run(
            jobs,
            move,
            concurrency=1 if source.is_single else self._concurrency,
            emit=self._report,
            no_clobber=options.no_clobber,
            action=self._action,
            ends=(prefix_of(source.store), prefix_of(destination.store)),
        )
        await self._forget_completed(destination.store)
        return self._finish(summary, single=source.is_single)

    async def sync(
        self, plan: SyncPlan, source: Store, destination: Store, limit: int | None
    ) -> TransferResult:
        """Copy what ``plan`` says, and then delete what it says, at most ``limit`` objects.

        Raises:
            TransferError: Something failed, or there is more to delete than ``limit``.
        """
        copied = await run(
            plan.jobs(),
            mover(source, destination, self._options, self.emit),
            concurrency=self._concurrency,
            emit=self._report,
            no_clobber=self._options.no_clobber,
            action=self._action,
            ends=(prefix_of(source), prefix_of(destination)),
        )
        await self._forget_completed(destination)
        self._skipped += plan.counts.skipped
        count = plan.counts.deletions
        if copied.failed or not count:
            return self._finish(copied)
        if limit is not None and count > limit:
            raise TransferError(
                f"{count} objects would be deleted, more than max_delete={limit}: nothing was deleted",
                hint="make sure that the source is what it should be, then raise max_delete",
            )
        deleted = await delete_items(destination, _paged(plan.deletions(copied)), self._report)
        return self._finish(copied, deleted)

    async def delete(self, store: Store, pages: AsyncIterator[Sequence[Item]]) -> TransferResult:
        """Delete all items.

        Raises:
            TransferError: Something failed.
        """
        return self._finish(_NOTHING, await delete_items(store, pages, self._report))

    async def _forget_completed(self, destination: Store) -> None:
        if not isinstance(destination, LocalStore):
            await forget_completed(self._options.state_dir, destination)

    def _report(self, event: TransferDone) -> None:
        if event.error is not None and len(self._failures) < _KEPT:
            self._failures.append(event)
        self.emit(event)

    def _refuse(self, source: Source, destination: Destination, refusal: Refusal) -> None:
        """Account for an object that is not to be moved."""
        item, target = refusal.job
        if refusal.error is None:
            self._skipped += 1
        else:
            self._failed += 1
        self._report(
            TransferDone(
                self._action if refusal.error else "skip",
                prefix_of(source.store) + item.key,
                prefix_of(destination.store) + target,
                item.size,
                reason=refusal.reason,
                error=refusal.error,
            )
        )

    def _finish(self, moved: Summary, deleted: Summary = _NOTHING, *, single: bool = False) -> TransferResult:
        result = TransferResult(
            moved.done,
            moved.skipped + self._skipped,
            moved.failed + deleted.failed + self._failed,
            deleted.done,
            moved.bytes,
            moved.seconds + deleted.seconds,
            tuple(self._failures),
        )
        if result.failed and self._check:
            raise self._error(result, single=single)
        return result

    def _error(self, result: TransferResult, *, single: bool) -> Exception:
        first = self._failures[0]
        if single and first.error is not None:
            return first.error
        return TransferError(
            f"{self._action}: {result.failed} objects failed, {result.done + result.deleted} did not; "
            f"the first was {first.source}: {first.error}",
            failed=result.failed,
            failures=result.failures,
            hint="`failures` of this error has each with its reason; the same call again does what is left",
        )


async def _paged(pages: Iterator[list[Item]]) -> AsyncIterator[list[Item]]:
    for page in pages:
        yield page
