"""Copy files and objects: into, out of and between stores.

SOURCE and DESTINATION are s3://bucket/key or local paths, one of them at least in S3. `SRC/` is what is under
SRC; `-r SRC DST/` makes DST/SRC/…; a DESTINATION that ends in a slash means "into". Quoted wildcards
("s3://bucket/logs/*.gz") match across slashes. `-` is standard input or output.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from haulyard.cli import flags, transferring
from haulyard.cli.ends import Reading, Sources, by_store, open_destination
from haulyard.cli.properties import customer_encryption, put_options
from haulyard.cli.transferring import changes_in_place, verb_of
from haulyard.errors import ConfigError, NotFound
from haulyard.events import TransferDone
from haulyard.stores.local import LocalStore
from haulyard.transfer.engine import mover
from haulyard.transfer.filters import Filter, Pattern
from haulyard.transfer.guard import guarded, looking_at
from haulyard.transfer.items import prefix_of
from haulyard.transfer.mapping import CopyRules, Mapping, Placement, map_jobs
from haulyard.transfer.selection import as_directory
from haulyard.transfer.sources import explain_missing, find

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.cli.ends import Destination, Source
    from haulyard.models import Encryption, PutOptions
    from haulyard.stores.base import Store
    from haulyard.transfer.engine import Move
    from haulyard.transfer.items import Job
    from haulyard.transfer.options import TransferOptions
    from haulyard.transfer.scratch import Claims
    from haulyard.transfer.sources import Found

EXAMPLES = (
    "haul cp s3://demo/hello.txt .",
    "haul cp -r . s3://demo/here/ --include '*.txt' --dry-run",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be copied, where to, and how."""

    sources: tuple[str, ...]
    destination: str
    reading: Reading
    manifest: str
    filters: tuple[tuple[bool, str], ...]
    flatten: bool
    no_clobber: bool
    update: bool
    dry_run: bool
    put: PutOptions
    source_encryption: Encryption | None
    metadata_directive: str
    move: bool = False
    verify: bool = False

    @property
    def action(self) -> str:
        """What is done, where that is not for the ends to say."""
        return "move" if self.move else ""


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of ``cp``, which are those of ``mv`` too."""
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="files, directories, objects, prefixes")
    parser.add_argument("destination", metavar="DESTINATION", help="where they go")
    parser.add_argument("-r", "--recursive", action="store_true", help="directories and prefixes too")
    parser.add_argument("--flatten", action="store_true", help="drop directories, keep the last component")
    parser.add_argument("--no-clobber", action="store_true", help="never replace what exists")
    parser.add_argument(
        "-u", "--update", action="store_true", help="replace only what is older or of another size"
    )
    parser.add_argument(
        "--metadata-directive",
        choices=("COPY", "REPLACE"),
        default="",
        help="copies inside S3: keep the source's properties or take only those given here",
    )
    parser.add_argument(
        "--source-sse-c-key-file", default="", metavar="FILE", help="the source's SSE-C key, if another"
    )
    transferring.configure(parser, flags.VERSION)


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    put = put_options(arguments)
    if arguments.manifest and len(arguments.source) > 1:
        raise ConfigError("--manifest goes with one source", hint="name the bucket or prefix of its keys")
    key_file = arguments.source_sse_c_key_file or arguments.sse_c_key_file
    return Options(
        tuple(arguments.source),
        arguments.destination,
        Reading(
            recursive=arguments.recursive,
            raw=arguments.raw,
            follow_symlinks=arguments.follow_symlinks,
            manifest=bool(arguments.manifest),
            version_id=arguments.version_id,
        ),
        arguments.manifest,
        arguments.filters,
        arguments.flatten,
        arguments.no_clobber,
        arguments.update,
        arguments.dry_run,
        put,
        customer_encryption(key_file),
        arguments.metadata_directive,
    )


async def run(options: Options, context: Context) -> int:
    """Copy what was asked for, report each object, and return the exit code."""
    if "-" in (*options.sources, options.destination):
        return await _stream(options, context)
    opener = Sources(context, options.reading)
    sources = [opener.open(text) for text in options.sources]
    if options.move and any(source.version_id for source in sources):
        raise ConfigError("mv of a version would leave the others", hint="use cp, then haul rm --version-id")
    alone = len(sources) == 1
    kind = sources[0].selection.kind
    destination = open_destination(
        options.destination,
        context,
        single=alone and kind == "object",
        several=not alone or kind in {"wildcard", "manifest"},
    )
    if options.no_clobber and not options.dry_run:
        below = as_directory(destination.target.key)
        store = await transferring.proved(destination.store, context, below=below)
        destination = destination._replace(store=store)
    account = transferring.Account(context)
    with ExitStack() as stack:
        claims = _claims(options, stack)
        for group in by_store(sources):
            source = await _proved_source(group[0], options, context)
            ends = (source.store, destination.store)
            pages = _all_jobs(
                [each._replace(store=source.store) for each in group],
                destination,
                options,
                context,
                account,
                claims,
            )
            await account.move(
                pages,
                _mover(source, destination, options, context, alone=alone),
                ends,
                action=options.action,
                no_clobber=options.no_clobber,
                single=alone and kind == "object",
            )
    if options.filters and account.total.is_empty:
        context.output.note("nothing was selected: the filters leave nothing")
    return account.exit_code()


async def _proved_source(source: Source, options: Options, context: Context) -> Source:
    """Find out what the source's store honours, where that decides what is deleted."""
    if not options.move or options.dry_run:
        return source
    below = source.selection.base
    return source._replace(store=await transferring.proved(source.store, context, source=True, below=below))


