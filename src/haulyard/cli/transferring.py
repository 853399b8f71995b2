"""What `cp`, `mv` and `sync` share: flags, the run of many jobs, and the account at its end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulyard.cli import exits, flags
from haulyard.cli.foresight import foreseen
from haulyard.events import TransferDone
from haulyard.stores.local import LocalStore
from haulyard.transfer.deletion import delete_items
from haulyard.transfer.engine import run
from haulyard.transfer.items import Summary, prefix_of
from haulyard.transfer.options import TransferOptions
from haulyard.transfer.resume import forget_completed

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import AsyncIterator, Iterator, Sequence

    from haulyard.cli.context import Context
    from haulyard.errors import HaulError
    from haulyard.models import Encryption, PutOptions
    from haulyard.stores.base import Store
    from haulyard.transfer.engine import Move
    from haulyard.transfer.items import Item, Job
    from haulyard.transfer.mapping import Refusal

#: The groups of flags of every transfer.
GROUPS = (
    flags.FILTERS,
    flags.MANIFEST,
    flags.RAW,
    flags.SYMLINKS,
    flags.CUSTOMER_KEY,
    flags.PROPERTIES,
    flags.TRANSFER,
    flags.DRY_RUN,
    flags.CONNECTION,
    flags.SOURCE,
    flags.OUTPUT,
    flags.PROGRESS,
)


def configure(parser: ArgumentParser, *more: flags.Group) -> None:
    """Declare what transfers share, and ``more`` under the same headings."""
    flags.add(parser, *GROUPS, *more)


def transfer_options(
    context: Context,
    put: PutOptions,
    *,
    source_encryption: Encryption | None = None,
    no_clobber: bool = False,
    metadata_directive: str = "",
    durable: bool = False,
) -> TransferOptions:
    """Return the options of a run from settings and flags.

    A copy keeps the properties of its source unless some are given or ``metadata_directive`` is REPLACE: S3
    replaces all of them, or none. Tags are a kind of their own.
    """
    settings = context.settings
    required_only = settings.request_checksum_calculation == "when_required"
    return TransferOptions(
        put=put,
        source_encryption=source_encryption,
        part_size=settings.part_size,
        no_clobber=no_clobber,
        replace_metadata=replaces_metadata(put, metadata_directive),
        replace_tags=bool(put.tags),
        state_dir=settings.state_dir,
        algorithm="none" if required_only else settings.checksum_algorithm,
        durable=durable,
    )


def replaces_metadata(put: PutOptions, directive: str = "") -> bool:
    """Whether a copy takes its properties from ``put`` instead of from its source."""
    given = (
        put.content_type,
        put.content_encoding,
        put.content_disposition,
        put.content_language,
        put.cache_control,
        put.expires,
        put.metadata,
    )
    return directive == "REPLACE" or (any(given) and directive != "COPY")


def changes_in_place(put: PutOptions, directive: str = "") -> bool:
    """Whether an object copied onto itself becomes another: S3 refuses a copy that changes nothing."""
    return bool(replaces_metadata(put, directive) or put.storage_class or put.encryption)


def verb_of(source: Store, destination: Store) -> str:
    """Return what is done with objects that are copied from one to the other."""
    if isinstance(source, LocalStore):
        return "upload"
    return "download" if isinstance(destination, LocalStore) else "copy"


@contextmanager
def resumable(context: Context) -> Iterator[None]:
    """Promise that what is interrupted inside can be continued, and say how."""
    try:
        yield
    except asyncio.CancelledError:
        context.output.note("run the same command again to go on")
        raise


async def proved(
    store: Store, context: Context, *, source: bool = False, below: str = "", may_write: bool = True
) -> Store:
    """Return ``store`` with what its endpoint really honours; a local one as it is."""
    if isinstance(store, LocalStore):
        return store
    connection = context.connection(source=source)
    return await connection.proved(store.bucket, below=below, may_write=may_write)


class Account:
    """Adds up what became of everything in a command, and gives its exit code."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._codes: set[int] = set()
        self.total = Summary()

    async def move(
        self,
        pages: AsyncIterator[Sequence[Job]],
        move: Move,
        ends: tuple[Store, Store],
        *,
        action: str = "",
        no_clobber: bool = False,
        single: bool = False,
        unit: str = "bytes",
    ) -> Summary:
        """Run the jobs of ``pages``, report each, and return their summary.

        ``action`` is what they are called where they fail, by default what the ends make of them. ``single``
        says that there is one job at most: then nothing is made ready for more. ``unit`` is that of the
        progress bar.
        """
        context = self._context
        with resumable(context), context.stop.attended(), context.progress(unit) as expect:
            summary = await run(
                foreseen(pages, expect),
                move,
                concurrency=1 if single else context.settings.concurrency,
                emit=self.report,
                no_clobber=no_clobber,
                stopped=context.stop.is_requested,
                action=action or verb_of(*ends),
                ends=(prefix_of(ends[0]), prefix_of(ends[1])),
            )
            if not isinstance(ends[1], LocalStore):
                await forget_completed(context.settings.state_dir, ends[1])
        self.add(summary)
        return summary

    async def remove(self, store: Store, pages: AsyncIterator[Sequence[Item]]) -> Summary:
        """Remove the objects of ``pages``, report each, and return their summary."""
        context = self._context
        with resumable(context), context.stop.attended(), context.progress("objects"):
            summary = await delete_items(store, pages, self.report, stopped=context.stop.is_requested)
        self.add(summary)
        return summary

    def fail(self, error: HaulError) -> None:
        """Report that a whole source argument came to nothing, although there are others."""
        self._codes.add(exits.exit_code(error))
        self._context.output.error(error)
        self.add(Summary(failed=1))

    def report(self, event: TransferDone) -> None:
        """Show one outcome and take note of it."""
        if event.error is not None:
            self._codes.add(exits.exit_code(event.error))
        self._context.emit(event)
        self._context.output.transfer(event)

    def refuse(self, source: Store, destination: Store, refusal: Refusal, *, action: str = "") -> None:
        """Report a job that is not to be done."""
        job = refusal.job
        self.report(
            TransferDone(
                (action or verb_of(source, destination)) if refusal.error else "skip",
                prefix_of(source) + job.item.key,
                prefix_of(destination) + job.destination,
                job.item.size,
                reason=refusal.reason,
                error=refusal.error,
            )
        )
        failed = int(refusal.error is not None)
        self.add(Summary(skipped=1 - failed, failed=failed))

    def add(self, summary: Summary) -> None:
        """Add the counts of a part."""
        total = self.total
        self.total = Summary(
            total.done + summary.done,
            total.skipped + summary.skipped,
            total.failed + summary.failed,
            total.bytes + summary.bytes,
            total.seconds + summary.seconds,
            total.interrupted or summary.interrupted,
        )

    def exit_code(self) -> int:
        """Return 0, 130 where it was stopped, the common code where nothing could be done, else 1."""
        total = self.total
        if total.interrupted:
            self._context.output.note(
                f"stopped after {total.done} objects; run the same command again to go on"
            )
            return exits.INTERRUPTED
        if not total.failed:
            return exits.OK
        if total.done or total.skipped or len(self._codes) != 1:
            return exits.FAILED
        return self._codes.pop()
