"""``--manifest FILE``: objects that somebody listed, instead of a listing by the store.

A manifest is one of

- keys, one a line, as they are; ``s3://bucket/key`` is understood too
- CSV of bucket, URL-encoded key and maybe version, as for S3 Batch Operations
- the ``manifest.json`` of an S3 Inventory (`haulyard.transfer.inventory`)

gzipped or not. Which one it is, its name says (``.txt``, ``.csv``, ``.json``), else its first line. It is
read as it comes, in constant memory, from a file, a pipe, an object or standard input (``-``).
"""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

from haulyard.errors import ConfigError
from haulyard.transfer.filters import ACCEPT_ALL
from haulyard.transfer.items import Item, prefix_of
from haulyard.transfer.lines import STDIN, file_chunks, inflated, line_pages
from haulyard.transfer.listed import CsvLines, KeyLines, Listed, malformed
from haulyard.transfer.sources import Found
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from haulyard.models.body import Buffer
    from haulyard.stores.base import Store
    from haulyard.transfer.filters import Filter
    from haulyard.transfer.inventory import Inventory
    from haulyard.transfer.selection import Selection

    #: Opens another bucket than the source's.
    OpenBucket = Callable[[str], Store]

Format = Literal["keys", "csv", "inventory"]

_BY_NAME: dict[str, Format] = {".txt": "keys", ".csv": "csv", ".json": "inventory"}


async def find_listed(
    store: Store,
    selection: Selection,
    manifest: str,
    filters: Filter = ACCEPT_ALL,
    *,
    open_bucket: OpenBucket | None = None,
    with_properties: bool = False,
) -> AsyncGenerator[list[Found]]:
    """Yield pages of the objects that a manifest names, in its order, without sizes and times.

    With ``with_properties`` items have the size, time, ETag and storage class that an inventory tells: those
    of the day it was made, where without them the objects of this moment are meant.

    ``selection`` (`haulyard.transfer.selection.select_manifest`) is the tree that the keys have to lie in and
    are relative to. Of an inventory, which is of a whole bucket, only what lies there is taken. ``manifest``
    is a path, ``-`` or an ``s3://`` URL. ``open_bucket`` is asked for buckets other than the source's: the
    manifest's own, and that of the data files of an inventory unless these lie beside it.

    Raises:
        ConfigError: A line is malformed, or names something outside the source; its number is in the message.
        NotFound: There is no such file.
        IntegrityError: It is damaged gzip, or a data file of another inventory.
    """
    buckets = _Buckets(store, open_bucket)
    name = "standard input" if manifest == STDIN else manifest
    scope = _Scope(store, selection, filters, name, with_properties=with_properties)
    async with (
        aclosing(buckets.chunks(manifest)) as chunks,
        aclosing(line_pages(inflated(chunks, name), name)) as pages,
    ):
        first = await anext(pages, None)
        if first is None:
            return
        kind = detect(manifest, first, store.bucket)
        if kind == "inventory":
            inventory = await _inventory(first, pages, name)
            scope.check_bucket(inventory.source)
            async for entries in _inventory_entries(inventory, manifest, buckets):
                if found := scope.within(entries):
                    yield found
            return
        read = KeyLines(name, paths=_is_local(store)) if kind == "keys" else CsvLines(name)
        if found := scope.all(read(first)):
            yield found
        async for lines in pages:
            if found := scope.all(read(lines)):
                yield found


def detect(name: str, first_lines: list[bytes], bucket: str) -> Format:
    """Return the format of a manifest: by its name, else by its first line that is not empty."""
    stem = name.lower().removesuffix(".gz")
    for suffix, kind in _BY_NAME.items():
        if stem.endswith(suffix):
            return kind
    line = next((line for line in first_lines if line.strip()), b"").lstrip()
    if line.startswith(b"{"):
        return "inventory"
    if line.startswith((b'"', f"{bucket},".encode())) or line.lower().startswith(b"bucket,key"):
        return "csv"
    return "keys"


