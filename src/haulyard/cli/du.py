"""Add up sizes and numbers of objects below a URL, for each prefix down to --depth.

Each line is a prefix with everything below it. --all-versions counts older versions, too, which are billed
like current ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags
from haulyard.cli.formats import human_size
from haulyard.cli.places import s3_urls
from haulyard.errors import ConfigError, NotFound
from haulyard.observe.lines import escape
from haulyard.transfer.selection import select
from haulyard.transfer.sources import explain_missing, find, find_versions

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import AsyncIterator, Iterable

    from haulyard.cli.context import Context
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item
    from haulyard.transfer.selection import Selection
    from haulyard.url import S3Url

EXAMPLES = ("haul du s3://demo --human-readable", "haul du s3://demo --depth 1 --by-class")


@dataclass(frozen=True, slots=True)
class Options:
    """What is added up, and how finely."""

    urls: tuple[S3Url, ...]
    selections: tuple[Selection, ...]
    depth: int
    by_class: bool
    versions: bool
    human: bool


@dataclass(frozen=True, slots=True)
class Total:
    """What lies below one prefix; ``size`` in bytes. ``storage_class`` is empty where not told apart."""

    kind: ClassVar[str] = "total"

    url: str
    objects: int
    size: int
    storage_class: str
    human: bool

    def text(self) -> str:
        """Return a line: size, objects, maybe the class, prefix."""
        size = human_size(self.size) if self.human else str(self.size)
        storage_class = f" {self.storage_class:<20}" if self.storage_class else ""
        return f"{size:>15} {self.objects:>10}{storage_class} {escape(self.url)}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        found: dict[str, object] = {"url": self.url, "objects": self.objects, "size": self.size}
        return {**found, "storage_class": self.storage_class} if self.storage_class else found


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="+", metavar="S3URL", help="bucket, prefix/, object or wildcard")
    parser.add_argument("-d", "--depth", type=int, default=0, metavar="N", help="levels below to list (0)")
    parser.add_argument("--by-class", action="store_true", help="one line for each storage class")
    parser.add_argument("-H", "--human-readable", action="store_true", help="sizes as 7.5 KiB")
    flags.add(parser, flags.ALL_VERSIONS, flags.RAW, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    if arguments.depth < 0:
        raise ConfigError("--depth is a number of levels", hint="write --depth 1")
    urls = s3_urls(arguments.urls, "du")
    return Options(
        urls,
        tuple(select(url.key, raw=arguments.raw) for url in urls),
        arguments.depth,
        arguments.by_class,
        arguments.all_versions,
        arguments.human_readable,
    )


async def run(options: Options, context: Context) -> int:
    """Add up."""
    for url, selection in zip(options.urls, options.selections, strict=True):
        store = context.bucket(url)
        sizes: Counter[tuple[str, str]] = Counter()
        counts: Counter[tuple[str, str]] = Counter()
        async for page in _items(store, selection, versions=options.versions):
            for item in page:
                for prefix in _prefixes(item.key, selection.base, options.depth):
                    key = (prefix, item.storage_class if options.by_class else "")
                    sizes[key] += item.size
                    counts[key] += 1
        # A bucket that is there and empty has a line, too.
        for prefix, storage_class in sorted(counts) or [(selection.base, "")]:
            key = (prefix, storage_class)
            shown = f"s3://{url.bucket}/{url.key if prefix == selection.base else prefix}"
            total = Total(shown, counts[key], sizes[key], storage_class, options.human)
            context.output.result(total)
    return exits.OK


async def _items(store: Store, selection: Selection, *, versions: bool) -> AsyncIterator[list[Item]]:
    """Yield pages of what is selected; nothing for an empty bucket."""
    try:
        if versions:
            async for page in find_versions(store, selection):
                yield [found.item for found in page]
        elif selection.kind == "object":
            yield [await _one(store, selection.key)]
        else:
            async for page in find(store, selection):
                yield [found.item for found in page]
    except NotFound as error:
        if selection.key or error.code:
            raise


async def _one(store: Store, key: str) -> Item:
    from haulyard.transfer.items import Item

    try:
        head = await store.head(key)
    except NotFound as error:
        raise await explain_missing(store, key, error) from error
    return Item(key, head.size, storage_class=head.storage_class)


def _prefixes(key: str, base: str, depth: int) -> Iterable[str]:
    """Yield the prefixes that count ``key``: ``base``, and those below it down to ``depth``."""
    yield base
    at = len(base)
    for _ in range(depth):
        at = key.find("/", at) + 1
        if not at:
            return
        yield key[:at]
