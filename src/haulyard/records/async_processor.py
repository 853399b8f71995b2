"""`AsyncProcessor`: records to an API, or to an async function, for programs with an event loop."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import orjson

from haulyard._version import __version__
from haulyard.client.arguments import patterns_of
from haulyard.client.session import both, session_of
from haulyard.config.ends import ends_of, with_ends
from haulyard.errors import ConfigError, NotFound, TransferError
from haulyard.records import letters, parts, processing
from haulyard.records.health import STREAK
from haulyard.records.ledger import Ledger
from haulyard.records.outbox import Place
from haulyard.records.pacer import Limit
from haulyard.records.parts import Source
from haulyard.records.preview import Preview, preview
from haulyard.records.processing import RunOptions, Surroundings
from haulyard.records.run import Manner
from haulyard.records.secrets import check_address, parse_header
from haulyard.records.specification import Specification
from haulyard.records.status import RecordsStatus, status_of
from haulyard.stores.local import LocalStore
from haulyard.transfer.selection import select, select_manifest
from haulyard.url import LocalPath, S3Url, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from haulyard.client.arguments import Patterns, StrPath
    from haulyard.client.async_client import AsyncClient
    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.records.shaping import Transform
    from haulyard.stores.assemble import Connection

#: What takes the place of an API: an async function of a record, or of a list of them.
Function = Callable[[Any], "Awaitable[Any]"]


class ProcessorOptions(TypedDict, total=False):
    """What a job is to do, by the names of the flags of `haul process`.

    ``name`` is the job's; by default one that follows from all the rest. ``new`` starts over: a job of that
    name that has sent something is kept as ``NAME-1``. Jobs are kept in ``directory``, by default the setting
    ``job_dir``.

    ``manifest`` is a list of keys, a CSV of S3 Batch Operations or an S3 Inventory, instead of a listing;
    ``recursive`` takes what is below a prefix that does not end in a slash; ``include`` and ``exclude`` are
    patterns of relative keys.

    ``format`` and ``compression`` are found out where they are not given. ``delimiter``, ``quote`` (``""``
    for none) and ``escape`` are single characters of CSV, ``columns`` the names of its fields where there is
    no header, or those that are wanted of Parquet. ``types="infer"`` makes numbers, booleans and null of CSV
    values.

    ``fields`` are names to send, in their order, ``renames`` new names by old ones. ``transform`` is a
    function or ``module:function``: a record in; a record, a list of them, or None out. ``sample`` is the
    fraction of the records that is sent.

    Values of ``headers`` may hold ``${VARIABLE}``, which is filled in from the environment when a call is
    made, so that no secret is kept. ``template`` is a text with ``{{field}}`` and ``{{*}}``, instead of
    ``body``. ``records_per_call`` go into one call, as an array. ``success`` is a JMESPath expression that is
    true of the answer to a record that was taken. Answers are kept in ``save_responses``,
    ``s3://bucket/prefix/`` or a directory. ``batch_size`` records (1000) are read and queued at a time.
    """

    name: str
    new: bool
    directory: StrPath
    manifest: StrPath
    recursive: bool
    include: Patterns
    exclude: Patterns
    format: Literal["", "csv", "tsv", "jsonl", "json", "parquet"]
    compression: Literal["", "gzip", "zstd", "bz2", "none"]
    encoding: str
    delimiter: str
    quote: str
    escape: str
    columns: Sequence[str]
    types: Literal["strings", "infer"]
    fields: Sequence[str]
    renames: Mapping[str, str]
    transform: str | Transform
    sample: float
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    headers: Mapping[str, str]
    body: Literal["json", "array", "form"]
    template: str
    records_per_call: int
    success: str
    save_responses: StrPath
    responses_format: Literal["jsonl", "parquet"]
    batch_size: int


class AsyncProcessor:
    """One job that sends the records of objects to an HTTP API, each accounted for.

    The same arguments mean the same job: `run` again goes on behind the last record that was answered. It
    takes the job's lock, and can be called again after it was cancelled or its program killed.

    Args:
        client: Whose settings and keys are used. The job opens connections of its own.
        source: ``s3://bucket/key``, a prefix that ends in a slash, a wildcard, or a local path.
        to: The API's URL, in which ``${VARIABLE}`` is filled in from the environment; or an async function
            that takes its place. It is called with a record (with a list where a call carries several), and
            what it returns is the answer. `haulyard.RecordError` refuses the record for good, any other
            exception is tried again.
        options: What else is asked for (`ProcessorOptions`).

    Raises:
        ConfigError: Arguments make no sense.
        JobError: There is another job of that name.

    Example:
        >>> async with AsyncClient() as client:
        ...     job = AsyncProcessor(client, "s3://b/in.csv", "https://api.example.com/people")
        ...     status = await job.run(limits=[(5000, 1.0)])
        ...     print(status.account.delivered)
    """

    def __init__(
        self,
        client: AsyncClient,
        source: StrPath,
        to: str | Function,
        **options: Unpack[ProcessorOptions],
    ) -> None:
        self._session = session_of(client)
        self._function = None if isinstance(to, str) else to
        transform = options.get("transform", "")
        self._transform = None if isinstance(transform, str) else transform
        if isinstance(to, str):
            check_address(to)
        specification = _specification(source, to, options, self._session.settings)
        where = os.fspath(options.get("directory", "")) or self._session.settings.job_dir
        name, new = options.get("name", ""), options.get("new", False)
        self._folder = processing.create(where, specification, name, new=new).folder
        self._specification = Specification.from_json(self._folder.specification)

    @property
    def name(self) -> str:
        """What the job is called; `haul status` and the others take it."""
        return self._folder.name

    @property
    def path(self) -> str:
        """The directory of the job."""
        return self._folder.path

    async def run(
        self,
        *,
        limits: Sequence[tuple[int, float]] = ((5000, 1.0),),
        max_in_flight: int = 0,
        limit: int = 0,
        timeout: float = 30.0,  # noqa: ASYNC109 -- of each call
        attempts: int = 10,
        patience: float = 60.0,
        stop_after: int = STREAK,
        dead_letters_to: StrPath = "",
        check: bool = True,
        on_event: Emit | None = None,
    ) -> RecordsStatus:
        """Send what is left to be sent.

        Args:
            limits: Calls and seconds: never more calls in any sliding period of so many seconds, retries
                included; all of them hold. Empty for no limit.
            max_in_flight: Calls in flight at most; 0 leaves it to the latency.
            limit: Records of this run at most; 0 for all.
            timeout: Seconds of one call.
            attempts: Of one call, in all; being throttled is none.
            patience: Seconds for which an API is waited for that fails altogether.
            stop_after: Answers without a success after which everything is taken to fail; 0 for never.
            dead_letters_to: ``s3://bucket/key`` or a path that dead letters are written to as well.
            check: Raise TransferError where records failed.
            on_event: Is called with every event, `haulyard.RecordsEnded` and `RecordFailed` among them.

        Returns:
            How the job stands.

        Raises:
            ApiDenied: The API refuses the caller; nothing is lost.
            ApiUnavailable: It is not reached, or fails for all records at once; nothing is lost.
            JobError: A source object was replaced, somebody works on the job, or it is damaged.
            TransferError: Some records failed; they are the dead letters.
        """
        options = RunOptions(
            tuple(Limit(calls, seconds) for calls, seconds in limits),
            max_in_flight,
            timeout=timeout,
            manner=Manner(attempts=attempts, patience=patience, streak=stop_after),
            limit=limit,
        )
        return await self._process(options, on_event, dead_letters_to, check=check)

    async def retry_failed(
        self,
        *,
        limits: Sequence[tuple[int, float]] = ((5000, 1.0),),
        max_in_flight: int = 0,
        timeout: float = 30.0,  # noqa: ASYNC109 -- likewise
        check: bool = True,
        on_event: Emit | None = None,
    ) -> RecordsStatus:
        """Send the dead letters again, but for those that could not be read; arguments as of `run`."""
        options = RunOptions(
            tuple(Limit(calls, seconds) for calls, seconds in limits),
            max_in_flight,
            timeout=timeout,
            retry_failed=True,
        )
        return await self._process(options, on_event, "", check=check)

    async def preview(self, *, limit: int = 0) -> Preview:
        """Return what would be sent: everything is read and shaped, nothing is sent."""
        specification = self._specification
        encode, _ = parts.encoder_of(specification)
        async with self._surroundings(None, "") as around:
            return await preview(
                parts.objects_of(specification, around.source),
                parts.reader(specification, around.source.store, RunOptions().chunk_size, emit=around.emit),
                parts.shaper_of(specification, self._transform),
                encode,
                specification.records_per_call,
                f"{specification.method} {specification.to}",
                limit=limit,
            )

    async def status(self) -> RecordsStatus:
        """Return how the job stands; it may be running in another process."""
        return await asyncio.to_thread(status_of, self._folder)

    async def dead_letters(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the records that were not delivered, each with its address, reason, answer and attempts."""
        if not Ledger.exists(self._folder):
            return
        with Ledger.open(self._folder, read_only=True) as ledger:
            for line in letters.lines(ledger, unresolved_only=True):
                yield orjson.loads(line)

    async def _process(
        self, options: RunOptions, on_event: Emit | None, dead_letters_to: StrPath, *, check: bool
    ) -> RecordsStatus:
        async with self._surroundings(on_event, dead_letters_to) as around:
            await processing.process(self._folder, around, options)
        status = await self.status()
        failed = status.letters + status.unread
        if check and failed:
            raise TransferError(
                f"{failed} records or objects of job {self.name} failed, "
                f"{status.account.delivered} records were delivered",
                failed=failed,
                hint="dead_letters tells why; retry_failed sends them again",
            )
        return status

    @asynccontextmanager
    async def _surroundings(
        self, on_event: Emit | None, dead_letters_to: StrPath
    ) -> AsyncIterator[Surroundings]:
        session, specification = self._session, self._specification
        settings = with_ends(session.settings, specification.ends)
        async with session.separate(settings) as connection:
            around = Surroundings(
                _source(specification, connection),
                settings,
                settings.environment,
                both(session.emit, on_event),
                self._function,
                self._transform,
            )
            if specification.save_responses:
                around = replace(around, answers=_prefix(specification.save_responses, connection))
            if dead_letters_to:
                around = replace(around, letters=_object(dead_letters_to, connection))
            yield around


