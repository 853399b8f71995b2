"""`AsyncShipper` and `Shipper`: rotated files of a directory into a store, for programs."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from haulyard.client.arguments import Properties, checksum_algorithm, filter_of, put_options
from haulyard.client.client import inside
from haulyard.client.session import both, s3_url, session_of
from haulyard.errors import ConfigError, NotFound, TransferError
from haulyard.spool.arrivals import RESCAN, watching
from haulyard.spool.carrying import Manner
from haulyard.spool.finished import Candidate
from haulyard.spool.keys import BY_DATE, PLAIN, KeyRules, key_of
from haulyard.spool.premises import FOLDER, Premises, check_access
from haulyard.spool.shipment import Rules, Shipment

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.client.arguments import Patterns, StrPath
    from haulyard.client.async_client import AsyncClient
    from haulyard.client.client import Client
    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.models import PutOptions
    from haulyard.spool.account import Account, Shipped
    from haulyard.spool.carrying import OnConflict
    from haulyard.spool.keys import DateFrom
    from haulyard.spool.letting_go import After
    from haulyard.stores.assemble import Connection

SOURCE = "xml-stream-aggregator"
"""What the metadata of objects call their source where nothing else is asked for."""


class ShipOptions(Properties, total=False):
    """What a shipper is to do, by the names of the flags of `haul ship`, and what each object gets.

    ``include`` and ``exclude`` are patterns of names. A file is finished when it was left alone for
    ``settle`` seconds (5) and nobody has it open for writing.

    Keys are ``{prefix}{name}``, with ``date_folders`` ``{prefix}{date:%Y/%m/%d}/{name}``, or what
    ``key_template`` says. A name without a valid date takes it from ``date_from``.

    ``after`` says what becomes of a file that the store provably holds: it is kept, deleted, or moved to
    ``move_to``. ``on_conflict`` is for a key that holds other content: ``fail`` puts the file into
    ``quarantine/``, ``suffix`` takes the next key that is free. It is never overwritten.

    ``source`` is what the metadata give as such. A file that fails for reasons of its own is tried ``tries``
    times (5), the first pause being ``retry_base_delay`` seconds (1.0).
    """

    include: Patterns
    exclude: Patterns
    settle: float
    date_folders: bool
    date_from: DateFrom
    key_template: str
    after: After
    move_to: StrPath
    on_conflict: OnConflict
    source: str
    tries: int
    retry_base_delay: float


@dataclass(frozen=True, slots=True)
class Order:
    """All that is asked of a shipper: from which directory, to which bucket, how."""

    directory: str
    bucket: str
    rules: Rules
    put: PutOptions
    source: str = SOURCE
    on_conflict: OnConflict = "fail"
    move_to: str = ""

    def __post_init__(self) -> None:
        if (self.rules.after == "move") != bool(self.move_to):
            raise ConfigError(
                "a directory to move to goes with moving, and moving needs one",
                hint='write --after move --move-to DIR, or after="move", move_to="DIR"',
            )
        if not (self.source.isascii() and self.source.isprintable()):
            raise ConfigError(
                f"the source {self.source!r} cannot stand in a header", hint="use plain ASCII letters"
            )

    def premises(
        self, settings: Settings, connect: Callable[[], Connection], emit: Emit, *, is_patient: bool = False
    ) -> Premises:
        """Return what is to be open while it is carried out."""
        manner = Manner(
            self.put,
            self.source,
            host_name(),
            os.path.join(self.directory, FOLDER),
            self.on_conflict,
            settings.part_size,
            checksum_algorithm(settings),
        )
        return Premises(
            self.directory,
            connect,
            self.bucket,
            self.rules.keys.prefix,
            manner,
            after=self.rules.after,
            move_to=self.move_to,
            emit=emit,
            command="haul ship",
            destination=f"{settings.endpoint_url} {self.bucket} {self.rules.keys.rules}",
            is_patient=is_patient,
        )


def host_name() -> str:
    """Return this machine's name as it can stand in a header."""
    return socket.gethostname().encode("ascii", "replace").decode()


def keys_for(
    prefix: str, *, date_folders: bool = False, date_from: DateFrom = "mtime", template: str = ""
) -> KeyRules:
    """Return the rules of keys. Raises ConfigError."""
    if date_from not in {"mtime", "now", "none"}:
        raise ConfigError(f"date_from={date_from!r} is not allowed", hint="give mtime, now or none")
    return KeyRules(prefix, template or (BY_DATE if date_folders else PLAIN), date_from, host_name())


