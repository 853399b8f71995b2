"""Whole jobs over stores in memory: planned, applied and undone as the command does, then looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from haulyard.jobs import conduct
from haulyard.jobs.applying.options import ApplyOptions
from haulyard.jobs.model import Operation, Verb
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard
from haulyard.models import PutOptions
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.events import TransferDone
    from haulyard.jobs.applying.options import Tally
    from haulyard.stores.assemble import Connection
    from haulyard.stores.base import Capabilities, Store

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


class Thing(NamedTuple):
    """What can be seen of an object, but its time."""

    data: bytes
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    content_type: str
    storage_class: str


class Clock:
    """Long ago until `now` is called, no time twice."""

    def __init__(self) -> None:
        self._last = LONG_AGO
        self._is_now = False

    def __call__(self) -> datetime:
        """Return the time."""
        self._last += timedelta(seconds=1)
        if self._is_now:
            self._last = max(self._last, datetime.now(UTC))
        return self._last

    def now(self) -> None:
        """Go on with the time of this machine."""
        self._is_now = True


def store_of(
    objects: Mapping[str, bytes | Thing],
    bucket: str = "b",
    *,
    kind: type[MemoryStore] = MemoryStore,
    **how: Any,
) -> MemoryStore:
    """Return a store with objects that are older than every job; metadata, tags and type differ for each."""
    clock = Clock()
    store = kind(bucket, clock=clock, **how)
    store.name = f"s3://{bucket}"
    for number, (key, given) in enumerate(objects.items()):
        put_now(store, key, given if isinstance(given, Thing) else thing(given, number))
    clock.now()
    return store


def thing(data: bytes, number: int = 0) -> Thing:
    """Return an object with content and some properties of its own."""
    return Thing(data, {"n": str(number)}, {"t": str(number)}, f"text/x-{number}", "STANDARD")


def put_now(store: MemoryStore, key: str, given: bytes | Thing) -> str:
    """Write an object without the store's own methods, and return its ETag."""
    given = given if isinstance(given, Thing) else Thing(given, {}, {}, "", "STANDARD")
    options = PutOptions(
        content_type=given.content_type,
        metadata=given.metadata,
        tags=given.tags,
        storage_class=given.storage_class,
    )
    return store._add(key, given.data, None, options).etag


def things(store: MemoryStore, prefix: str = "") -> dict[str, Thing]:
    """Return the objects that are there."""
    found = {}
    for info in store._versions.objects(prefix, ""):
        version = store._versions.current(info.key)
        assert version is not None
        head = version.head
        found[info.key] = Thing(
            version.data, dict(head.metadata), dict(version.tags), head.content_type, head.storage_class
        )
    return found


def contents(store: MemoryStore, prefix: str = "") -> dict[str, bytes]:
    """Return the contents that are there."""
    return {key: each.data for key, each in things(store, prefix).items()}


def able(store: MemoryStore, **capabilities: Any) -> MemoryStore:
    """Change what a store says it can do."""
    store.capabilities = replace(store.capabilities, **capabilities)
    return store


@dataclass
class Lab:
    """A job over stores in memory, which are its buckets by name."""

    directory: str
    stores: Mapping[str, MemoryStore]
    told: list[TransferDone] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    stopped: Callable[[], bool] = lambda: False
    denied: set[str] = field(default_factory=set)

    async def planned(
        self, verb: Verb, source: str, destination: str = "", rules: str = "", **given: Any
    ) -> JobFolder:
        """Plan a job."""
        specification = Specification(verb, source, destination, rules, **given)
        folder = JobFolder.create(self.directory, "job", specification.to_json())
        summary = await conduct.plan(folder, self.around())
        assert summary.finished
        return folder

    @property
    def _transfer(self) -> TransferOptions:
        return TransferOptions(state_dir=f"{self.directory}/state")

    @property
    def folder(self) -> JobFolder:
        """The job's folder."""
        return JobFolder.open(self.directory, "job")

    async def apply(self, on_conflict: str = "", **given: Any) -> Tally:
        """Apply the job, or what is left of it."""
        options = ApplyOptions(on_conflict, concurrency=2, transfer=self._transfer, **given)
        return await conduct.apply(self.folder, options, self.around())

    async def undo(self, **given: Any) -> Tally:
        """Undo the job, or what is left to undo."""
        options = ApplyOptions(concurrency=2, transfer=self._transfer, **given)
        return await conduct.undo(self.folder, options, self.around())

    def around(self) -> conduct.Surroundings:
        """Return the surroundings of a run."""
        connection = cast("Connection", _Connection(self.stores, self.denied))
        return conduct.Surroundings(
            connection, connection, self.events.append, self.told.append, self.stopped
        )

    def entries(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return key, phase and details of what the journal has, in order; the runs' own are left out."""
        found = []
        for path in self.folder.shard_paths():
            with Shard.open(path, owner="", read_only=True) as shard:
                for entry in shard.entries():
                    if entry.item:
                        operation = Operation(*shard.row(entry.item))
                        key = operation.key or operation.destination
                        found.append((key, entry.phase, dict(entry.details)))
        return found

    def phases(self) -> dict[str, str]:
        """Return the last phase of each key."""
        return {key: phase for key, phase, _ in self.entries()}

    def details(self, key: str) -> dict[str, Any]:
        """Return all that the journal says of a key, later entries above earlier ones."""
        return {name: value for k, _, entry in self.entries() if k == key for name, value in entry.items()}

    def errors(self) -> dict[str, str]:
        """Return what failed, by key, with the class of the error."""
        failed: dict[str, str] = {}
        for key, phase, details in self.entries():
            failed.pop(key, None)
            if phase == "failed":
                failed[key] = details["error"]
        return failed

    def count(self) -> Counter[str]:
        """Return how many keys have which phase."""
        return Counter(self.phases().values())


class _Connection:
    """What jobs need of a connection."""

    def __init__(self, stores: Mapping[str, MemoryStore], denied: set[str]) -> None:
        self._stores = stores
        self._denied = denied
        self.settings = SimpleNamespace(concurrency=2, bwlimit=0)

    async def proved(self, bucket: str, *, below: str = "", may_write: bool = True) -> Store:
        """Return a store."""
        assert below.endswith("/") or not below
        assert may_write in {True, False}
        return self._stores[bucket]

    def bucket(self, name: str) -> Store:
        """Return a store."""
        return self._stores[name]

    async def check_access(self, bucket: str, *, below: str = "") -> list[Any]:
        """Say what is denied."""
        assert bucket in self._stores
        assert below is not None
        return [
            SimpleNamespace(operation=each, outcome="denied", action=f"s3:{each}") for each in self._denied
        ]


def capabilities(**given: Any) -> Capabilities:
    """Return those of a store in memory, changed."""
    return replace(MemoryStore().capabilities, **given)
