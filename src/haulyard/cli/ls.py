"""List buckets, or the objects and prefixes below a URL.

Without a URL: the buckets. With one: what starts with it, up to the next slash (as in `aws s3 ls`);
--recursive goes on below. Several URLs have a heading each. Quoted wildcards match across slashes: "s3://bucket/logs/*.gz".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from haulyard.cli import exits, flags
from haulyard.cli.formats import human_size, local_time
from haulyard.cli.places import s3_urls
from haulyard.cli.several import for_each
from haulyard.errors import ConfigError, NotFound
from haulyard.models import ListOptions
from haulyard.observe.lines import escape
from haulyard.transfer.selection import has_wildcard, select

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from haulyard.cli.context import Context
    from haulyard.cli.output import Message
    from haulyard.models import ListPage, ObjectInfo, ObjectVersion, VersionPage
    from haulyard.url import S3Url

EXAMPLES = ("haul ls", "haul ls s3://demo/ --recursive --human-readable --summarize")


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be listed, and how it is to look."""

    urls: tuple[S3Url, ...]
    recursive: bool
    raw: bool
    versions: bool
    human: bool
    summarize: bool


@dataclass(frozen=True, slots=True)
class BucketLine:
    """One bucket."""

    kind: ClassVar[str] = "bucket"

    name: str
    created: datetime | None
    region: str = ""

    def text(self) -> str:
        """Return it as `aws s3 ls` shows it."""
        return f"{local_time(self.created)} {escape(self.name)}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {"url": f"s3://{self.name}", "name": self.name, "created": self.created, "region": self.region}


@dataclass(frozen=True, slots=True)
class Summary:
    """What was listed, added up; ``size`` in bytes."""

    kind: ClassVar[str] = "summary"

    objects: int
    size: int
    human: bool

    def text(self) -> str:
        """Return it as `aws s3 ls --summarize` shows it."""
        size = human_size(self.size) if self.human else self.size
        return f"\nTotal Objects: {self.objects}\n   Total Size: {size}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {"objects": self.objects, "size": self.size}


