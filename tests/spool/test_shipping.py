"""Files of a directory in a store: each is there with the right bytes before it is let go of."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from haulyard import AsyncClient, Client, TransferError
from haulyard.config import Settings
from haulyard.errors import (
    ConfigError,
    HaulError,
    JobError,
    NotFound,
    S3CredentialsError,
    S3NetworkError,
    S3PermissionError,
    S3ServerError,
    SpoolError,
)
from haulyard.events import Warned
from haulyard.models import PutOptions
from haulyard.spool.keys import BY_DATE, KeyRules
from haulyard.spool.shipment import Rules, Shipment
from haulyard.spool.shipping import AsyncShipper, Order, Shipper, folder_of
from haulyard.stores.memory import MemoryStore
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from haulyard.models import ObjectHead, PutResult
    from haulyard.models.body import Body
    from haulyard.spool.account import Account, Shipped
    from haulyard.stores.assemble import Connection

pytestmark = pytest.mark.anyio
MIB = 1024**2


class Store(MemoryStore):
    """One that fails as told: the errors of each key, in their order."""

    def __init__(self) -> None:
        super().__init__("b", min_part_size=1)
        self.failing: dict[str, list[HaulError]] = {}
        self.writes: Counter[str] = Counter()
        self.on_write: Callable[[str], None] = lambda key: None

    async def put(self, key: str, body: Body, options: PutOptions = PutOptions()) -> PutResult:  # noqa: B008
        self.writes[key] += 1
        for name in (key, "*"):
            if self.failing.get(name):
                raise self.failing[name].pop(0)
        self.on_write(key)
        result = await super().put(key, body, options)
        await asyncio.sleep(0)
        return result


@dataclass
class Yard:
    """A directory, a store, and what was told."""

    path: Path
    store: Store = field(default_factory=Store)
    results: list[Shipped] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    connected: int = 0
    rules: Rules = field(
        default_factory=lambda: Rules(KeyRules("p/"), settle=0.0, after="delete", base_delay=0.001)
    )
    settings: Settings = field(default_factory=Settings)
    put: PutOptions = field(default_factory=PutOptions)
    on_conflict: Any = "fail"
    move_to: str = ""
    note: Any = None

    def bucket(self, name: str) -> Store:
        return self.store

    async def proved(self, name: str, *, below: str = "", may_write: bool = True) -> Store:
        return self.store

    async def close(self) -> None:
        pass

    def _connect(self) -> Connection:
        self.connected += 1
        return cast("Connection", self)

    async def ship(self, **how: Any) -> Account:
        order = Order(
            str(self.path), "b", self.rules, self.put, on_conflict=self.on_conflict, move_to=self.move_to
        )
        once = how.pop("once", True)
        opened = order.premises(self.settings, self._connect, self.events.append, is_patient=not once)
        async with opened as premises:
            self.shipment = Shipment(premises, self.rules, self.events.append, self.results.append, self.note)
            return await self.shipment.run(once=once, **how)

    def write(self, name: str, content: bytes = b"<e/>") -> Path:
        (self.path / name).write_bytes(content)
        return self.path / name

    def left(self) -> list[str]:
        return sorted(set(os.listdir(self.path)) - {".haul-ship"})

    async def content(self, key: str) -> bytes:
        async with await self.store.get(key) as reader:
            return await reader.read()

    async def head(self, key: str) -> ObjectHead:
        return await self.store.head(key)

    async def keys(self) -> list[str]:
        return [info.key async for page in self.store.list() for info in page.objects]

    def told(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Warned))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    path = tmp_path / "spool"
    path.mkdir()
    return Yard(path)


async def test_a_file_is_shipped_with_its_type_and_metadata_and_deleted(yard: Yard) -> None:
    yard.write("20250729_161500.xml.gz", b"packed")
    yard.rules = replace(yard.rules, keys=KeyRules("p/", BY_DATE))
    yard.put = PutOptions(storage_class="STANDARD_IA", tags={"a": "b"}, metadata={"own": "yes"})
    account = await yard.ship()
    head = await yard.head("p/2025/07/29/20250729_161500.xml.gz")
    sha256 = hashlib.sha256(b"packed").hexdigest()
    assert (account.shipped, account.bytes, account.failed) == (1, 6, 0)
    assert (head.content_type, head.content_encoding) == ("application/xml", "gzip")
    assert head.metadata["sha256"] == sha256
    assert head.metadata["source"] == "xml-stream-aggregator"
    assert head.metadata["own"] == "yes"
    assert {"host", "uploaded_at"} <= head.metadata.keys()
    assert await yard.store.get_tags(head.key) == {"a": "b"}
    assert yard.left() == []
    (result,) = yard.results
    assert (result.key, result.checksum, result.attempts, result.error) == (head.key, sha256, 1, None)


async def test_the_oldest_go_first(yard: Yard) -> None:
    names = [f"20250729_1615{second:02d}.xml" for second in range(20)]
    for name in reversed(names):
        yard.write(name)
    yard.rules = replace(yard.rules, concurrency=1)
    await yard.ship()
    assert [result.key for result in yard.results] == [f"p/{name}" for name in names]


async def test_what_is_kept_is_shipped_once(yard: Yard) -> None:
    yard.write("a.xml")
    yard.rules = replace(yard.rules, after="keep")
    assert (await yard.ship()).shipped == 1
    assert (await yard.ship()).shipped == 0
    assert yard.store.writes["p/a.xml"] == 1
    yard.rules = replace(yard.rules, after="delete")
    account = await yard.ship()
    assert (account.shipped, account.recognised, yard.left()) == (1, 1, [])


async def test_what_was_shipped_elsewhere_is_shipped_here(yard: Yard) -> None:
    yard.write("a.xml")
    here = replace(yard.rules, after="keep")
    for prefix in ("q/", "p/"):
        yard.rules = replace(here, keys=replace(here.keys, prefix=prefix))
        account = await yard.ship()
        assert (account.shipped, account.before) == (1, 0)
        account = await yard.ship()
        assert (account.shipped, account.before) == (0, 1)
    assert yard.store.writes == {"q/a.xml": 1, "p/a.xml": 1}


async def test_a_file_is_moved(yard: Yard, tmp_path: Path) -> None:
    yard.write("a.xml")
    yard.move_to = str(tmp_path / "done")
    yard.rules = replace(yard.rules, after="move")
    await yard.ship()
    assert os.listdir(tmp_path / "done") == ["a.xml"]


async def test_the_same_content_counts_as_shipped_and_is_not_written_again(yard: Yard) -> None:
    yard.write("a.xml", b"same")
    await yard.store.put("p/a.xml", b"same")
    etag = (await yard.head("p/a.xml")).etag
    account = await yard.ship()
    assert (account.recognised, yard.left(), yard.results[0].action) == (1, [], "recognise")
    assert (await yard.head("p/a.xml")).etag == etag


@pytest.mark.parametrize("conditional", [True, None])
async def test_other_content_is_never_overwritten_and_the_file_is_put_aside(
    yard: Yard, conditional: bool | None
) -> None:
    yard.write("a.xml", b"mine")
    await yard.store.put("p/a.xml", b"theirs")
    yard.store.capabilities = replace(yard.store.capabilities, conditional_put=conditional)
    account = await yard.ship()
    assert (account.failed, account.quarantined) == (1, 1)
    assert await yard.content("p/a.xml") == b"theirs"
    assert (yard.path / "quarantine/a.xml").read_bytes() == b"mine"
    reason = json.loads((yard.path / "quarantine/reasons.jsonl").read_text())
    assert (reason["file"], reason["key"], reason["attempts"]) == ("a.xml", "p/a.xml", 1)
    assert "other content" in reason["error"]
    assert yard.results[0].error is not None


async def test_a_suffix_makes_room_for_other_content(yard: Yard) -> None:
    yard.on_conflict = "suffix"
    await yard.store.put("p/a.xml", b"theirs")
    await yard.store.put("p/a-1.xml", b"hers")
    for _ in range(2):
        yard.write("a.xml", b"mine")
        await yard.ship()
    assert await yard.keys() == ["p/a-1.xml", "p/a-2.xml", "p/a.xml"]
    assert [(each.key, each.action) for each in yard.results] == [
        ("p/a-2.xml", "ship"),
        ("p/a-2.xml", "recognise"),
    ]


async def test_a_store_without_checksums_is_read_again(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    head = MemoryStore.head

    async def bare(self: MemoryStore, key: str, *more: Any) -> ObjectHead:
        return (await head(self, key, *more))._replace(checksums=(), etag="opaque")

    monkeypatch.setattr(MemoryStore, "head", bare)
    read: list[str] = []
    get = MemoryStore.get

    async def counted(self: MemoryStore, key: str, options: Any = None) -> Any:
        read.append(key)
        return await get(self, key)

    monkeypatch.setattr(MemoryStore, "get", counted)
    yard.write("a.xml")
    assert (await yard.ship()).shipped == 1
    assert (read, yard.left()) == (["p/a.xml"], [])


async def test_what_the_store_holds_otherwise_than_it_was_sent_is_not_let_go_of(yard: Yard) -> None:
    yard.write("a.xml", b"mine")
    yard.rules = replace(yard.rules, tries=2)
    put = MemoryStore.put

    async def spoil(key: str, body: Any, options: Any) -> PutResult:
        return await put(yard.store, key, b"else")

    yard.store.put = spoil  # type: ignore[method-assign,assignment]
    account = await yard.ship()
    assert (account.shipped, account.quarantined) == (0, 1)
    assert (yard.path / "quarantine/a.xml").read_bytes() == b"mine"


async def test_a_large_file_goes_in_parts_and_leaves_nothing_behind(yard: Yard) -> None:
    yard.settings = replace(yard.settings, part_size=5 * MIB)
    content = os.urandom(11 * MIB)
    yard.write("big.xml", content)
    assert (await yard.ship()).shipped == 1
    assert await yard.content("p/big.xml") == content
    assert "-3" in (await yard.head("p/big.xml")).etag
    assert os.listdir(yard.path / ".haul-ship/uploads") == []
    assert yard.left() == []


async def test_an_upload_that_was_cut_off_continues_as_the_same_object(yard: Yard) -> None:
    yard.settings = replace(yard.settings, part_size=5 * MIB)
    yard.write("big.xml", os.urandom(11 * MIB))
    put_part = MemoryStore.put_part
    sent: list[int] = []

    async def cut_off(key: str, upload_id: str, number: int, *more: Any) -> Any:
        if number == 3 and len(sent) < 4:
            raise S3PermissionError("denied")
        sent.append(number)
        return await put_part(yard.store, key, upload_id, number, *more)

    yard.store.put_part = cut_off  # type: ignore[method-assign,assignment]
    yard.settings = replace(yard.settings, concurrency=1)
    with pytest.raises(S3PermissionError):
        await yard.ship()
    assert yard.left() == ["big.xml"]
    yard.store.put_part = lambda *args: put_part(yard.store, *args)  # type: ignore[method-assign]
    uploads = [upload.upload_id async for upload in yard.store.list_uploads()]
    await yard.ship()
    assert yard.left() == []
    assert [upload async for upload in yard.store.list_uploads()] == []
    assert len(uploads) <= 1


async def test_the_upload_of_a_file_that_is_gone_is_aborted(yard: Yard) -> None:
    yard.settings = replace(yard.settings, part_size=5 * MIB)
    yard.write("big.xml", os.urandom(11 * MIB))

    async def down(*args: Any) -> Any:
        raise S3ServerError("out of order")

    put_part = yard.store.put_part
    yard.store.put_part = down  # type: ignore[method-assign,assignment]
    yard.rules = replace(yard.rules, tries=2)
    with pytest.raises(S3ServerError):
        await yard.ship()
    assert [upload.key async for upload in yard.store.list_uploads()] == ["p/big.xml"]
    yard.store.put_part = put_part  # type: ignore[method-assign]
    (yard.path / "big.xml").unlink()
    await yard.ship()
    assert [upload async for upload in yard.store.list_uploads()] == []
    assert os.listdir(yard.path / ".haul-ship/uploads") == []


async def test_a_file_that_changes_while_it_is_sent_is_not_counted(yard: Yard) -> None:
    path = yard.write("a.xml", b"short")
    yard.store.on_write = lambda key: path.write_bytes(b"longer now")  # type: ignore[assignment]
    account = await yard.ship()
    assert (account.shipped, account.failed, account.unfinished) == (0, 0, 1)
    assert path.read_bytes() == b"longer now"


async def test_a_file_that_somebody_writes_is_left(yard: Yard) -> None:
    path = yard.write("a.xml")
    with path.open("ab"):
        account = await yard.ship()
    assert (account.shipped, account.unfinished, await yard.keys()) == (0, 1, [])


async def test_a_file_that_is_removed_meanwhile_is_nobodys_fault(yard: Yard) -> None:
    for name in ("a.xml", "b.xml"):
        yard.write(name)
    yard.rules = replace(yard.rules, concurrency=1)
    yard.store.on_write = lambda key: (yard.path / "b.xml").unlink(missing_ok=True)
    account = await yard.ship()
    assert (account.shipped, account.failed) == (1, 0)


async def test_a_file_that_fails_for_itself_is_tried_again_and_blocks_no_other(yard: Yard) -> None:
    for name in ("a.xml", "b.xml"):
        yard.write(name)
    yard.store.failing["p/a.xml"] = [NotFound("strange")] * 2
    account = await yard.ship()
    assert (account.shipped, account.failed) == (2, 0)
    assert {result.key: result.attempts for result in yard.results} == {"p/a.xml": 3, "p/b.xml": 1}
    assert "try 2 of 5 failed" in yard.told()


async def test_after_so_many_tries_a_file_is_put_aside_also_over_several_runs(yard: Yard) -> None:
    yard.write("a.xml")
    yard.rules = replace(yard.rules, tries=3)
    yard.store.failing["p/a.xml"] = [NotFound("strange"), NotFound("strange"), S3CredentialsError("bad")]
    with pytest.raises(S3CredentialsError):
        await yard.ship()
    yard.store.failing["p/a.xml"] = [NotFound("strange")]
    assert (await yard.ship()).quarantined == 1
    assert yard.results[0].attempts == 3
    assert yard.left() == ["quarantine"]


@pytest.mark.parametrize("name", ["a b\n.xml", "x" * 250 + ".xml", "caf\u00e9 \u202e.xml", "%41.xml"])
async def test_strange_names_are_kept_as_they_are(yard: Yard, name: str) -> None:
    yard.write(name)
    await yard.ship()
    assert await yard.keys() == [f"p/{name}"]
    assert yard.left() == []


async def test_a_name_that_no_key_can_hold_is_put_aside_at_once(yard: Yard) -> None:
    path = os.fsencode(yard.path) + b"/caf\xe9.xml"
    with open(path, "wb") as file:
        file.write(b"x")
    account = await yard.ship()
    assert (account.quarantined, account.shipped) == (1, 0)
    assert os.listdir(os.fsencode(yard.path) + b"/quarantine") != []


async def test_denied_means_an_end_at_once_and_nothing_removed(yard: Yard) -> None:
    for number in range(5):
        yard.write(f"{number}.xml")
    yard.store.failing["*"] = [S3PermissionError("s3:PutObject is missing")] * 99
    with pytest.raises(S3PermissionError):
        await yard.ship()
    assert len(yard.left()) == 5
    assert yard.results == []


async def test_a_store_that_is_down_ends_a_single_run_after_some_pauses(yard: Yard) -> None:
    yard.write("a.xml")
    yard.store.failing["*"] = [S3NetworkError("refused")] * 99
    with pytest.raises(S3NetworkError):
        await yard.ship()
    assert yard.store.writes["p/a.xml"] == 5
    assert yard.left() == ["a.xml"]


async def stopped_when(stopping: asyncio.Event, check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110 -- a file that leaves a directory sets no event
            await asyncio.sleep(0.005)
    stopping.set()


async def test_while_watching_an_outage_is_waited_out_and_what_came_meanwhile_goes(yard: Yard) -> None:
    yard.write("a.xml")
    yard.store.failing["*"] = [S3NetworkError("refused")] * 10
    stopping = asyncio.Event()
    ending = asyncio.create_task(stopped_when(stopping, lambda: yard.left() == []))
    account = await yard.ship(once=False, stopping=stopping)
    await ending
    assert (account.shipped, account.failed) == (1, 0)
    assert "nothing can be shipped" in yard.told()
    assert yard.shipment.vitals().trouble == ""


async def test_while_watching_credentials_are_read_again(yard: Yard) -> None:
    yard.write("a.xml")
    yard.store.failing["*"] = [S3CredentialsError("expired")] * 2
    stopping = asyncio.Event()
    ending = asyncio.create_task(stopped_when(stopping, lambda: yard.left() == []))
    await yard.ship(once=False, stopping=stopping)
    await ending
    assert yard.connected == 3


async def test_while_watching_files_go_when_somebody_says_that_they_came(yard: Yard) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def arrivals() -> AsyncIterator[None]:
        while True:
            await queue.get()
            yield

    stopping = asyncio.Event()
    running = asyncio.create_task(yard.ship(once=False, arrivals=arrivals(), stopping=stopping))
    yard.write("later.xml")
    queue.put_nowait("later.xml")
    await stopped_when(stopping, lambda: bool(yard.results))
    assert (await running).shipped == 1


async def test_what_is_listed_is_listed_before_it_leaves(yard: Yard) -> None:
    yard.write("a.xml")
    seen: list[tuple[str, bool]] = []

    async def note(results: Any) -> None:
        seen.extend((result.key, (yard.path / "a.xml").exists()) for result in results)

    yard.note = note
    await yard.ship()
    assert seen == [("p/a.xml", True)]


async def test_what_cannot_be_listed_stays(yard: Yard) -> None:
    yard.write("a.xml")

    async def note(results: Any) -> None:
        raise SpoolError("the disk is full")

    yard.note = note
    yard.rules = replace(yard.rules, tries=2)
    with pytest.raises(SpoolError, match="full"):
        await yard.ship()
    assert yard.left() == ["a.xml"]


async def test_a_second_shipper_is_told_who_the_first_is(yard: Yard) -> None:
    async def note(results: Any) -> None:
        with pytest.raises(JobError, match=f"process {os.getpid()}"):
            await Yard(yard.path).ship()

    yard.write("a.xml")
    yard.note = note
    assert (await yard.ship()).shipped == 1


async def test_a_directory_that_is_missing_is_said(yard: Yard) -> None:
    yard.path.rmdir()
    with pytest.raises(NotFound):
        await yard.ship()


async def test_a_hundred_files_share_commits(yard: Yard) -> None:
    for number in range(300):
        yard.write(f"{number}.xml")
    batches: list[int] = []

    async def note(results: Any) -> None:
        batches.append(len(results))

    yard.note = note
    assert (await yard.ship()).shipped == 300
    assert sum(batches) == 300
    assert len(batches) < 100


@pytest.mark.parametrize(("given", "prefix"), [("", ""), ("a", "a/"), ("/a/b/", "a/b/"), ("/", "")])
def test_files_go_below_a_prefix(given: str, prefix: str) -> None:
    assert folder_of(given) == prefix


# From Python


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def settings_for(server: FaultServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "endpoint_url": server.url,
        "region": "us-east-1",
        "access_key": "key",
        "secret_key": "secret",
        "state_dir": str(tmp_path / "state"),
    }


async def test_a_program_ships_a_directory(yard: Yard, server: FaultServer, tmp_path: Path) -> None:
    yard.write("20250729_161500.json", b"{}")
    async with AsyncClient(**settings_for(server, tmp_path)) as client:
        shipper = AsyncShipper(
            client,
            yard.path,
            "s3://bucket/in",
            on_result=yard.results.append,
            after="delete",
            settle=0.0,
            date_folders=True,
            tags={"a": "b"},
        )
        await shipper.check_access()
        assert shipper.key_for("20250729_161500.json") == "in/2025/07/29/20250729_161500.json"
        account = await shipper.run()
    assert account.shipped == 1
    assert server.objects["bucket", "in/2025/07/29/20250729_161500.json"] == b"{}"
    assert yard.results[0].url == "s3://bucket/in/2025/07/29/20250729_161500.json"


def test_a_program_without_a_loop_ships_a_single_file(
    yard: Yard, server: FaultServer, tmp_path: Path
) -> None:
    yard.write("a.xml", b"<a/>")
    with Client(**settings_for(server, tmp_path)) as client:
        shipper = Shipper(client, yard.path, "s3://bucket/in/", after="delete")
        shipper.check_access()
        result = shipper.ship("a.xml", key="other/key.xml")
        assert (result.key, result.error, yard.left()) == ("other/key.xml", None, [])
        yard.write("a.xml", b"<b/>")
        assert shipper.ship(yard.path / "a.xml", key="other/key.xml").error is not None
        for wrong, error in ((tmp_path / "else.xml", ConfigError), ("missing.xml", NotFound)):
            with pytest.raises(error):
                shipper.ship(wrong)
    assert server.objects["bucket", "other/key.xml"] == b"<a/>"


async def test_failures_are_raised_at_the_end_unless_they_are_looked_at(
    yard: Yard, server: FaultServer, tmp_path: Path
) -> None:
    server.objects["bucket", "a.xml"] = b"theirs"
    yard.write("a.xml", b"mine")
    async with AsyncClient(**settings_for(server, tmp_path)) as client:
        shipper = AsyncShipper(client, yard.path, "s3://bucket/", settle=0.0)
        with pytest.raises(TransferError, match="1 files"):
            await shipper.run()


async def test_access_that_is_denied_is_found_out_before_anything_is_done(yard: Yard, tmp_path: Path) -> None:
    refuse = Fault(status=403, body="<Error><Code>InvalidAccessKeyId</Code></Error>", attempts="all")
    with FaultServer(refuse) as server:
        async with AsyncClient(**settings_for(server, tmp_path)) as client:
            with pytest.raises(S3CredentialsError):
                await AsyncShipper(client, yard.path, "s3://bucket/").check_access()


async def test_arguments_that_make_no_sense_are_refused(yard: Yard) -> None:
    async with AsyncClient() as client:
        for wrong in ({"after": "move"}, {"source": "caf\u00e9"}, {"key_template": "x"}, {"date_from": "x"}):
            with pytest.raises(ConfigError):
                AsyncShipper(client, yard.path, "s3://bucket/", **wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            AsyncShipper(client, yard.path, "s3://bucket/", nonsense=1)  # type: ignore[call-arg]
        with pytest.raises(ConfigError):
            AsyncShipper(client, yard.path, "elsewhere")


def public(face: type) -> dict[str, object]:
    return {name: each for name, each in inspect.getmembers(face) if not name.startswith("_")}


@pytest.mark.parametrize("name", ["__init__", *public(AsyncShipper)])
def test_both_faces_are_the_same(name: str) -> None:
    assert public(AsyncShipper).keys() == public(Shipper).keys()
    one, other = inspect.signature(getattr(AsyncShipper, name)), inspect.signature(getattr(Shipper, name))
    assert str(one).replace("AsyncClient", "Client") == str(other)
