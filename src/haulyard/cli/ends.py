"""The two ends of a transfer: what a source argument selects, and what a destination argument means."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, NotFound
from haulyard.stores.local import LocalStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import has_wildcard, select, select_manifest
from haulyard.url import LocalPath, S3Url, StdStream, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.cli.context import Context
    from haulyard.stores.base import Store
    from haulyard.transfer.selection import Selection


class Source(NamedTuple):
    """A store and what is selected in it; ``version_id`` where the URL or a flag named a version."""

    store: Store
    selection: Selection
    version_id: str = ""


class Destination(NamedTuple):
    """A store and where things go in it."""

    store: Store
    target: Target


class Reading(NamedTuple):
    """How source arguments are to be understood."""

    recursive: bool = False
    raw: bool = False
    follow_symlinks: bool = True
    slash_is_enough: bool = True
    manifest: bool = False
    version_id: str = ""
    is_source: bool = True
    """Whether it is one of two ends: then the ``--source-…`` settings concern it."""


def parse_end(text: str) -> S3Url | LocalPath:
    """Return a URL or a path; standard streams are none of both.

    Raises:
        ConfigError: ``-``, or a URL that is none.
    """
    end = parse(text)
    if isinstance(end, StdStream):
        raise ConfigError(
            "- stands for one stream and cannot be combined with this",
            hint="use haul put - s3://bucket/key, or haul cat s3://bucket/key",
        )
    return end


def open_source(text: str, context: Context, reading: Reading) -> Source:
    """Understand one source argument; see `Sources`."""
    return Sources(context, reading).open(text)


class Sources:
    """Opens the source arguments of one command; those in one bucket or directory share a store."""

    def __init__(self, context: Context, reading: Reading) -> None:
        self._context = context
        self._reading = reading
        self._buckets: dict[str, Store] = {}
        self._directories: dict[str, LocalStore] = {}

    def open(self, text: str) -> Source:
        """Understand one source argument.

        Raises:
            ConfigError: A tree without --recursive, a wildcard where none can be, or a pipe or device.
            NotFound: A local path that does not exist.
        """
        end = parse_end(text)
        if isinstance(end, LocalPath):
            return self._open_path(end.path)
        reading = self._reading
        store = self._bucket(end)
        version_id = end.version_id or reading.version_id
        if reading.manifest:
            return Source(store, select_manifest(end.key))
        selection = select(
            end.key,
            recursive=reading.recursive,
            raw=reading.raw or bool(version_id),
            slash_is_enough=reading.slash_is_enough,
        )
        return Source(store, selection, version_id)

    def _open_path(self, path: str) -> Source:
        reading = self._reading
        if os.path.isdir(path):
            if reading.manifest:
                return Source(self._directory(path), select_manifest(""))
            return Source(self._directory(path), self._select_root(path))
        if reading.manifest:
            raise ConfigError(
                f"with a manifest the source is a bucket, a prefix or a directory, not {path}",
                hint="name the directory that its paths lie in",
            )
        if not reading.raw and has_wildcard(path):
            at = min(at for at in (path.find("*"), path.find("?")) if at >= 0)
            cut = path.rfind("/", 0, at) + 1
            return Source(self._directory(path[:cut]), select(path[cut:]))
        _check_file(path)
        directory, name = os.path.split(path)
        return Source(self._directory(directory), select(name, raw=True))

    def _select_root(self, path: str) -> Selection:
        # A directory that is itself the root of its store: its name is kept by hand.
        name = "" if path.endswith("/") else os.path.basename(path)
        return select(
            "",
            recursive=self._reading.recursive,
            name="" if name in {".", ".."} else name,
            slash_is_enough=self._reading.slash_is_enough,
        )

    def _bucket(self, url: S3Url) -> Store:
        store = self._buckets.get(url.bucket)
        if store is None:
            store = self._buckets[url.bucket] = self._context.bucket(url, source=self._reading.is_source)
        return store

    def _directory(self, path: str) -> LocalStore:
        root = path or "."
        store = self._directories.get(root)
        if store is None:
            store = self._directories[root] = LocalStore(
                root, follow_symlinks=self._reading.follow_symlinks, emit=self._context.emit
            )
        return store


def by_store(sources: Sequence[Source]) -> list[list[Source]]:
    """Return the sources in groups of one store each, in the order of their first members."""
    groups: dict[int, list[Source]] = {}
    for source in sources:
        groups.setdefault(id(source.store), []).append(source)
    return list(groups.values())


def open_destination(
    text: str, context: Context, *, single: bool = False, several: bool = False
) -> Destination:
    """Understand the destination argument.

    ``single`` where exactly one object goes there, ``several`` where what goes there comes from several
    sources, a wildcard or a manifest. Whether a tree goes into a directory of its own is never decided by
    what exists: the same command run again must do the same.

    Raises:
        ConfigError: A version, or one name for several objects.
    """
    end = parse_end(text)
    if isinstance(end, S3Url):
        if end.version_id:
            raise ConfigError(f"{end} names a version, which cannot be written", hint="leave the version out")
        # A bucket is a directory too: without a slash a tree does not get one of its own in it.
        is_top = not end.key and not text.endswith("/") and not single and not several
        return Destination(context.bucket(end), Target("", into=False) if is_top else Target.parse(end.key))
    path = end.path
    has_slash = path.endswith("/")
    if single and not has_slash and not os.path.isdir(path):
        directory, name = os.path.split(path)
        return Destination(context.directory(directory or "."), Target(name, into=False))
    if not os.path.isdir(path) and os.path.exists(path.rstrip("/")):
        raise ConfigError(
            f"{path} is a file, and a directory is needed", hint="name another destination, or move the file"
        )
    if several and not has_slash and not os.path.isdir(path):
        raise ConfigError(
            f"{path} is one name, and there may be several objects", hint=f"write {path}/ for a directory"
        )
    return Destination(context.directory(path), Target("", into=has_slash or single or several))


def _check_file(path: str) -> None:
    """Raise unless ``path`` leads to a regular file."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        what = "a symbolic link that leads nowhere" if os.path.islink(path) else "no such file or directory"
        raise NotFound(f"{path}: {what}", store="local", operation="read", key=path) from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path} is no regular file", hint=f"a pipe goes with haul put {path} s3://…")
