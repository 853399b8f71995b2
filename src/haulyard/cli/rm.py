"""Remove objects, and with --all-versions their versions and delete markers.

A prefix needs --recursive even with its slash. An object that is not there counts as removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import flags, transferring
from haulyard.cli.ends import Reading, Sources, by_store
from haulyard.cli.places import s3_url
from haulyard.errors import ConfigError, NotFound
from haulyard.events import TransferDone
from haulyard.transfer.filters import Filter, Pattern
from haulyard.transfer.items import prefix_of
from haulyard.transfer.sources import find, find_versions

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.cli.ends import Source
    from haulyard.transfer.items import Item
    from haulyard.transfer.sources import Found

#: Keys of one DeleteObjects (S3's limit).
_BATCH = 1000

EXAMPLES = ("haul rm s3://demo/hello.txt", "haul rm -r s3://demo/ --include '*.tmp' --dry-run")


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be removed."""

    sources: tuple[str, ...]
    reading: Reading
    manifest: str
    filters: tuple[tuple[bool, str], ...]
    all_versions: bool
    dry_run: bool


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", nargs="+", metavar="URL", help="objects, prefixes, quoted wildcards")
    parser.add_argument("-r", "--recursive", action="store_true", help="what is below a prefix")
    flags.add(
        parser,
        flags.FILTERS,
        flags.MANIFEST,
        flags.RAW,
        flags.VERSION,
        flags.ALL_VERSIONS,
        flags.DRY_RUN,
        flags.CONNECTION,
        flags.OUTPUT,
        flags.PROGRESS,
    )


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    for text in arguments.source:
        s3_url(text, "rm")
    if arguments.version_id and arguments.all_versions:
        raise ConfigError("--version-id and --all-versions exclude each other", hint="give one of them")
    if arguments.manifest and len(arguments.source) > 1:
        raise ConfigError("--manifest goes with one URL", hint="name the bucket or prefix of its keys")
    return Options(
        tuple(arguments.source),
        Reading(
            recursive=arguments.recursive,
            raw=arguments.raw,
            slash_is_enough=False,
            manifest=bool(arguments.manifest),
            version_id=arguments.version_id,
            is_source=False,
        ),
        arguments.manifest,
        arguments.filters,
        arguments.all_versions,
        arguments.dry_run,
    )


async def run(options: Options, context: Context) -> int:
    """Remove what was asked for, report each object, and return the exit code."""
    account = transferring.Account(context)
    opener = Sources(context, options.reading)
    for sources in by_store([opener.open(text) for text in options.sources]):
        store = sources[0].store
        pages = _batched(_items(sources, options, context, account))
        if options.dry_run:
            prefix = prefix_of(store)
            async for page in pages:
                for item in page:
                    done = TransferDone("delete", prefix + item.key, "", item.size, reason="dry run")
                    context.output.transfer(done)
        else:
            await account.remove(store, pages)
    if options.filters and account.total.is_empty and not options.dry_run:
        context.output.note("nothing was selected: the filters leave nothing")
    return account.exit_code()


def _found(source: Source, options: Options, filters: Filter, context: Context) -> AsyncIterator[list[Found]]:
    if options.manifest:
        from haulyard.transfer.manifest import find_listed  # gzip, csv and json

        opener = context.connection().bucket
        return find_listed(source.store, source.selection, options.manifest, filters, open_bucket=opener)
    if options.all_versions:
        return find_versions(source.store, source.selection, filters)
    return find(source.store, source.selection, filters, version_id=source.version_id)


async def _items(
    sources: list[Source], options: Options, context: Context, account: transferring.Account
) -> AsyncIterator[list[Item]]:
    """Yield what all sources select; one that selects nothing is reported, unless it is the only one."""
    filters = Filter([Pattern(include, text) for include, text in options.filters])
    for source in sources:
        try:
            async for page in _found(source, options, filters, context):
                yield [found.item for found in page]
        except NotFound as error:
            if len(options.sources) == 1:
                raise
            account.fail(error)


async def _batched(pages: AsyncIterator[list[Item]]) -> AsyncIterator[list[Item]]:
    """Yield the same items in pages of a request each: URLs one by one would make as many requests."""
    waiting: list[Item] = []
    async for page in pages:
        waiting += page
        if len(waiting) >= _BATCH:
            yield waiting[:_BATCH]
            waiting = waiting[_BATCH:]
    if waiting:
        yield waiting
