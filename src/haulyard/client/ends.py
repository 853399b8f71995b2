"""The two ends of a transfer, as callers name them: URIs of S3 and paths of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from haulyard.client.session import Place, s3_url
from haulyard.errors import ConfigError, NotFound
from haulyard.stores.local import LocalStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from haulyard.client.arguments import StrPath
    from haulyard.client.session import Session
    from haulyard.stores.base import Store
    from haulyard.transfer.selection import Selection


class Source(NamedTuple):
    """A store, what is selected in it, and the version of a single object."""

    store: Store
    selection: Selection
    version_id: str = ""

    @property
    def is_single(self) -> bool:
        """Whether one object is selected by its name."""
        return self.selection.kind == "object"


class Destination(NamedTuple):
    """A store, and where things go in it."""

    store: Store
    target: Target


def is_uri(end: StrPath) -> bool:
    """Whether ``end`` is a URI of S3; all else is a path of this machine."""
    return isinstance(end, str) and bool(end) and isinstance(parse(end), S3Url)


def uri_of(end: str) -> str:
    """Return ``end``, which has to be a URI of S3.

    Raises:
        ConfigError: It is a path, or a URI that cannot be understood.
    """
    s3_url(end)
    return end


def path_of(end: StrPath) -> str:
    """Return the path that ``end`` is.

    Raises:
        ConfigError: It is empty, or a URI of S3.
    """
    if is_uri(end):
        raise ConfigError(f"{end} is a URI of S3, not a path", hint="copy goes from S3 to S3")
    path = os.fspath(end)
    if not path:
        raise ConfigError("an empty path names nothing", hint='write "." for this directory')
    return path


async def open_source(
    session: Session,
    end: StrPath,
    *,
    recursive: bool,
    follow_symlinks: bool = True,
    version_id: str = "",
    source_side: bool = False,
    deletes: bool = False,
) -> Source:
    """Understand the source of a transfer.

    ``source_side`` connects to the store of the ``source_…`` settings. ``deletes`` says that objects will be
    deleted there, so that it has to be known which conditions the endpoint honours.

    Raises:
        ConfigError: A tree without ``recursive``.
        NotFound: A path that does not exist.
    """
    if not is_uri(end):
        return _local_source(session, path_of(end), recursive=recursive, follow_symlinks=follow_symlinks)
    place = session.place(str(end), version_id, source=source_side)
    if not recursive and (not place.key or place.key.endswith("/")):
        raise _needs_recursive(str(end))
    if deletes:
        place = await session.proved(place, source=source_side)
    return Source(place.store, select(place.key, recursive=recursive, raw=True), place.version_id)


async def open_destination(
    session: Session, end: StrPath, *, single: bool, only_new: bool = False
) -> Destination:
    """Understand the destination of a transfer; ``single`` where exactly one object goes there.

    ``only_new`` says that nothing may be replaced, so that it has to be known whether the endpoint honours
    that.

    Raises:
        ConfigError: It names a version.
    """
    if is_uri(end):
        place = written_place(session, str(end))
        if only_new:
            place = await session.proved(place)
        # A bucket is a directory too: without a slash a tree does not get one of its own in it.
        is_top = not place.key and not str(end).endswith("/") and not single
        return Destination(place.store, Target("", into=False) if is_top else Target.parse(place.key))
    return _local_destination(path_of(end), single=single)


def written_place(session: Session, uri: str) -> Place:
    """Return where ``uri`` leads, which is to be written.

    Raises:
        ConfigError: It names a version.
    """
    place = session.place(uri)
    if place.version_id:
        raise ConfigError(f"{uri} names a version, which cannot be written", hint="leave the version out")
    return place


def _local_destination(path: str, *, single: bool) -> Destination:
    into = path.endswith("/") or (single and os.path.isdir(path))
    if into or not single:
        return Destination(LocalStore(path), Target("", into=into))
    return Destination(LocalStore(os.path.dirname(path) or "."), Target(os.path.basename(path), into=False))


def _local_source(session: Session, path: str, *, recursive: bool, follow_symlinks: bool) -> Source:
    def store(root: str) -> LocalStore:
        return LocalStore(root or ".", follow_symlinks=follow_symlinks, emit=session.emit)

    if os.path.isdir(path):
        if not recursive:
            raise _needs_recursive(path)
        name = "" if path.endswith("/") else os.path.basename(os.path.abspath(path))
        return Source(store(path), select("", recursive=True, name="" if path in {".", ".."} else name))
    if not os.path.lexists(path):
        raise NotFound(f"{path}: no such file or directory", store="local", operation="read", key=path)
    directory, name = os.path.split(path)
    return Source(store(directory), select(name, raw=True))


def _needs_recursive(end: str) -> ConfigError:
    return ConfigError(
        f"{end} is a directory or prefix", hint="pass recursive=True for everything that lies below it"
    )