class Line(NamedTuple):
    """One object, version or prefix of a listing, ready to be shown; ``shown`` is the text."""

    kind: str
    shown: str
    values: dict[str, object]

    def text(self) -> str:
        """Return the line."""
        return self.shown

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return self.values


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("urls", nargs="*", metavar="S3URL", help="bucket, prefix or wildcard")
    parser.add_argument("-r", "--recursive", action="store_true", help="list what is below prefixes, too")
    parser.add_argument("-H", "--human-readable", action="store_true", help="sizes as 7.5 KiB")
    parser.add_argument("--summarize", action="store_true", help="add up objects and sizes at the end")
    flags.add(parser, flags.ALL_VERSIONS, flags.RAW, flags.CONNECTION, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    urls = s3_urls(arguments.urls, "ls")
    if not urls and (arguments.recursive or arguments.all_versions):
        raise ConfigError(
            "buckets have neither versions nor anything recursive", hint="name a bucket: s3://name"
        )
    return Options(
        urls,
        arguments.recursive,
        arguments.raw,
        arguments.all_versions,
        arguments.human_readable,
        arguments.summarize,
    )


async def run(options: Options, context: Context) -> int:
    """List."""
    if not options.urls:
        await _list_buckets(context)
        return exits.OK
    listings = [_Listing(url, options) for url in options.urls]
    headed = len(listings) > 1 and not context.output.as_json

    async def show(listing: _Listing, context: Context) -> None:
        if headed:
            gap = [] if listing is listings[0] else [""]
            context.output.lines([*gap, f"{escape(str(listing.url))}:"])
        await listing.show(context)

    code = await for_each(listings, show, context)
    if options.summarize:
        objects = sum(listing.objects for listing in listings)
        size = sum(listing.size for listing in listings)
        context.output.result(Summary(objects, size, options.human))
    return code


async def _list_buckets(context: Context) -> None:
    client = context.connection().client
    token = ""
    while True:
        page = await client.list_buckets(token=token)
        context.output.results([BucketLine(each.name, each.created, each.region) for each in page.page])
        if not page.is_truncated or page.next_token == token:
            return
        token = page.next_token


class _Listing:
    """One URL being listed."""

    def __init__(self, url: S3Url, options: Options) -> None:
        self.objects = 0
        self.size = 0
        self.url = url
        self._options = options
        self._wildcard = not options.raw and has_wildcard(url.key)
        self._flat = options.recursive or self._wildcard
        # Like a directory, a prefix shows the names in it; a recursive listing shows whole keys, as aws does.
        self._cut = 0 if self._flat else url.key.rfind("/") + 1
        self._size_text: Callable[[int], object] = human_size if options.human else str

    async def show(self, context: Context) -> None:
        """Write it, page by page.

        Raises:
            NotFound: There is nothing at or below a prefix, or a wildcard matches nothing.
        """
        store = context.bucket(self.url)
        selection = select(self.url.key, recursive=True, raw=self._options.raw)
        prefix = selection.prefix if self._wildcard else self.url.key
        listing = ListOptions(delimiter="" if self._flat else "/")
        wanted = selection.predicate() if self._wildcard else None
        found = False
        if self._options.versions:
            async for versions in store.list_versions(prefix, listing):
                found |= self._write(context, self._version_lines(versions, wanted))
        else:
            async for page in store.list(prefix, listing):
                found |= self._write_objects(context, page, wanted)
        if not found and self.url.key:
            raise NotFound(
                f"nothing {'matches' if self._wildcard else 'is at or below'} {self.url}",
                operation="list",
                bucket=self.url.bucket,
                key=self.url.key,
                hint="--raw takes * and ? literally" if self._wildcard else "",
            )

    def _write(self, context: Context, page: Iterable[Message]) -> bool:
        lines = list(page)
        context.output.results(lines)
        return bool(lines)

    def _write_objects(self, context: Context, page: ListPage, wanted: Callable[[str], bool] | None) -> bool:
        objects = page.objects if wanted is None else [info for info in page.objects if wanted(info.key)]
        self.objects += len(objects)
        self.size += sum(info.size for info in objects)
        if context.output.as_json:
            return self._write(context, [*self._prefixes(page.prefixes), *map(self._object, objects)])
        # Lines by the hundred thousand: no value in between.
        cut, size_text = self._cut, self._size_text
        lines = [prefix.shown for prefix in self._prefixes(page.prefixes)]
        lines += [
            f"{local_time(info.last_modified)} {size_text(info.size):>10} {escape(info.key[cut:])}"
            for info in objects
        ]
        context.output.lines(lines)
        return bool(lines)

    def _prefixes(self, prefixes: Iterable[str]) -> list[Line]:
        return [
            Line(
                "prefix",
                f"{'PRE':>30} {escape(prefix[self._cut :])}",
                {"url": f"s3://{self.url.bucket}/{prefix}", "prefix": prefix},
            )
            for prefix in prefixes
        ]

    def _object(self, info: ObjectInfo) -> Line:
        values: dict[str, object] = {
            "url": f"s3://{self.url.bucket}/{info.key}",
            "key": info.key,
            "size": info.size,
            "last_modified": info.last_modified,
            "etag": info.etag,
            "storage_class": info.storage_class,
        }
        return Line("object", "", values)

    def _version_lines(self, page: VersionPage, wanted: Callable[[str], bool] | None) -> Iterable[Line]:
        yield from self._prefixes(page.prefixes)
        for version in page.versions:
            if wanted is None or wanted(version.key):
                self.objects += 1
                self.size += version.size
                yield self._version(version)

    def _version(self, version: ObjectVersion) -> Line:
        state = "marker" if version.is_marker else "latest" if version.is_latest else "older"
        text = (
            f"{local_time(version.last_modified)} {self._size_text(version.size):>10} {state:6} "
            f"{version.version_id} {escape(version.key[self._cut :])}"
        )
        values: dict[str, object] = {
            "url": f"s3://{self.url.bucket}/{version.key}",
            "key": version.key,
            "version_id": version.version_id,
            "is_latest": version.is_latest,
            "is_marker": version.is_marker,
            "size": version.size,
            "last_modified": version.last_modified,
            "etag": version.etag,
            "storage_class": version.storage_class,
        }
        return Line("version", text, values)