def _claims(options: Options, stack: ExitStack) -> Claims | None:
    """Return the table of taken destinations where two objects could have the same one."""
    if not (options.flatten or options.manifest or len(options.sources) > 1):
        return None
    from haulyard.transfer.scratch import Claims  # sqlite3, which a plain copy does not need

    return stack.enter_context(Claims())


async def _all_jobs(
    sources: list[Source],
    destination: Destination,
    options: Options,
    context: Context,
    account: transferring.Account,
    claims: Claims | None,
) -> AsyncIterator[list[Job]]:
    """Yield what is to be copied; a source that selects nothing is reported, unless it is the only one."""
    alone = len(options.sources) == 1
    for source in sources:
        mapping = Mapping(source.selection, destination.target, flatten=options.flatten, alone=alone)
        rules = CopyRules(
            options.flatten,
            keep_markers=not isinstance(destination.store, LocalStore),
            in_place=changes_in_place(options.put, options.metadata_directive) and not options.move,
        )
        placement = Placement(source.store, source.selection, destination.store, mapping, rules)
        found = _found(source, options, context)
        refuse = partial(account.refuse, source.store, destination.store, action=options.action)
        try:
            async for page in map_jobs(found, placement, refuse, claims):
                yield page
        except NotFound as error:
            if alone:
                raise
            account.fail(error)


def _found(source: Source, options: Options, context: Context) -> AsyncIterator[list[Found]]:
    filters = Filter([Pattern(include, text) for include, text in options.filters])
    if options.manifest:
        from haulyard.transfer.manifest import find_listed  # gzip, csv and json

        opener = context.connection(source=True).bucket
        return find_listed(source.store, source.selection, options.manifest, filters, open_bucket=opener)
    return find(source.store, source.selection, filters, version_id=source.version_id)


def _mover(
    source: Source, destination: Destination, options: Options, context: Context, *, alone: bool
) -> Move:
    settings = transferring.transfer_options(
        context,
        options.put,
        source_encryption=options.source_encryption,
        no_clobber=options.no_clobber,
        metadata_directive=options.metadata_directive,
        durable=options.move,
    )
    ends = (source.store, destination.store)
    move = mover(*ends, settings, context.emit)
    if options.dry_run:
        move = _announcer(*ends, settings, options)
    elif options.move:
        from haulyard.transfer.removal import then_remove

        comparer = None
        if options.verify:
            from haulyard.transfer.evidence import ContentComparer  # only where it is asked for

            comparer = ContentComparer(
                *ends,
                source_encryption=options.source_encryption,
                destination_encryption=options.put.encryption,
            )
        move = then_remove(move, *ends, settings, context.emit, same_content=comparer)
    if options.no_clobber or options.update:
        move = guarded(move, *ends, settings)
    return _explaining(move, source.store) if alone and source.selection.kind == "object" else move


def _explaining(move: Move, source: Store) -> Move:
    """Return ``move``, which says of a prefix or directory that it is no object."""

    async def move_or_explain(job: Job) -> TransferDone:
        try:
            return await move(job)
        except NotFound as error:
            if error.key != job.item.key or error.code == "NoSuchBucket":
                raise
            raise await explain_missing(source, job.item.key, error) from error

    return move_or_explain


def _announcer(source: Store, destination: Store, settings: TransferOptions, options: Options) -> Move:
    """Return what only says what would be done."""
    here, there = prefix_of(source), prefix_of(destination)
    verb = options.action or verb_of(source, destination)

    async def announce(job: Job) -> TransferDone:
        item, target = job
        size = item.size
        if size < 0:
            reading = looking_at(source, settings.source_encryption)
            size = (await source.head(item.key, replace(reading, version_id=item.version_id))).size
        return TransferDone(verb, here + item.key, there + target, size, reason="dry run")

    return announce


async def _stream(options: Options, context: Context) -> int:
    """Copy standard input to an object, or an object to standard output."""
    if options.move or len(options.sources) != 1:
        raise ConfigError(
            "- stands for one stream: it cannot be moved or combined", hint="use haul cp - s3://…"
        )
    from haulyard.cli.streams import from_stdin, to_stdout

    source = options.sources[0]
    if source == options.destination:
        raise ConfigError("- stands for both ends", hint="one of them must be s3://bucket/key")
    if source == "-":
        return await from_stdin(options.destination, options.put, context)
    return await to_stdout(source, options.source_encryption, context, version_id=options.reading.version_id)
