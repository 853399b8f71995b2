"""Make a destination like its source: copy what is missing, newer or of another size.

Always recursive, in both directions and between stores. Times are compared in whole seconds; --delete also
removes what the source does not have, last, and only if no copy failed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from haulyard.cli import exits, transferring
from haulyard.cli.ends import Reading, open_destination, open_source
from haulyard.cli.properties import customer_encryption, put_options
from haulyard.errors import ConfigError, TransferError
from haulyard.events import TransferDone
from haulyard.stores.local import LocalStore
from haulyard.transfer.compare import SyncRules
from haulyard.transfer.engine import mover
from haulyard.transfer.evidence import ContentComparer
from haulyard.transfer.filters import Filter, Pattern
from haulyard.transfer.items import Summary, prefix_of
from haulyard.transfer.selection import as_directory
from haulyard.transfer.sources import described, nothing_there
from haulyard.transfer.sync import SyncPlan

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from haulyard.cli.context import Context
    from haulyard.cli.ends import Destination, Source
    from haulyard.models import Encryption, ObjectInfo, PutOptions
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item

EXAMPLES = (
    "haul sync . s3://demo/here/ --exclude '*' --include '*.txt'",
    "haul sync s3://demo/ ./copy/ --dry-run",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be made like what, and how they are compared."""

    source: str
    destination: str
    manifest: str
    follow_symlinks: bool
    filters: tuple[tuple[bool, str], ...]
    rules: SyncRules
    dry_run: bool
    put: PutOptions
    source_encryption: Encryption | None


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="directory or prefix")
    parser.add_argument("destination", metavar="DESTINATION", help="directory or prefix")
    parser.add_argument("--size-only", action="store_true", help="compare sizes alone")
    parser.add_argument("--checksum", action="store_true", help="compare contents where sizes are equal")
    parser.add_argument(
        "--exact-timestamps", action="store_true", help="downloads: also replace what is newer locally"
    )
    parser.add_argument("--no-clobber", action="store_true", help="never replace what exists")
    parser.add_argument("-u", "--update", action="store_true", help="never replace what is newer")
    parser.add_argument("--delete", action="store_true", help="remove what the source does not have")
    parser.add_argument(
        "--max-delete", type=int, metavar="N", help="with more than N to remove, remove nothing (exit 1)"
    )
    parser.add_argument(
        "--source-sse-c-key-file", default="", metavar="FILE", help="the source's SSE-C key, if another"
    )
    transferring.configure(parser)


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    if arguments.max_delete is not None and not arguments.delete:
        raise ConfigError("--max-delete means nothing without --delete", hint="add --delete, or leave it out")
    return Options(
        arguments.source,
        arguments.destination,
        arguments.manifest,
        arguments.follow_symlinks,
        arguments.filters,
        SyncRules(
            size_only=arguments.size_only,
            checksum=arguments.checksum,
            no_clobber=arguments.no_clobber,
            update=arguments.update,
            delete=arguments.delete,
            max_delete=arguments.max_delete,
            exact_timestamps=arguments.exact_timestamps,
        ),
        arguments.dry_run,
        put_options(arguments),
        customer_encryption(arguments.source_sse_c_key_file or arguments.sse_c_key_file),
    )


async def run(options: Options, context: Context) -> int:
    """Compare, copy, then delete; report each object and return the exit code."""
    source, destination = await _open(options, context)
    account = transferring.Account(context)
    async with _plan(options, source, destination, context) as plan:
        if options.dry_run:
            return await _announce(plan, source, destination, options, context)
        move = mover(
            source.store,
            destination.store,
            transferring.transfer_options(
                context,
                options.put,
                source_encryption=options.source_encryption,
                no_clobber=options.rules.no_clobber,
            ),
            context.emit,
        )
        ends = (source.store, destination.store)
        copied = await account.move(plan.jobs(), move, ends, no_clobber=options.rules.no_clobber)
        if options.rules.delete and not copied.interrupted:
            await _delete(plan, copied, destination.store, account, context)
    if not (
        plan.counts.source or options.filters or options.manifest or isinstance(source.store, LocalStore)
    ):
        # A prefix exists by what is below it: this one is most likely misspelt, and a script should notice.
        raise nothing_there(source.store, source.selection)
    if not (account.total.done or account.total.failed):
        context.output.note(f"nothing to do: {plan.counts.source} objects are in place")
    return account.exit_code()


async def _open(options: Options, context: Context) -> tuple[Source, Destination]:
    """Open both trees; the destination is asked what its listings can be trusted for."""
    reading = Reading(
        recursive=True, raw=True, follow_symlinks=options.follow_symlinks, manifest=bool(options.manifest)
    )
    source = open_source(options.source, context, reading)
    if source.selection.kind == "object":
        raise ConfigError(
            f"{options.source} is a file, and sync works on directories and prefixes",
            hint="use haul cp for one file",
        )
    destination = open_destination(options.destination, context)
    below = as_directory(destination.target.key)
    store = await transferring.proved(destination.store, context, below=below, may_write=not options.dry_run)
    # What is only read is not written to for a proof.
    origin = await transferring.proved(source.store, context, source=True, may_write=False)
    return source._replace(store=origin), destination._replace(store=store)


def _plan(options: Options, source: Source, destination: Destination, context: Context) -> SyncPlan:
    both_s3 = not (isinstance(source.store, LocalStore) or isinstance(destination.store, LocalStore))
    rules = replace(
        options.rules,
        exact_timestamps=options.rules.exact_timestamps and isinstance(destination.store, LocalStore),
        keep_markers=both_s3,
    )
    filters = Filter([Pattern(include, text) for include, text in options.filters])
    return SyncPlan(
        source.store,
        source.selection.base,
        destination.store,
        destination.target.key,
        rules,
        # A manifest's objects are filtered where they are found.
        filters,
        same_content=ContentComparer(
            source.store,
            destination.store,
            source_encryption=options.source_encryption,
            destination_encryption=options.put.encryption,
        ),
        source_pages=_listed(source, options, filters, context) if options.manifest else None,
        emit=context.emit,
    )


def _listed(
    source: Source, options: Options, filters: Filter, context: Context
) -> AsyncGenerator[list[ObjectInfo]]:
    from haulyard.transfer.manifest import find_listed  # gzip, csv and json

    found = find_listed(
        source.store,
        source.selection,
        options.manifest,
        filters,
        open_bucket=context.connection(source=True).bucket,
    )
    return described(source.store, found)


async def _delete(
    plan: SyncPlan,
    copied: Summary,
    store: Store,
    account: transferring.Account,
    context: Context,
) -> None:
    try:
        pages = plan.deletions(copied)
    except TransferError as error:
        context.output.error(error)
        account.add(Summary(failed=1))
        return
    await account.remove(store, _paged(pages))


async def _paged(pages: Iterator[list[Item]]) -> AsyncIterator[list[Item]]:
    for page in pages:
        yield page


async def _announce(
    plan: SyncPlan, source: Source, destination: Destination, options: Options, context: Context
) -> int:
    """Say what would be done."""
    here, there = prefix_of(source.store), prefix_of(destination.store)
    verb = transferring.verb_of(source.store, destination.store)
    async for page in plan.jobs():
        for item, target in page:
            context.output.transfer(
                TransferDone(verb, here + item.key, there + target, item.size, reason="dry run")
            )
    if options.rules.delete:
        for items in plan.deletions():
            for item in items:
                context.output.transfer(
                    TransferDone("delete", there + item.key, "", item.size, reason="dry run")
                )
    return exits.OK
