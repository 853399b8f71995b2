"""Copy files and objects: into, out of and between stores.

SOURCE and DESTINATION are s3://bucket/key or local paths, one of them at least in S3. `SRC/` is what is under
SRC; `-r SRC DST/` makes DST/SRC/…; a DESTINATION that ends in a slash means "into". Quoted wildcards
("s3://bucket/logs/*.gz") match across slashes. `-` is standard input or output.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import flags, transferring
from haulyard.cli.ends import Reading, open_destination, open_source
from haulyard.cli.properties import customer_encryption, put_options
from haulyard.errors import ConfigError
from haulyard.events import TransferDone
from haulyard.transfer.engine import mover
from haulyard.transfer.filters import Filter, Pattern
from haulyard.transfer.guard import guarded
from haulyard.transfer.items import prefix_of
from haulyard.transfer.mapping import CopyRules, Mapping, Placement, map_jobs
from haulyard.transfer.selection import as_directory
from haulyard.transfer.sources import find

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.cli.ends import Destination, Source
    from haulyard.models import Encryption, PutOptions
    from haulyard.transfer.engine import Move
    from haulyard.transfer.items import Job
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
    replace_metadata: bool
    move: bool = False

    @property
    def action(self) -> str:
        """The verb for messages."""
        return "move" if self.move else "copy"


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
    flags.add(parser, flags.VERSION)
    parser.add_argument(
        "--source-sse-c-key-file", default="", metavar="FILE", help="the source's SSE-C key, if another"
    )
    transferring.configure(parser)


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    put = put_options(arguments)
    if arguments.manifest and len(arguments.source) > 1:
        raise ConfigError("--manifest goes with one source", hint="name the bucket or prefix of its keys")
    key_file = arguments.source_sse_c_key_file or arguments.sse_c_key_file
    given = (put.content_type, put.content_encoding, put.cache_control, put.metadata, put.expires)
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
        arguments.metadata_directive == "REPLACE" or (any(given) and arguments.metadata_directive != "COPY"),
    )


async def run(options: Options, context: Context) -> int:
    """Copy what was asked for, report each object, and return the exit code."""
    if "-" in (*options.sources, options.destination):
        return await _stream(options, context)
    account = transferring.Account(context)
    sources = [open_source(text, context, options.reading) for text in options.sources]
    single = len(sources) == 1 and sources[0].selection.kind == "object"
    destination = open_destination(options.destination, context, single=single)
    if not options.dry_run:
        sources, destination = await _prove(sources, destination, options, context)
    with ExitStack() as stack:
        claims = _claims(options, stack)
        for source in sources:
            found = _found(source, options, context)
            pages = _jobs(found, source, destination, options, account, claims, alone=len(sources) == 1)
            if options.dry_run:
                await _announce(pages, source, destination, options, context)
                continue
            move = _mover(source, destination, options, context)
            await account.move(
                pages,
                move,
                (source.store, destination.store),
                action=options.action,
                no_clobber=options.no_clobber or options.update,
                single=single,
            )
    return account.exit_code()


async def _prove(
    sources: list[Source], destination: Destination, options: Options, context: Context
) -> tuple[list[Source], Destination]:
    """Find out what the stores honour, where that decides what may be deleted or must be kept."""
    proved = transferring.proved
    if options.move:
        sources = [
            each._replace(store=await proved(each.store, context, source=True, below=each.selection.base))
            for each in sources
        ]
    if options.no_clobber:
        store = await proved(destination.store, context, below=as_directory(destination.target.key))
        destination = destination._replace(store=store)
    return sources, destination


def _claims(options: Options, stack: ExitStack) -> Claims | None:
    """Return the table of taken destinations where two objects could have the same one."""
    if not (options.flatten or options.manifest or len(options.sources) > 1):
        return None
    from haulyard.transfer.scratch import Claims  # sqlite3, which a plain copy does not need

    return stack.enter_context(Claims())


def _jobs(
    found: AsyncIterator[list[Found]],
    source: Source,
    destination: Destination,
    options: Options,
    account: transferring.Account,
    claims: Claims | None,
    *,
    alone: bool,
) -> AsyncIterator[list[Job]]:
    """Return pages of what is to be copied from one source."""
    from haulyard.stores.local import LocalStore

    mapping = Mapping(source.selection, destination.target, flatten=options.flatten, alone=alone)
    rules = CopyRules(
        options.flatten,
        keep_markers=not isinstance(destination.store, LocalStore),
        in_place=options.replace_metadata and not options.move,
    )
    placement = Placement(source.store, source.selection, destination.store, mapping, rules)
    return map_jobs(
        found,
        placement,
        lambda refusal: account.refuse(source.store, destination.store, refusal, options.action),
        claims,
    )


def _found(source: Source, options: Options, context: Context) -> AsyncIterator[list[Found]]:
    filters = Filter([Pattern(include, text) for include, text in options.filters])
    if options.manifest:
        from haulyard.transfer.manifest import find_listed  # gzip, csv and json

        opener = context.connection(source=True).bucket
        return find_listed(source.store, source.selection, options.manifest, filters, open_bucket=opener)
    return find(source.store, source.selection, filters, version_id=source.version_id)


def _mover(source: Source, destination: Destination, options: Options, context: Context) -> Move:
    settings = transferring.transfer_options(
        context,
        options.put,
        source_encryption=options.source_encryption,
        no_clobber=options.no_clobber,
        replace_metadata=options.replace_metadata,
    )
    move = mover(source.store, destination.store, settings, context.emit)
    if options.move:
        from haulyard.transfer.removal import then_remove

        move = then_remove(move, source.store, context.emit)
    if options.no_clobber or options.update:
        return guarded(move, source.store, destination.store, no_clobber=options.no_clobber)
    return move


async def _announce(
    pages: AsyncIterator[list[Job]],
    source: Source,
    destination: Destination,
    options: Options,
    context: Context,
) -> None:
    """Say what would be done."""
    here, there = prefix_of(source.store), prefix_of(destination.store)
    async for page in pages:
        for item, target in page:
            context.output.transfer(
                TransferDone(options.action, here + item.key, there + target, item.size, reason="dry run")
            )


async def _stream(options: Options, context: Context) -> int:
    """Copy standard input to an object, or an object to standard output."""
    if options.move or len(options.sources) != 1:
        raise ConfigError(
            "- stands for one stream: it cannot be moved or combined", hint="use haul cp - s3://…"
        )
    from haulyard.cli.streams import from_stdin, to_stdout

    source = options.sources[0]
    if source == "-":
        return await from_stdin(options.destination, options.put, context)
    return await to_stdout(source, options.source_encryption, context, version_id=options.reading.version_id)