def folder_of(prefix: str) -> str:
    """Return a prefix that files go below: with a slash at its end, and none at its beginning."""
    prefix = prefix.lstrip("/")
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"


class AsyncShipper:
    """Ships the files of one directory; each is let go of only when the store provably holds it.

    One shipper works on a directory at a time: `run` and `ship` take its lock.

    Args:
        client: Whose settings and keys are used. Shipping opens connections of its own.
        directory: Where rotated files appear.
        to: ``s3://bucket/prefix/``.
        on_result: Is called with the end of each file (`Shipped`): key, bytes, checksum, attempts, error. It
            runs in the event loop, so it must be quick, and must not raise.
        options: What else is asked for (`ShipOptions`).

    Raises:
        ConfigError: Arguments make no sense.

    Example:
        >>> async with AsyncClient() as client:
        ...     shipper = AsyncShipper(client, "/var/spool/events", "s3://b/xml-events/", after="delete")
        ...     account = await shipper.run()
        ...     print(account.shipped)
    """

    def __init__(
        self,
        client: AsyncClient,
        directory: StrPath,
        to: str,
        *,
        on_result: Callable[[Shipped], None] | None = None,
        **options: Unpack[ShipOptions],
    ) -> None:
        self._session = session_of(client)
        self._order = _order(directory, to, options, self._session.settings)
        self._on_result = on_result or _ignore
        self._stopping: asyncio.Event | None = None

    async def check_access(self) -> None:
        """Find out whether credentials and bucket are right; nothing is written.

        Raises:
            S3AuthError: Credentials are missing, wrong or expired, or the clock is.
            NotFound: There is no such bucket.
            HaulError: The store is not reached.
        """
        async with self._connect() as connection:
            order = self._order
            await check_access(connection, order.bucket, order.rules.keys.prefix, self._session.emit)

    def key_for(self, name: StrPath) -> str:
        """Return the key that a file of this name gets.

        Raises:
            UnsafeName: It is not UTF-8, or too long.
        """
        path = os.path.join(self._order.directory, os.fspath(name))
        now = time.time()
        try:
            modified = os.lstat(path).st_mtime
        except OSError:
            modified = now
        return key_of(os.path.basename(path), self._order.rules.keys, modified=modified, now=now).key

    async def ship(self, path: StrPath, key: str | None = None) -> Shipped:
        """Ship one file of the directory, now, and return what became of it; its own failure is in there.

        Args:
            path: Its name, or its path.
            key: Another key than the one that it would get.

        Raises:
            ConfigError: It does not lie in the directory.
            NotFound: It is not there.
            JobError: Somebody else ships the directory.
            HaulError: What would meet every other file as well.
        """
        order = self._order
        candidate = _candidate(order.directory, os.fspath(path))
        async with order.premises(self._session.settings, self._connect, self._session.emit) as premises:
            shipment = Shipment(premises, order.rules, self._session.emit, self._on_result)
            return await shipment.ship(candidate, key or "")

    async def run(
        self,
        *,
        watch: bool = False,
        rescan: float = RESCAN,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> Account:
        """Ship what is there; with ``watch`` also what comes, until `stop` is called or this is cancelled.

        Args:
            watch: Go on, and wait where the store does not answer or refuses.
            rescan: Seconds between two looks that no file event gave reason for.
            check: Raise TransferError where files failed.
            on_event: Is called with every event (`Warned`, `RequestRetried` …), besides the client's.

        Returns:
            How many were shipped, and how many failed.

        Raises:
            JobError: Somebody else ships the directory.
            TransferError: Some files failed; they are in ``quarantine/``, with the reasons.
            HaulError: Nothing could be shipped (any more); nothing was removed for that.
        """
        order, emit = self._order, both(self._session.emit, on_event)
        self._stopping = stopping = asyncio.Event()
        opened = order.premises(self._session.settings, self._connect, emit, is_patient=watch)
        async with opened as premises:
            shipment = Shipment(premises, order.rules, emit, self._on_result)
            if watch:
                async with watching(order.directory, rescan=rescan, emit=emit) as arrivals:
                    account = await shipment.run(once=False, arrivals=arrivals, stopping=stopping)
            else:
                account = await shipment.run(once=True, stopping=stopping)
        if check and account.failed:
            raise TransferError(
                f"{account.failed} files of {order.directory} failed, {account.shipped} were shipped",
                failed=account.failed,
                hint="those in its quarantine/ have their reasons in reasons.jsonl there",
            )
        return account

    async def stop(self) -> None:
        """Let a run that is going on finish what is under way, and return."""
        if self._stopping is not None:
            self._stopping.set()

    def _connect(self) -> Connection:
        return self._session.separate(self._session.settings)


class Shipper:
    """Ships the files of one directory, for programs without an event loop; see `AsyncShipper`.

    Args:
        client: As in `AsyncShipper`, a `Client` here.
        directory: As in `AsyncShipper`.
        to: As in `AsyncShipper`.
        on_result: As in `AsyncShipper`; it runs in the client's own thread, and must not call the client.
        options: As in `AsyncShipper`.

    Raises:
        ConfigError: Arguments make no sense.

    Example:
        >>> with Client() as client:
        ...     shipper = Shipper(client, "/var/spool/events", "s3://b/xml-events/", after="delete")
        ...     print(shipper.run().shipped)
    """

    def __init__(
        self,
        client: Client,
        directory: StrPath,
        to: str,
        *,
        on_result: Callable[[Shipped], None] | None = None,
        **options: Unpack[ShipOptions],
    ) -> None:
        driven, self._portal = inside(client)
        self._shipper = AsyncShipper(driven, directory, to, on_result=on_result, **options)

    def check_access(self) -> None:
        """Find out whether credentials and bucket are right; as `AsyncShipper.check_access`."""
        return self._portal.call(self._shipper.check_access)

    def key_for(self, name: StrPath) -> str:
        """Return the key that a file of this name gets; as `AsyncShipper.key_for`."""
        return self._shipper.key_for(name)

    def ship(self, path: StrPath, key: str | None = None) -> Shipped:
        """Ship one file, now; as `AsyncShipper.ship`."""
        return self._portal.call(self._shipper.ship, path, key)

    def run(
        self,
        *,
        watch: bool = False,
        rescan: float = RESCAN,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> Account:
        """Ship what is there, or also what comes; as `AsyncShipper.run`."""
        return self._portal.call(
            self._shipper.run, watch=watch, rescan=rescan, check=check, on_event=on_event
        )

    def stop(self) -> None:
        """Let a run of another thread finish what is under way; as `AsyncShipper.stop`."""
        return self._portal.call(self._shipper.stop)


def _ignore(result: Shipped) -> None:
    del result


def _order(directory: StrPath, to: str, options: ShipOptions, settings: Settings) -> Order:
    unknown = options.keys() - ShipOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"a shipper has no option {min(unknown)!r}")
    url = s3_url(to)
    properties: Any = {name: value for name, value in options.items() if name in Properties.__annotations__}
    rules = Rules(
        keys_for(
            folder_of(url.key),
            date_folders=options.get("date_folders", False),
            date_from=options.get("date_from", "mtime"),
            template=options.get("key_template", ""),
        ),
        filter_of(options.get("include", ()), options.get("exclude", ())),
        options.get("settle", 5.0),
        options.get("after", "keep"),
        options.get("tries", 5),
        options.get("retry_base_delay", 1.0),
        settings.concurrency,
    )
    return Order(
        os.path.abspath(directory),
        url.bucket,
        rules,
        put_options(properties),
        options.get("source", SOURCE),
        options.get("on_conflict", "fail"),
        os.path.abspath(options["move_to"]) if "move_to" in options else "",
    )


def _candidate(directory: str, path: str) -> Candidate:
    """Return the file that is meant."""
    folder, name = os.path.split(os.path.join(directory, path))
    if os.path.abspath(folder) != directory:
        raise ConfigError(f"{path} does not lie in {directory}", hint="name a file of the spool directory")
    try:
        status = os.lstat(os.path.join(directory, name))
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}", store="local", operation="ship", key=path) from None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path} is no regular file", hint="links and directories are not shipped")
    return Candidate(0.0, status.st_mtime_ns, name, status.st_ino, status.st_size, status.st_ctime_ns)
