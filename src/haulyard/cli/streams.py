"""Standard input into an object, and objects to standard output."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.cli import exits
from haulyard.cli.detached import detached
from haulyard.cli.places import destination_url, object_url, with_version
from haulyard.errors import ConfigError, NotFound
from haulyard.events import TransferDone, TransferStarted
from haulyard.models import GetOptions
from haulyard.transfer.content_types import content_type_of
from haulyard.transfer.sources import explain_missing

if TYPE_CHECKING:
    from haulyard.cli.context import Context
    from haulyard.models import Encryption, PutOptions
    from haulyard.stores.base import Store
    from haulyard.url import S3Url

#: The file descriptor of standard input.
STDIN = 0


async def from_stdin(destination: str, put: PutOptions, context: Context) -> int:
    """Write standard input to one object.

    Raises:
        ConfigError: The destination is no key, or there is no standard input.
    """
    await from_stream(STDIN, "-", destination_url(destination, "put"), put, context)
    return exits.OK


async def from_stream(fd: int, name: str, url: S3Url, put: PutOptions, context: Context) -> None:
    """Write what can be read from ``fd``, a pipe or the like, to one object.

    Raises:
        ConfigError: It cannot be read.
    """
    from haulyard.transfer.unseekable import UnseekableUpload

    if not put.content_type:
        put = replace(put, content_type=content_type_of(url.key))
    settings = context.settings
    required_only = settings.request_checksum_calculation == "when_required"
    started = time.monotonic()
    context.emit(TransferStarted(name, str(url), -1))
    upload = UnseekableUpload(
        lambda view: detached(lambda: _fill(fd, view, name)),
        context.bucket(url),
        url.key,
        put,
        part_size=settings.part_size,
        algorithm="none" if required_only else settings.checksum_algorithm,
        emit=context.emit,
        name=name,
    )
    result = await upload.run()
    done = TransferDone(
        "upload",
        name,
        str(url),
        upload.size,
        time.monotonic() - started,
        "checksum" if result.checksums else "",
        result.etag,
        result.version_id,
    )
    context.emit(done)
    context.output.transfer(done)


async def to_stdout(
    source: str, encryption: Encryption | None, context: Context, *, version_id: str = ""
) -> int:
    """Write one object to standard output."""
    url = with_version(object_url(source, "cat"), version_id)
    options = GetOptions(version_id=url.version_id, encryption=encryption)
    await write_object(context.bucket(url, source=True), url.key, options, context)
    return exits.OK


async def write_object(store: Store, key: str, options: GetOptions, context: Context) -> None:
    """Stream one object, or a range of it, to standard output; nothing where it cannot be opened."""
    try:
        reader = await store.get(key, options)
    except NotFound as error:
        raise await explain_missing(store, key, error) from error
    async with reader:
        async for chunk in reader.chunks():
            await context.output.raw(chunk)
    await context.output.drain()


def _fill(fd: int, view: memoryview, name: str) -> int:
    """Read until the buffer is full or the source ends."""
    at = 0
    try:
        while at < len(view):
            count = os.readv(fd, [view[at:]])
            if not count:
                break
            at += count
    except OSError as error:
        shown = "standard input" if name == "-" else name
        raise ConfigError(
            f"{shown} cannot be read: {error.strerror}", hint="pipe something into it, or name a file"
        ) from None
    return at
