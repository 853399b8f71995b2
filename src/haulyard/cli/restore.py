"""Bring archived objects back, for a number of days, so that they can be read again.

That takes minutes to hours; run the same command again to see what is done. Objects that are not archived
are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import flags, transferring
from haulyard.cli.places import s3_urls, with_version
from haulyard.errors import ConfigError
from haulyard.events import TransferDone
from haulyard.models import GetOptions, RestoreOptions
from haulyard.transfer.filters import Filter
from haulyard.transfer.items import Job, prefix_of
from haulyard.transfer.selection import select, select_manifest
from haulyard.transfer.sources import find

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.stores.base import Store
    from haulyard.transfer.engine import Move
    from haulyard.transfer.selection import Selection
    from haulyard.transfer.sources import Found
    from haulyard.url import S3Url

EXAMPLES = (
    "haul restore s3://demo/ --days 7 --tier Bulk",
    'haul restore "s3://demo/*.txt" --dry-run',
)

_TIERS = ("Standard", "Bulk", "Expedited")
# Classes whose objects have to be restored. Intelligent-Tiering archives some objects, which only HEAD shows;
# there what was restored stays, and a number of days is refused.
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_TIERING = "INTELLIGENT_TIERING"


@dataclass(frozen=True, slots=True)
class Options:
    """What is brought back, for how many days, how fast."""

    urls: tuple[S3Url, ...]
    selections: tuple[Selection, ...]
    manifest: str
    filters: Filter
    days: int
    tier: str
    dry_run: bool


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="+", metavar="S3URL", help="object, prefix/ or wildcard")
    parser.add_argument("-r", "--recursive", action="store_true", help="what is below a prefix")
    parser.add_argument("--days", type=int, default=1, metavar="N", help="how long the copies stay (1)")
    parser.add_argument(
        "--tier", default="Standard", type=str.capitalize, choices=_TIERS, help="how fast (Standard)"
    )
    flags.add(
        parser,
        flags.FILTERS,
        flags.MANIFEST,
        flags.RAW,
        flags.VERSION,
        flags.DRY_RUN,
        flags.CONNECTION,
        flags.OUTPUT,
        flags.PROGRESS,
    )


def read(arguments: Namespace) -> Options:
    """Return the options."""
    if arguments.days < 1:
        raise ConfigError("--days is at least 1", hint="write --days 7")
    urls = tuple(with_version(url, arguments.version_id) for url in s3_urls(arguments.urls, "restore"))
    if arguments.manifest and len(urls) > 1:
        raise ConfigError("--manifest goes with one URL", hint="name the bucket or prefix of its keys")
    selections = tuple(
        select_manifest(url.key)
        if arguments.manifest
        else select(url.key, recursive=arguments.recursive, raw=arguments.raw)
        for url in urls
    )
    return Options(
        urls,
        selections,
        arguments.manifest,
        Filter(arguments.filters),
        arguments.days,
        arguments.tier,
        arguments.dry_run,
    )


async def run(options: Options, context: Context) -> int:
    """Ask for the objects."""
    account = transferring.Account(context)
    for url, selection in zip(options.urls, options.selections, strict=True):
        store = context.bucket(url)
        pages = _jobs(_found(store, url, selection, options))
        restorer = _restorer(store, options)
        await account.move(pages, restorer, (store, store), action="restore", unit="objects")
    return account.exit_code()


def _found(store: Store, url: S3Url, selection: Selection, options: Options) -> AsyncIterator[list[Found]]:
    if options.manifest:
        from haulyard.transfer.manifest import find_listed  # gzip, csv and json

        return find_listed(store, selection, options.manifest, options.filters)
    return find(store, selection, options.filters, version_id=url.version_id)


async def _jobs(pages: AsyncIterator[list[Found]]) -> AsyncIterator[list[Job]]:
    async for page in pages:
        yield [Job(found.item, "") for found in page]


def _restorer(store: Store, options: Options) -> Move:
    prefix = prefix_of(store)

    async def restore(job: Job) -> TransferDone:
        item = job.item
        done = TransferDone("restore", prefix + item.key, "", item.size, version_id=item.version_id)
        storage_class, archived = item.storage_class, item.storage_class in _ARCHIVED
        if storage_class in {"", _TIERING}:
            head = await store.head(item.key, GetOptions(version_id=item.version_id))
            storage_class = head.storage_class
            archived = storage_class in _ARCHIVED or bool(head.archive_status)
        if not archived:
            return done._replace(action="skip", reason=f"{storage_class} is not archived")
        if options.dry_run:
            return done._replace(reason="dry run")
        days = None if storage_class == _TIERING else options.days
        asked = await store.restore(item.key, RestoreOptions(days, options.tier, item.version_id))
        return done if asked else done._replace(action="skip", reason="restored, or under way, already")

    return restore
