"""The files that source arguments name, in the order of reading, each with its size and its ETag.

In a tree, under a wildcard and in a manifest the rules of Spark's readers hold: names that begin with ``_``
or ``.`` (``_SUCCESS``, ``_delta_log/``) are not data. What else has a name that tells no format is left out,
and said.
"""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, IntegrityError, NotFound, StoreError
from haulyard.events import Warned
from haulyard.ingest.explaining import TOLD, did_you_mean, explained, siblings
from haulyard.ingest.fetching import TAIL
from haulyard.ingest.model import SourceFile
from haulyard.ingest.partitions import partitions_of
from haulyard.models import ByteRange, GetOptions
from haulyard.records.formats.detection import format_of
from haulyard.records.listing import check_etag, source_objects
from haulyard.records.model import SourceObject
from haulyard.stores.local import LocalStore
from haulyard.transfer.items import prefix_of
from haulyard.transfer.selection import has_wildcard, select, select_manifest
from haulyard.url import S3Url, StdStream, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.client.session import Session
    from haulyard.ingest.model import ReadOptions
    from haulyard.models.body import Buffer
    from haulyard.stores.base import Store
    from haulyard.transfer.selection import Selection


class Files(NamedTuple):
    """What was found: the files to read, and the names of those that were left out.

    ``tails`` are the last bytes of some files, by URI: they came with the size and the ETag.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]
    tails: Mapping[str, Buffer]


class _Place(NamedTuple):
    """A store, and what a source argument selects in it."""

    store: Store
    selection: Selection
    version_id: str = ""

    @property
    def is_single(self) -> bool:
        """Whether it is one file by its name, whatever that is."""
        return self.selection.kind == "object"


async def find_files(
    session: Session,
    sources: Sequence[str],
    options: ReadOptions,
    *,
    manifest: str = "",
    recursive: bool = False,
) -> Files:
    """Return the files that ``sources`` name; each is there, and named once.

    Raises:
        NotFound: There is none; the hint names the nearest that exist.
        ConfigError: A source cannot be understood, or none of many has a name that tells its format.
    """
    if not sources:
        raise ConfigError("no source is named", hint="name a file, a prefix or a wildcard")
    if manifest and len(sources) > 1:
        raise ConfigError("a manifest is of one source", hint="name the bucket or prefix its keys lie in")
    files: dict[tuple[str, str, str], SourceFile] = {}
    skipped: list[str] = []
    tails: dict[str, Buffer] = {}
    for source in sources:
        place = _place(session, source, with_manifest=bool(manifest), recursive=recursive)
        for item in await _listed(session, place, manifest, options, tails):
            if not place.is_single and _is_hidden(item.key[len(place.selection.base) :]):
                continue
            file = _file(place.store, item, hive=options.hive)
            if place.is_single or options.format or _tells_format(item.key):
                files.setdefault((place.store.identity, item.key, item.version_id), file)
            else:
                skipped.append(file.uri)
    if skipped:
        session.emit(Warned(_left_out(skipped), hint="format= reads them all"))
    if not files:
        raise NotFound(
            f"{', '.join(sources)} has no file of data",
            operation="list",
            hint=f"{_left_out(skipped)}; format= reads them" if skipped else "",
        )
    return Files(tuple(files.values()), tuple(skipped), tails)


def _place(session: Session, source: str, *, with_manifest: bool, recursive: bool) -> _Place:
    end = parse(source)
    if isinstance(end, StdStream):
        raise ConfigError(
            "standard input cannot be read as a table", hint="write it to a file or an object first"
        )
    if isinstance(end, S3Url):
        place = session.place(source)
        if with_manifest:
            return _Place(place.store, select_manifest(place.key))
        return _Place(place.store, select(place.key, recursive=recursive), place.version_id)
    path = end.path
    if os.path.isdir(path):
        return _Place(_local(session, path), select_manifest("") if with_manifest else select(""))
    if os.path.lexists(path):
        directory, name = os.path.split(path)
        return _Place(_local(session, directory), select(name, raw=True))
    if has_wildcard(path):
        literal = path[: min(at for at in (path.find("*"), path.find("?")) if at >= 0)]
        directory = os.path.dirname(literal)
        if os.path.isdir(directory or "."):
            pattern = path[len(directory) :].lstrip("/") if directory else path
            return _Place(_local(session, directory), select(pattern))
    raise NotFound(
        f"{path}: no such file or directory",
        store="local",
        operation="read",
        key=path,
        hint=did_you_mean(path[: path.rfind("/") + 1], os.path.basename(path), siblings(path)),
    )


def _local(session: Session, directory: str) -> LocalStore:
    return LocalStore(directory or ".", emit=session.emit)


async def _listed(
    session: Session, place: _Place, manifest: str, options: ReadOptions, tails: dict[str, Buffer]
) -> list[SourceObject]:
    found: list[SourceObject] = []
    key = place.selection.key
    pages = source_objects(
        place.store,
        place.selection,
        manifest=manifest,
        version_id=place.version_id,
        open_bucket=lambda bucket: session.place(f"s3://{bucket}").store,
    )
    try:
        if place.is_single and (options.format or format_of(key)) == "parquet":
            item, tail = await _with_tail(place, key)
            tails[f"{prefix_of(place.store)}{key}"] = tail
            return [item]
        async with aclosing(pages):
            async for page in pages:
                found += page
    except StoreError as error:
        raise await explained(place.store, place.selection, error, place.version_id) from None
    # A marker of a directory, as consoles make them, is no file.
    return [item for item in found if not (item.key.endswith("/") and not item.size)]


async def _with_tail(place: _Place, key: str) -> tuple[SourceObject, Buffer]:
    """Return what a file is, and its last bytes: one request tells both, where Parquet would take two."""
    options = GetOptions(range=ByteRange(-TAIL), version_id=place.version_id)
    try:
        async with await place.store.get(key, options) as reader:
            head = reader.head
            tail = await reader.read()
    except StoreError as error:
        # An empty file has no last bytes, and some stores take "the last bytes" for the first ones.
        if error.code != "InvalidRange" and not isinstance(error, IntegrityError):
            raise
        head, tail = await place.store.head(key, GetOptions(version_id=place.version_id)), b""
    check_etag(place.store, key, head.etag)
    return SourceObject(1, key, head.size, head.etag, place.version_id), tail


def _file(store: Store, item: SourceObject, *, hive: bool) -> SourceFile:
    uri = f"{prefix_of(store)}{item.key}"
    partitions = partitions_of(uri) if hive else ()
    return SourceFile(store, item.key, uri, item.size, item.etag, item.version_id, partitions)


def _is_hidden(relative: str) -> bool:
    """Whether a path is not data by the rules of Spark; the directory ``_day=1`` is a partition."""
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) for part in relative.split("/")
    )


def _tells_format(key: str) -> bool:
    # Of JSON the name does not tell which of both kinds it is.
    return format_of(key) is not None or format_of(key, b"x") == "json"


def _left_out(names: Sequence[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    return f"{count} left out, whose names tell no format: {', '.join(names[:TOLD])}{more}"
