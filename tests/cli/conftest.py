"""A command line in a box: its own environment and streams, and stores in memory."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
import uvloop

from haulyard.cli import commands
from haulyard.cli.dispatch import Process, dispatch
from haulyard.errors import S3NotFound
from haulyard.models import PutOptions
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from haulyard.cli.context import Context
    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.stores.assemble import Connection
    from haulyard.url import S3Url

T = TypeVar("T")


@dataclass
class FakeConnection:
    """What commands ask of a Connection, over stores in memory."""

    stores: dict[str, MemoryStore]
    settings: Settings
    emit: Emit
    client: Any = None
    closed: int = 0

    def bucket(self, name: str) -> MemoryStore:
        if name not in self.stores:
            raise S3NotFound(
                f"the bucket {name} does not exist", bucket=name, code="NoSuchBucket", status=404
            )
        return self.stores[name]

    def begin_in(self, url: S3Url) -> None:
        """A store in memory is in no region."""

    async def proved(self, name: str, *, below: str = "", may_write: bool = True) -> MemoryStore:
        return self.bucket(name)

    async def check_access(self, name: str, *, below: str = "", read_only: bool = False) -> list[Any]:
        return []

    async def close(self) -> None:
        self.closed += 1


@dataclass
class Result:
    """How a command line ended."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Box:
    """Runs command lines."""

    cwd: Path
    environ: dict[str, str]
    stores: dict[str, MemoryStore] = field(default_factory=dict)
    connections: list[FakeConnection] = field(default_factory=list)
    client: Any = None
    rates: list[float] = field(default_factory=list)
    """The ceiling of each connection, in requests a second."""
    real: bool = False
    """Whether commands get real connections instead of stores in memory."""

    def bucket(
        self, objects: Mapping[str, bytes], name: str = "b", *, versioned: bool = False
    ) -> MemoryStore:
        store = self.stores[name] = MemoryStore(name, versioned=versioned)
        for key, content in objects.items():
            self.put(store, key, content)
        return store

    def put(self, store: MemoryStore, key: str, content: bytes, options: PutOptions | None = None) -> None:
        self.await_(store.put(key, content, options or PutOptions()))

    def contents(self, store: MemoryStore) -> dict[str, bytes]:
        """Return what is in a store, by its keys."""

        async def read() -> dict[str, bytes]:
            found = {}
            async for page in store.list():
                for info in page.objects:
                    async with await store.get(info.key) as reader:
                        found[info.key] = await reader.read()
            return found

        return self.await_(read())

    def await_(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(coroutine)

    def __call__(self, *words: str) -> Result:
        out, err = io.BytesIO(), io.BytesIO()
        process = Process(self.environ, str(self.cwd), out, err, None if self.real else self._connect)
        code = dispatch(words, process)
        return Result(code, out.getvalue(), err.getvalue().decode())

    def _connect(self, settings: Settings, emit: Emit, *, rate: float = 0.0) -> Connection:
        self.rates.append(rate)
        connection = FakeConnection(self.stores, settings, emit, self.client)
        self.connections.append(connection)
        return cast("Connection", connection)


@pytest.fixture
def haul(tmp_path: Path) -> Box:
    """A command line whose buckets are in memory."""
    nowhere = str(tmp_path / "nowhere")
    environ = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}
    return Box(tmp_path, environ)


class Probe:
    """A command that does what a test says."""

    EXAMPLES = ("haul probe", "haul probe again")

    def __init__(self) -> None:
        self.seen: Any = None
        self.does: Any = lambda _: 0

    def configure(self, parser: Any) -> None:
        from haulyard.cli import flags

        parser.add_argument("words", nargs="*")
        parser.add_argument("-q", "--quick", action="store_true")
        flags.add(parser, flags.FILTERS, flags.CONNECTION, flags.OUTPUT)

    def read(self, arguments: Any) -> Any:
        return arguments

    def run(self, options: Any, context: Context) -> Any:
        self.seen = options
        return self.does(context)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    found = Probe()
    monkeypatch.setattr(commands, "load", lambda _: found)
    return found