def _specification(
    source: StrPath, to: str | Function, options: ProcessorOptions, settings: Settings
) -> Specification:
    given: dict[str, Any] = {
        name: value for name, value in options.items() if name in Specification.__dataclass_fields__
    }
    for name in ("columns", "fields"):
        given[name] = tuple(given.get(name, ()))
    patterns = patterns_of(options.get("include", ()), options.get("exclude", ()))
    headers = options.get("headers", {})
    return Specification(
        **{
            **given,
            "source": _absolute(source),
            "to": to if isinstance(to, str) else f"function {getattr(to, '__qualname__', 'unnamed')}",
            "manifest": _absolute(options.get("manifest", "")),
            "filters": tuple((each.include, each.text) for each in patterns),
            "grid": parts.grid_for(options.get("batch_size", 1000)),
            "renames": dict(options.get("renames", {})),
            "transform": _named(options.get("transform", "")),
            "headers": tuple(parse_header(f"{name}: {value}") for name, value in headers.items()),
            "body": "template" if options.get("template") else options.get("body", "json"),
            "save_responses": _absolute(options.get("save_responses", "")),
            "ends": ends_of(settings),
            "created": time.time(),
            "release": __version__,
            "uid": secrets.token_hex(6),
        }
    )


def _named(transform: str | Transform) -> str:
    return transform if isinstance(transform, str) else getattr(transform, "__qualname__", "unnamed")


