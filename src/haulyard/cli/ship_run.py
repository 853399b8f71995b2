"""Runs `haul ship`: where its settings come from, what it tells to whom, and how it ends."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from haulyard.cli import exits
from haulyard.cli.formats import human_size
from haulyard.config import SHIPPING, ShipSettings
from haulyard.errors import ConfigError
from haulyard.journal.reporting.wording import things
from haulyard.observe.lines import describe_error, error_fields, escape
from haulyard.spool.arrivals import watching
from haulyard.spool.batch_files import Listed, Place
from haulyard.spool.batches import Batches
from haulyard.spool.health import HealthServer, Vitals, parse_address
from haulyard.spool.premises import FOLDER
from haulyard.spool.sd_notify import Notifier
from haulyard.spool.shipment import Rules, Shipment
from haulyard.spool.shipping import SOURCE, Order, folder_of, host_name, keys_for
from haulyard.spool.webhook import SECRET, Webhook
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from haulyard.cli.context import Context
    from haulyard.cli.ship_options import Options
    from haulyard.spool.account import Account, Shipped
    from haulyard.spool.carrying import OnConflict
    from haulyard.spool.keys import DateFrom
    from haulyard.spool.letting_go import After
    from haulyard.spool.premises import Premises
    from haulyard.spool.settling import Note
    from haulyard.stores.assemble import Connection

#: Seconds that files under way, and then lists of batches, get when it is stopped.
_GRACE = 30.0
_FAREWELL = 5.0
#: Seconds between two lines that systemd shows.
_STATUS = 5.0


async def ship(options: Options, context: Context) -> int:
    """Ship what is there, or also what comes."""
    order = _order(options, context)

    def connect() -> Connection:
        # Read anew each time: keys in .env may have been replaced.
        from haulyard.stores.assemble import Connection

        return Connection(context.resolve({}), context.emit, observed=context.subscribers.wants_requests)

    opened = order.premises(context.settings, connect, context.emit, is_patient=options.watch)
    # Told from the first moment: a store that is down at the start may stay down for hours.
    health = _Health(opened, order)
    async with AsyncExitStack() as stack:
        if options.health:
            host, port = parse_address(options.health)
            server = await stack.enter_async_context(HealthServer(health.vitals, host=host, port=port))
            context.output.note("http://{}:{}/metrics".format(*server.address))
        premises = await stack.enter_async_context(opened)
        batches = await _batches(options, order, premises, context, stack)
        note = None if batches is None else _note(batches)

        def tell(result: Shipped) -> None:
            context.output.result(Result(result))

        shipment = Shipment(premises, order.rules, context.emit, tell, note)
        health.shipment, health.batches = shipment, batches
        account = await _run(shipment, options, order, context)
        if batches is not None and (left := await batches.finish(_FAREWELL)):
            context.output.note(f"{left} lists of batches are left for the next run")
    context.output.result(Summary(account))
    if account.interrupted:
        return exits.INTERRUPTED
    return exits.FAILED if account.failed else exits.OK


@dataclass(slots=True)
class _Health:
    """How it stands, before there is a shipment and after."""

    premises: Premises
    order: Order
    shipment: Shipment | None = None
    batches: Batches | None = None

    def vitals(self) -> Vitals:
        if self.shipment is None:
            return self._waiting()
        now = self.shipment.vitals()
        now.outbox = self.batches.waiting if self.batches else 0
        return now

    def _waiting(self) -> Vitals:
        sight = self.premises.backlog(self.order.rules.wanted)
        age = max(0.0, time.time() - sight.oldest) if sight.files else 0.0
        return Vitals(files=sight.files, bytes=sight.bytes, oldest_age=age, trouble=self.premises.trouble)


async def _run(shipment: Shipment, options: Options, order: Order, context: Context) -> Account:
    stopping = asyncio.Event()

    async def heed() -> None:
        await context.stop.wait()
        notifier.stopping()
        stopping.set()

    notifier = Notifier.from_environ(context.settings.environment, pid=os.getpid())
    context.stop.grace = _GRACE
    tasks = [asyncio.create_task(heed())]
    try:
        with context.stop.attended():
            if not options.watch:
                return await shipment.run(once=True, stopping=stopping)
            notifier.ready()
            tasks += [
                asyncio.create_task(notifier.keep_alive()),
                asyncio.create_task(_keep_telling(notifier, shipment)),
            ]
            async with watching(order.directory, rescan=options.rescan, emit=context.emit) as arrivals:
                account = await shipment.run(once=False, arrivals=arrivals, stopping=stopping)
            # Being stopped is how watching ends.
            account.interrupted = False
            return account
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_telling(notifier: Notifier, shipment: Shipment) -> None:
    while True:
        now = shipment.vitals()
        text = f"{now.shipped} shipped, {now.failed} failed, {now.files} wait"
        notifier.status(f"{text}: {now.trouble}" if now.trouble else text)
        await asyncio.sleep(_STATUS)


def _order(options: Options, context: Context) -> Order:
    given, _ = context.resolve_owned(SHIPPING, options.settings)
    own = ShipSettings(**given)
    directory = options.directory or own.spool_dir
    if not directory:
        raise ConfigError("there is no directory to ship", hint="write haul ship DIR, or set HAUL_SPOOL_DIR")
    bucket, prefix = _destination(options, own)
    keys = keys_for(
        prefix,
        date_folders=own.use_date_folders,
        date_from=cast("DateFrom", options.date_from),
        template=options.key_template,
    )
    rules = Rules(
        keys,
        options.filters,
        options.settle,
        cast("After", options.after),
        own.retries,
        own.retry_base_delay,
        context.settings.concurrency,
    )
    return Order(
        os.path.abspath(directory),
        bucket,
        rules,
        options.put,
        options.source or SOURCE,
        cast("OnConflict", options.on_conflict),
        options.move_to,
    )


def _destination(options: Options, own: ShipSettings) -> tuple[str, str]:
    if not options.to:
        if not own.bucket_name:
            raise ConfigError(
                "BUCKET_NAME is not set",
                hint="write --to s3://bucket/prefix/, or set it in the environment or in .env",
            )
        return own.bucket_name, folder_of(own.prefix)
    url = parse(options.to)
    if not isinstance(url, S3Url) or url.version_id:
        raise ConfigError(f"--to {options.to} is no place in S3", hint="write --to s3://bucket/prefix/")
    return url.bucket, folder_of(url.key)


async def _batches(
    options: Options, order: Order, premises: Premises, context: Context, stack: AsyncExitStack
) -> Batches | None:
    """Return what lists the files that came together, at work until the stack unwinds; None for nothing."""
    if not (options.batch_manifest or options.notify):
        return None
    webhook = None
    if options.notify:
        settings = context.settings
        webhook = Webhook(
            options.notify,
            settings.environment.get(SECRET, ""),
            ca_bundle=settings.ca_bundle,
            verify=settings.verify_ssl,
        )
        stack.push_async_callback(webhook.close)
    batches = Batches(
        os.path.join(order.directory, FOLDER),
        Place(order.bucket, order.rules.keys.prefix, order.source, host_name()),
        put=premises.put_new if options.batch_manifest else None,
        webhook=webhook,
        every=options.batch_every,
        emit=context.emit,
    )
    await stack.enter_async_context(_working(batches))
    return batches


@asynccontextmanager
async def _working(batches: Batches) -> AsyncIterator[None]:
    task = asyncio.create_task(batches.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _note(batches: Batches) -> Note:
    async def note(results: Sequence[Shipped]) -> None:
        now = time.time()
        await batches.note(*(Listed(one.key, one.bytes, one.checksum, one.etag, now) for one in results))

    return note


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one file, as a line."""

    kind: ClassVar[str] = "shipped"

    of: Shipped

    def text(self) -> str:
        """Return it for people."""
        one = self.of
        if one.error is not None:
            where = " (it is in quarantine/)" if one.action == "quarantine" else ""
            return f"failed: {escape(one.path)}: {escape(describe_error(one.error))}{where}"
        again = " (the same content was there)" if one.action == "recognise" else ""
        return f"shipped: {escape(one.path)} to {escape(one.url)}{again}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        one = self.of
        found = one._asdict() | {"seconds": round(one.seconds, 4)}
        found["error"] = error_fields(one.error) if one.error is not None else None
        return found


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to."""

    kind: ClassVar[str] = "summary"

    account: Account

    def text(self) -> str:
        """Return it for people."""
        account = self.account
        parts = [f"{things(account.shipped, 'file')} shipped ({human_size(account.bytes)})"]
        if account.recognised:
            parts.append(f"{account.recognised:,} there already")
        if account.before:
            parts.append(f"{account.before:,} shipped before and kept")
        if account.failed:
            parts.append(f"{account.failed:,} failed ({account.quarantined:,} in quarantine/)")
        if account.unfinished:
            parts.append(f"{account.unfinished:,} not finished yet")
        return ", ".join(parts)

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return asdict(self.account)
