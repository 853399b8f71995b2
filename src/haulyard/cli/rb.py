"""Remove buckets. A bucket must be empty, or --force --yes empties it first.

--force removes every object, every version and delete marker, and every unfinished upload. That cannot be
undone, so it wants --yes as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import exits, flags, transferring
from haulyard.cli.places import bucket_url
from haulyard.errors import ConfigError, NotFound
from haulyard.events import TransferDone
from haulyard.transfer.deletion import delete_items
from haulyard.transfer.selection import select
from haulyard.transfer.sources import find, find_versions

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item
    from haulyard.url import S3Url

EXAMPLES = (
    "haul mb s3://short-lived && haul rb s3://short-lived",
    "haul mb s3://full && echo x | haul put - s3://full/x && haul rb s3://full --force --yes",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Which buckets, and whether with all that is in them."""

    urls: tuple[S3Url, ...]
    force: bool


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="+", metavar="BUCKET", help="s3://name")
    parser.add_argument("--force", action="store_true", help="empty the buckets first, all versions included")
    parser.add_argument("--yes", action="store_true", help="yes, everything in them is to be lost")
    flags.add(parser, flags.CONNECTION, flags.OUTPUT, flags.PROGRESS)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    urls = tuple(bucket_url(text, "rb") for text in arguments.urls)
    if arguments.force and not arguments.yes:
        raise ConfigError(
            f"--force would remove everything in {', '.join(f's3://{url.bucket}' for url in urls)}",
            hint="add --yes if that is what you want; nothing was removed",
        )
    return Options(urls, arguments.force)


async def run(options: Options, context: Context) -> int:
    """Remove the buckets."""
    client = context.connection().client
    account = transferring.Account(context)
    for url in options.urls:
        if options.force:
            with context.progress("objects"), context.stop.attended():
                await _empty(context.bucket(url), account, context)
            if context.stop.requested or account.total.failed:
                return account.exit_code()
        await client.delete_bucket(url.bucket)
        context.output.transfer(TransferDone("remove bucket", f"s3://{url.bucket}", "", 0))
    return exits.OK


async def _empty(store: Store, account: transferring.Account, context: Context) -> None:
    async for upload in store.list_uploads():
        await store.abort_multipart(upload.key, upload.upload_id)
    everything = select("", recursive=True)
    found = find_versions(store, everything) if store.capabilities.versions else find(store, everything)

    async def items() -> AsyncIterator[list[Item]]:
        try:
            async for page in found:
                yield [each.item for each in page]
        except NotFound as error:
            # Empty already; a bucket that is missing is another matter.
            if error.code:
                raise

    account.add(await delete_items(store, items(), account.report, stopped=context.stop.is_requested))
