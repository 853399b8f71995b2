"""The two ends of a job, opened as stores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, NotFound
from haulyard.events import ignore
from haulyard.stores.local import LocalStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import Selection, select, select_manifest
from haulyard.url import LocalPath, StdStream, parse

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.jobs.specification import Specification
    from haulyard.stores.assemble import Connection
    from haulyard.stores.base import Store


class Ends(NamedTuple):
    """Where a job reads and where it writes.

    ``selection`` is what it reads of ``source``. ``destination`` is the source's own store for the verbs
    without a destination; ``target`` is what the destination argument says. ``base`` is what every key in
    the destination starts with where rules make the rest of it.
    """

    source: Store
    selection: Selection
    destination: Store
    target: Target

    @property
    def base(self) -> str:
        """What rules' keys are appended to: DESTINATION as it was written."""
        return self.target.key

    @property
    def is_one_store(self) -> bool:
        """Whether both ends hold the same objects."""
        return self.source.identity == self.destination.identity


async def open_ends(
    specification: Specification,
    connection: Connection,
    source_connection: Connection,
    *,
    may_write: bool,
    emit: Emit = ignore,
) -> Ends:
    """Open the stores that a job is about.

    What their endpoints honour is proved, on objects of our own, only where ``may_write``; else it is what an
    earlier run remembered (see `Connection.proved`). What a directory holds and cannot be listed is told to
    ``emit``.

    Raises:
        ConfigError: An end is a stream, or both are local.
        NotFound: A local source that does not exist.
    """
    # A name that the shell would understand is one of this machine: rules may change directories.
    source, selection = await _open_source(specification, source_connection, may_write=may_write, emit=emit)
    if not specification.verb.writes_elsewhere:
        return Ends(source, selection, source, Target("", into=True))
    if not specification.destination:
        return Ends(source, selection, source, Target("", into=True))
    end = parse(specification.destination)
    if isinstance(end, StdStream):
        raise _no_stream()
    if isinstance(end, LocalPath):
        if isinstance(source, LocalStore):
            raise ConfigError("both ends are local", hint="one of them must be s3://…")
        os.makedirs(end.path, exist_ok=True)
        return Ends(source, selection, LocalStore(end.path), Target("", into=True))
    below = end.key[: end.key.rfind("/") + 1]
    destination = await connection.proved(end.bucket, below=below, may_write=may_write)
    # As in `cp`: a bucket without a slash is the directory itself, with one it is what a tree goes into.
    is_top = not end.key and not specification.destination.endswith("/") and selection.kind == "tree"
    return Ends(source, selection, destination, Target("", into=False) if is_top else Target.parse(end.key))


async def _open_source(
    specification: Specification, connection: Connection, *, may_write: bool, emit: Emit
) -> tuple[Store, Selection]:
    end = parse(specification.source)
    if isinstance(end, StdStream):
        raise _no_stream()
    if isinstance(end, LocalPath):
        if not os.path.isdir(end.path):  # noqa: ASYNC240 -- one look, before anything runs
            raise NotFound(
                f"{end.path} is no directory",
                operation="plan",
                hint="name a directory, or s3://bucket/prefix/",
            )
        selection = select_manifest("") if specification.manifest else select("")
        return LocalStore(end.path, emit=emit), selection
    below = end.key[: end.key.rfind("/") + 1]
    store = await connection.proved(end.bucket, below=below, may_write=may_write)
    if specification.manifest:
        return store, select_manifest(end.key)
    return store, select(end.key, recursive=specification.recursive, raw=specification.raw)


def _no_stream() -> ConfigError:
    return ConfigError(
        "- is a stream, not a place with objects", hint="name s3://bucket/prefix/ or a directory"
    )
