"""Write standard input, or a file, to one object.

A pipe is sent as it comes: in one request if it is short, else in parts of which at most 64 MiB are held in
memory. A file is sent as `haul cp` would, and continued where it was interrupted.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from haulyard.cli import exits, flags
from haulyard.cli.places import destination_url
from haulyard.cli.properties import put_options
from haulyard.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.models import PutOptions
    from haulyard.url import S3Url

EXAMPLES = (
    "echo hello | haul put - s3://demo/greeting.txt",
    "haul put /etc/hostname s3://demo/names/ --metadata from=here",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is written where, with which properties."""

    source: str
    url: S3Url
    put: PutOptions


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("source", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("destination", metavar="S3URL", help="the object, or a prefix/ for a file")
    parser.add_argument("--no-clobber", action="store_true", help="never replace an object")
    flags.add(
        parser,
        flags.PROPERTIES,
        flags.CUSTOMER_KEY,
        flags.TRANSFER,
        flags.CONNECTION,
        flags.OUTPUT,
        flags.PROGRESS,
    )


def read(arguments: Namespace) -> Options:
    """Return the options."""
    put = put_options(arguments)
    if arguments.no_clobber:
        put = replace(put, if_none_match="*")
    source = arguments.source
    name = "" if source == "-" else os.path.basename(source)
    return Options(source, destination_url(arguments.destination, "put", name), put)


async def run(options: Options, context: Context) -> int:
    """Write the object."""
    from haulyard.cli import streams

    with context.progress():
        if options.source == "-":
            await streams.from_stream(streams.STDIN, "-", options.url, options.put, context)
        elif _is_regular(options.source):
            await _upload(options, context)
        else:
            fd = os.open(options.source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                await streams.from_stream(fd, options.source, options.url, options.put, context)
            finally:
                os.close(fd)
    return exits.OK


def _is_regular(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file", store="local", operation="put", key=path) from None
    if stat.S_ISDIR(mode):
        raise ConfigError(f"{path} is a directory", hint=f"use haul cp -r {path} s3://…")
    return stat.S_ISREG(mode)


async def _upload(options: Options, context: Context) -> None:
    from haulyard.cli.transferring import resumable, transfer_options
    from haulyard.stores.local import LocalStore
    from haulyard.transfer.engine import mover
    from haulyard.transfer.items import Item, Job

    directory, name = os.path.split(options.source)
    source = LocalStore(directory or ".", emit=context.emit)
    move = mover(source, context.bucket(options.url), transfer_options(context, options.put), context.emit)
    with resumable(context):
        done = await move(Job(Item(name), options.url.key))
    context.emit(done)
    context.output.transfer(done)