class _Buckets:
    """Opens what a manifest is in, and what it refers to."""

    def __init__(self, store: Store, open_bucket: OpenBucket | None) -> None:
        self._store = store
        self._open_bucket = open_bucket

    async def chunks(self, place: str) -> AsyncGenerator[Buffer]:
        """Yield the bytes at a path, a URL or standard input."""
        end = parse(place)
        opened = self.object_chunks(end.bucket, end.key) if isinstance(end, S3Url) else file_chunks(str(end))
        async with aclosing(opened) as chunks:
            async for chunk in chunks:
                yield chunk

    async def object_chunks(self, bucket: str, key: str) -> AsyncGenerator[Buffer]:
        """Yield the bytes of an object."""
        async with await self._bucket(bucket).get(key) as reader:
            async for chunk in reader.chunks():
                yield chunk

    def _bucket(self, bucket: str) -> Store:
        if bucket == self._store.bucket:
            return self._store
        if self._open_bucket is None:
            raise ConfigError(
                f"the manifest refers to the bucket {bucket}, which was not opened",
                hint="download what it refers to into the manifest's directory",
            )
        return self._open_bucket(bucket)


class _Scope:
    """Makes items of entries, and refuses those that are not in the source."""

    def __init__(
        self, store: Store, selection: Selection, filters: Filter, name: str, *, with_properties: bool
    ) -> None:
        # An access point is another name of its bucket, which cannot be known here.
        self._bucket = "" if store.bucket.startswith("arn:") else store.bucket
        self._base = selection.base
        self._accepts = filters.accepts
        self._name = name
        self._where = prefix_of(store) + selection.base
        self._with_properties = with_properties

    def all(self, entries: list[Listed]) -> list[Found]:
        """Take every entry.

        Raises:
            ConfigError: One is not in the source.
        """
        for entry in entries:
            if not self._is_within(entry):
                bucket = f"s3://{entry.bucket}/" if entry.bucket else ""
                raise malformed(self._name, entry.line, f"{bucket}{entry.key} is not under {self._where}")
        return self._found(entries)

    def check_bucket(self, bucket: str) -> None:
        """Refuse an inventory of another bucket.

        Raises:
            ConfigError: It is one.
        """
        if self._bucket and bucket != self._bucket:
            raise ConfigError(
                f"{self._name} is an inventory of the bucket {bucket}, the source is {self._where}",
                hint="name the bucket that the inventory is of",
            )

    def within(self, entries: list[Listed]) -> list[Found]:
        """Take the entries that are in the source."""
        return self._found([entry for entry in entries if self._is_within(entry)])

    def _is_within(self, entry: Listed) -> bool:
        if entry.bucket and self._bucket and entry.bucket != self._bucket:
            return False
        return entry.key.startswith(self._base)

    def _found(self, entries: list[Listed]) -> list[Found]:
        cut = len(self._base)
        if not self._with_properties:
            return [
                Found(Item(entry.key, version_id=entry.version_id), relative)
                for entry in entries
                if self._accepts(relative := entry.key[cut:])
            ]
        return [
            Found(Item(key, size, modified, etag, version_id, storage_class), relative)
            for _, _, key, version_id, size, modified, etag, storage_class in entries
            if self._accepts(relative := key[cut:])
        ]


def _is_local(store: Store) -> bool:
    from haulyard.stores.local import LocalStore

    return isinstance(store, LocalStore)


async def _inventory(first: list[bytes], pages: AsyncIterator[list[bytes]], name: str) -> Inventory:
    # Only here: json, md5 and the rest are for nothing else.
    from haulyard.transfer.inventory import parse_inventory

    lines = [*first]
    async for page in pages:
        lines += page
    return parse_inventory(b"\n".join(lines), name)


async def _inventory_entries(
    inventory: Inventory, manifest: str, buckets: _Buckets
) -> AsyncGenerator[list[Listed]]:
    from haulyard.transfer.inventory import rows

    for file in inventory.files:
        beside = _beside(manifest, file.key)
        chunks = file_chunks(beside) if beside else buckets.object_chunks(inventory.bucket, file.key)
        name = beside or f"s3://{inventory.bucket}/{file.key}"
        async with aclosing(chunks) as opened:
            async for entries in rows(inventory, file, opened, name):
                yield entries


def _beside(manifest: str, key: str) -> str:
    """Return the local copy of a data file: beside the manifest, or in ``../data`` as in S3; else ``""``."""
    if manifest == STDIN or "://" in manifest:
        return ""
    directory, name = os.path.dirname(manifest), key.rpartition("/")[2]
    candidates = os.path.join(directory, name), os.path.join(directory, "..", "data", name)
    return next((path for path in candidates if os.path.isfile(path)), "")
