"""What all calls of one client share: settings, connections, and the address of what they are about."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, HaulError
from haulyard.events import Warned
from haulyard.stores.assemble import Connection, fixed_keys
from haulyard.url import LocalPath, S3Url, StdStream, parse

if TYPE_CHECKING:
    from haulyard.config import Settings
    from haulyard.events import Emit, Event
    from haulyard.stores.s3 import S3Store


class Place(NamedTuple):
    """A bucket as a store, and a key, prefix or version in it."""

    store: S3Store
    key: str
    version_id: str = ""


class Session:
    """The connections of one client, opened at first use and bound to the event loop of that use.

    ``keys`` (access key, secret key, session token) are used instead of those that the chain finds.
    """

    def __init__(self, settings: Settings, emit: Emit, keys: tuple[str, str, str] | None = None) -> None:
        self.settings = settings
        self.emit = emit
        self._keys = keys
        self._connections: dict[bool, Connection] = {}
        self._stores: dict[tuple[str, bool], S3Store] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        for text in settings.warnings:
            emit(Warned(text))

    def connection(self, *, source: bool = False) -> Connection:
        """Return the connection, or that of the source's side.

        Raises:
            HaulError: The client is closed, or belongs to another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise HaulError("the client is closed", hint="make a new one, or do more inside the `with` block")
        if self._loop is not loop:
            if self._loop is not None:
                raise HaulError(
                    "the client belongs to another event loop",
                    hint="make an AsyncClient in each event loop, or use Client, which has its own",
                )
            self._loop = loop
        found = self._connections.get(source)
        return self._open(source=source) if found is None else found

    def place(self, uri: str, version_id: str = "", *, source: bool = False) -> Place:
        """Return where ``uri`` leads: a bucket, or what is in it.

        Of an ``https://`` form of AWS, the region is where the bucket is looked for first, and the kind of
        endpoint (dual-stack, FIPS, acceleration) is that by which it is reached from then on.

        Raises:
            ConfigError: It is no URI of S3, or names another version than ``version_id``.
        """
        url = s3_url(uri, version_id)
        connection = self.connection(source=source)
        connection.begin_in(url)
        store = self._stores.get((url.bucket, source))
        if store is None:
            store = self._stores[url.bucket, source] = connection.bucket(url.bucket)
        return Place(store, url.key, url.version_id)

    def object(self, uri: str, version_id: str = "") -> Place:
        """Return where ``uri`` leads, which has to name an object.

        Raises:
            ConfigError: It is no URI of S3, or one of a bucket.
        """
        place = self.place(uri, version_id)
        if not place.key:
            raise ConfigError(f"{uri} names a bucket, not an object", hint=f"write {uri.rstrip('/')}/key")
        return place

    def bucket(self, uri: str) -> str:
        """Return the bucket that ``uri``, or a bare name, means.

        Raises:
            ConfigError: It names something in a bucket.
        """
        url = s3_url(uri if "://" in uri or uri.startswith("arn:") else f"s3://{uri}")
        if url.key:
            raise ConfigError(f"{uri} names more than a bucket", hint=f"write s3://{url.bucket}")
        return url.bucket

    async def proved(self, place: Place, *, source: bool = False, may_write: bool = True) -> Place:
        """Return ``place`` in a store that knows what its endpoint honours (see `Connection.proved`)."""
        below = place.key[: place.key.rfind("/") + 1]
        connection = self.connection(source=source)
        store = await connection.proved(place.store.bucket, below=below, may_write=may_write)
        return place._replace(store=store)

    def separate(self, settings: Settings, *, rate: float = 0.0) -> Connection:
        """Return a new connection with the client's keys, which the caller closes.

        ``rate`` is the most requests a second that it makes; 0 for any number.
        """
        keys = None if self._keys is None else fixed_keys(*self._keys)
        return Connection(settings, self.emit, credentials=keys, rate=rate)

    async def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        self._is_closed = True
        while self._connections:
            _, connection = self._connections.popitem()
            await connection.close()

    def _open(self, *, source: bool) -> Connection:
        settings = self.settings.for_source() if source else self.settings
        if source and settings is self.settings:
            return self.connection()
        if _Process.pid not in {0, os.getpid()}:
            raise forked()
        _Process.pid = os.getpid()
        # Another profile brings keys of its own.
        keys = None if source and settings.source_profile else self._keys
        credentials = None if keys is None else fixed_keys(*keys)
        opened = self._connections[source] = Connection(settings, self.emit, credentials=credentials)
        return opened


def session_of(client: Calls) -> Session:
    """Return the session of a client, for the rooms above this one."""
    return client._session  # noqa: SLF001 -- the class below, of this room


class _Process:
    """The process that opened the first connection; the transport works in no child that it forks."""

    pid = 0


def forked() -> HaulError:
    """Return the error of a child process that was forked when a client had been used."""
    return HaulError(
        "this process was forked from one that had used a client, and the network does not survive that",
        hint="start processes by spawn or forkserver (multiprocessing.set_start_method), "
        "or make the first client after the fork",
    )


class Calls:
    """A group of the calls of a client."""

    def __init__(self, session: Session) -> None:
        self._session = session


def s3_url(uri: str, version_id: str = "") -> S3Url:
    """Return what ``uri`` names in S3; ``version_id`` must not contradict it.

    Raises:
        ConfigError: It names a local path or a stream, or two versions.
    """
    url = parse(uri)
    if isinstance(url, (LocalPath, StdStream)):
        raise ConfigError(f"{uri} is a local path, not a URI of S3", hint="write s3://bucket/key")
    if version_id and url.version_id not in {"", version_id}:
        raise ConfigError("the URI and version_id name two versions", hint="give one of them")
    return url._replace(version_id=version_id or url.version_id)


def both(one: Emit, other: Emit | None) -> Emit:
    """Return what tells an event to ``one``, and to ``other`` where there is one."""
    if other is None:
        return one

    def emit(event: Event) -> None:
        one(event)
        other(event)

    return emit
