"""Write objects to standard output, one after the other, byte for byte.

Nothing is written of an object that cannot be opened. Large objects are streamed; small ones that a
wildcard matches are read ahead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import exits, flags
from haulyard.cli.places import s3_urls, with_version
from haulyard.cli.properties import customer_encryption
from haulyard.cli.streams import write_object
from haulyard.errors import ConfigError
from haulyard.models import ByteRange, GetOptions
from haulyard.transfer.selection import select
from haulyard.transfer.sources import find

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator

    from haulyard.cli.context import Context
    from haulyard.models import Encryption
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item
    from haulyard.transfer.selection import Selection
    from haulyard.url import S3Url

EXAMPLES = ("haul cat s3://demo/hello.txt", 'haul cat "s3://demo/*.txt" --range 0-4')

# Objects up to this size are read ahead, so many at a time: at most 16 MiB wait for their turn.
_SMALL = 1024**2
_AHEAD = 16


@dataclass(frozen=True, slots=True)
class Options:
    """Which objects, and which bytes of each."""

    urls: tuple[S3Url, ...]
    selections: tuple[Selection, ...]
    range: ByteRange | None
    encryption: Encryption | None


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="+", metavar="S3URL", help="object, prefix/ or wildcard")
    parser.add_argument(
        "--range",
        default="",
        metavar="FIRST-LAST",
        help="bytes of each object: 0-99, 100- or -50 (the last 50)",
    )
    flags.add(parser, flags.VERSION, flags.RAW, flags.CUSTOMER_KEY, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    urls = tuple(with_version(url, arguments.version_id) for url in s3_urls(arguments.urls, "cat"))
    selections = tuple(select(url.key, raw=arguments.raw) for url in urls)
    if arguments.version_id and (len(urls) > 1 or selections[0].kind != "object"):
        raise ConfigError("--version-id is for a single object", hint="name one object")
    return Options(
        urls, selections, parse_range(arguments.range), customer_encryption(arguments.sse_c_key_file)
    )


def parse_range(text: str) -> ByteRange | None:
    """Return the range that ``0-99``, ``100-`` or ``-50`` means, both ends included; None for an empty text.

    Raises:
        ConfigError: It is none of these.
    """
    if not text:
        return None
    first, dash, last = text.removeprefix("bytes=").partition("-")
    numbers = all(part == "" or (part.isascii() and part.isdigit()) for part in (first, last))
    if dash and numbers and (first or last):
        if not first:
            return ByteRange(-int(last)) if int(last) else ByteRange(0, 0)
        if not last:
            return ByteRange(int(first))
        if int(first) <= int(last):
            return ByteRange(int(first), int(last) + 1)
    raise ConfigError(f"--range {text!r} is not a range", hint="write 0-99, 100- or -50 (the last 50 bytes)")


async def run(options: Options, context: Context) -> int:
    """Write the objects."""
    for url, selection in zip(options.urls, options.selections, strict=True):
        store = context.bucket(url)
        if selection.kind == "object":
            await write_object(store, url.key, _get_options(options, url.version_id), context)
            continue
        async for item, content in _read_ahead(store, selection, _get_options(options)):
            if content is None:
                await write_object(store, item.key, _get_options(options), context)
            else:
                await context.output.raw(await content)
        await context.output.drain()
    return exits.OK


def _get_options(options: Options, version_id: str = "") -> GetOptions:
    return GetOptions(range=options.range, version_id=version_id, encryption=options.encryption)


async def _read_ahead(
    store: Store, selection: Selection, options: GetOptions
) -> AsyncIterator[tuple[Item, asyncio.Task[bytes] | None]]:
    """Yield the selected objects in order: small ones with their content on its way, others with None."""

    async def fetch(key: str) -> bytes:
        async with await store.get(key, options) as reader:
            return await reader.read()

    waiting: deque[tuple[Item, asyncio.Task[bytes] | None]] = deque()
    async with asyncio.TaskGroup() as tasks:
        async for page in find(store, selection):
            for item, _ in page:
                small = 0 <= item.size <= _SMALL
                waiting.append((item, tasks.create_task(fetch(item.key)) if small else None))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
