"""Make buckets, in the region of --region or of the endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from haulyard.cli import flags
from haulyard.cli.places import bucket_url
from haulyard.cli.several import for_each
from haulyard.events import TransferDone

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.url import S3Url

EXAMPLES = ("haul mb s3://another", "haul mb s3://third --region us-east-1 --json")


@dataclass(frozen=True, slots=True)
class Options:
    """Which buckets."""

    urls: tuple[S3Url, ...]
    object_lock: bool


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="+", metavar="BUCKET", help="s3://name")
    parser.add_argument(
        "--object-lock", action="store_true", help="let objects be locked (only possible at creation)"
    )
    flags.add(parser, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(tuple(bucket_url(text, "mb") for text in arguments.urls), arguments.object_lock)


async def run(options: Options, context: Context) -> int:
    """Make the buckets."""
    return await for_each(options.urls, partial(_make, options), context)


async def _make(options: Options, url: S3Url, context: Context) -> None:
    client = context.connection().client
    await client.create_bucket(url.bucket, context.settings.region, object_lock=options.object_lock)
    context.output.transfer(TransferDone("make bucket", f"s3://{url.bucket}", "", 0))