def _source(specification: Specification, connection: Connection) -> Source:
    end = parse(specification.source)
    if isinstance(end, S3Url):
        store = connection.bucket(end.bucket)
        if specification.manifest:
            selection = select_manifest(end.key)
        else:
            selection = select(end.key, recursive=specification.recursive, raw=specification.raw)
        return Source(store, selection, end.version_id, connection.bucket)
    path = specification.source
    if os.path.isdir(path):
        return Source(LocalStore(path), select_manifest("") if specification.manifest else select(""))
    if not os.path.isfile(path):
        raise NotFound(f"{path}: no such file or directory", store="local", operation="read", key=path)
    directory, name = os.path.split(path)
    return Source(LocalStore(directory), select(name, raw=True))


def _prefix(where: str, connection: Connection) -> Place:
    end = parse(where)
    if isinstance(end, S3Url):
        key = end.key if not end.key or end.key.endswith("/") else f"{end.key}/"
        return Place(connection.bucket(end.bucket), key)
    return Place(LocalStore(where), "")


def _object(where: StrPath, connection: Connection) -> Place:
    text = os.fspath(where)
    end = parse(text)
    if isinstance(end, S3Url):
        if not end.key or end.key.endswith("/"):
            raise ConfigError(f"{text} names no object", hint="write s3://bucket/dead-letters.jsonl")
        return Place(connection.bucket(end.bucket), end.key)
    directory, name = os.path.split(os.path.abspath(text))
    return Place(LocalStore(directory), name)


def _absolute(end: StrPath) -> str:
    """Return a URL as it is, a path as it is understood from any directory."""
    text = os.fspath(end)
    if not text or not isinstance(parse(text), LocalPath):
        return text
    return os.path.abspath(text) + ("/" if text.endswith("/") and text != "/" else "")
