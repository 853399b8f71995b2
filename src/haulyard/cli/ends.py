"""The two ends of a transfer: what a source argument selects, and what a destination argument means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, NotFound
from haulyard.stores.local import LocalStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import has_wildcard, select, select_manifest
from haulyard.url import LocalPath, S3Url, StdStream, parse

if TYPE_CHECKING:
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
    """Understand one source argument.

    Raises:
        ConfigError: A tree without --recursive, or a wildcard where none can be.
        NotFound: A local path that does not exist.
    """
    end = parse_end(text)
    if isinstance(end, LocalPath):
        return _open_local_source(end.path, context, reading)
    store = context.bucket(end, source=True)
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


def open_destination(text: str, context: Context, *, single: bool) -> Destination:
    """Understand the destination argument; ``single`` where exactly one object goes there."""
    end = parse_end(text)
    if isinstance(end, S3Url):
        if end.version_id:
            raise ConfigError(f"{end} names a version, which cannot be written", hint="leave the version out")
        return Destination(context.bucket(end), Target.parse(end.key))
    path = end.path
    into = path.endswith("/") or os.path.isdir(path)
    if into or not single:
        return Destination(context.directory(path), Target("", into=path.endswith("/") or not single or into))
    directory, name = os.path.split(path)
    return Destination(context.directory(directory or "."), Target(name, into=False))


def _open_local_source(path: str, context: Context, reading: Reading) -> Source:
    def store(root: str) -> LocalStore:
        return LocalStore(root or ".", follow_symlinks=reading.follow_symlinks, emit=context.emit)

    if os.path.isdir(path):
        if reading.manifest:
            return Source(store(path), select_manifest(""))
        name = "" if path.endswith("/") else os.path.basename(os.path.abspath(path))
        # A directory that is itself the root of its store: its name is kept by hand.
        return Source(store(path), _select_root(name, reading))
    if not reading.raw and has_wildcard(path):
        at = min(at for at in (path.find("*"), path.find("?")) if at >= 0)
        cut = path.rfind("/", 0, at) + 1
        return Source(store(path[:cut]), select(path[cut:]))
    if not os.path.lexists(path):
        raise NotFound(f"{path}: no such file or directory", store="local", operation="read", key=path)
    directory, name = os.path.split(path)
    return Source(store(directory), select(name, raw=True))


def _select_root(name: str, reading: Reading) -> Selection:
    if name in {".", ".."}:
        name = ""
    return select(
        "",
        recursive=reading.recursive,
        name=name,
        slash_is_enough=reading.slash_is_enough,
    )
