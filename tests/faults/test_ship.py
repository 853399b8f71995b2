"""What goes wrong while files are shipped, each by itself: no file is lost, and no object overwritten."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient, AsyncShipper
from haulyard.errors import HaulError, JobError, S3ClockError, S3PermissionError
from haulyard.events import Warned
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from haulyard.spool.account import Account, Shipped
    from haulyard.testing.faults import RecordedRequest

pytestmark = pytest.mark.anyio


def of_files(request: RecordedRequest) -> bool:
    """Whether it is not one of those by which is found out what the store honours."""
    return request.key.startswith("p/") and ".haul-probe-" not in request.key


#: Two parts, and one request.
SIZES = {"large": 6 * 1024**2, "small": 1000}
WRITES = {"large": "UploadPart", "small": "PutObject"}


@dataclass
class Pier:
    """A directory, a client whose store misbehaves, and what was told."""

    path: Path
    client: AsyncClient
    server: FaultServer
    results: list[Shipped] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    shipper: AsyncShipper | None = None

    def write(self, name: str, content: bytes = b"<e/>") -> Path:
        (self.path / name).write_bytes(content)
        return self.path / name

    async def ship(self, *, watch: bool = False, check: bool = False, **options: Any) -> Account:
        self.shipper = AsyncShipper(
            self.client,
            self.path,
            "s3://bucket/p/",
            on_result=self.results.append,
            **{"after": "delete", "settle": 0.0, "retry_base_delay": 0.01, **options},
        )
        return await self.shipper.run(watch=watch, check=check, rescan=0.05, on_event=self.events.append)

    async def watch_until(self, check: Callable[[], bool], **options: Any) -> Account:
        running = asyncio.create_task(self.ship(watch=True, **options))
        async with asyncio.timeout(30):
            while not check() and not running.done():  # noqa: ASYNC110 -- a result sets no event
                await asyncio.sleep(0.01)
        assert self.shipper is not None
        await self.shipper.stop()
        return await running

    @property
    def left(self) -> dict[str, bytes]:
        """The files that are in the directory and in quarantine."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and ".haul-ship" not in path.parts and path.name != "reasons.jsonl"
        }

    @property
    def objects(self) -> dict[str, bytes]:
        objects = self.server.objects
        return {key: objects[bucket, key] for bucket, key in objects if ".haul-probe-" not in key}

    @property
    def told(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Warned))


@pytest.fixture
async def pier(tmp_path: Path) -> AsyncIterator[Pier]:
    path = tmp_path / "spool"
    path.mkdir()
    with FaultServer() as server:
        client = AsyncClient(
            endpoint_url=server.url,
            region="us-east-1",
            access_key="key",
            secret_key="secret",
            state_dir=str(tmp_path / "state"),
            part_size=5 * 1024**2,
            retry_base_delay=0.001,
        )
        async with client:
            yield Pier(path, client, server)
            server.release()


# Files that change while they are sent


def delete(path: Path) -> bytes | None:
    path.unlink()
    return None


def truncate(path: Path) -> bytes | None:
    os.truncate(path, 500)
    return path.read_bytes()


def append(path: Path) -> bytes | None:
    with path.open("ab") as file:
        file.write(b"more")
    return path.read_bytes()


def overwrite(path: Path) -> bytes | None:
    with path.open("r+b") as file:
        file.write(b"else")
    return path.read_bytes()


def put_another(path: Path) -> bytes | None:
    other = path.with_suffix(".tmp")
    other.write_bytes(b"another file")
    other.rename(path)
    return b"another file"


def link(path: Path) -> bytes | None:
    target = path.parent.parent / "target"
    target.write_bytes(b"elsewhere")
    path.unlink()
    path.symlink_to(target)
    return None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("change", [delete, truncate, append, overwrite, put_another, link])
async def test_what_changes_while_it_is_sent_is_not_taken_for_what_was_sent(
    pier: Pier, change: Callable[[Path], bytes | None], size: str
) -> None:
    path, before = pier.write("a.xml", b"x" * SIZES[size]), b"x" * SIZES[size]
    pier.server.script(Fault(WRITES[size], key="p/a.xml", stall=True, times=1))
    running = asyncio.create_task(pier.ship())
    await pier.server.wait_for_async(lambda request: request.fault is not None)
    now = change(path)
    pier.server.release()
    await running
    await pier.ship()
    # The key has what was sent, whole, or what is there now; what is there now is in the store or is left.
    assert set(pier.objects.values()) <= {before, now}
    if now is not None:
        assert now in {*pier.objects.values(), *pier.left.values()}
    else:
        assert path.is_symlink() == (change is link)
        assert "quarantine/a.xml" not in pier.left
    assert pier.server.uploads == ()


async def test_a_file_that_may_not_be_read_goes_to_quarantine_and_blocks_no_other(
    pier: Pier, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable, real = pier.write("a.xml", b"<a/>"), os.open

    def refusing(path: Any, *words: Any, **more: Any) -> int:
        if path == unreadable.name:
            # Root may read everything.
            raise PermissionError(13, "Permission denied")
        return real(path, *words, **more)

    pier.write("b.xml", b"<b/>")
    monkeypatch.setattr(os, "open", refusing)
    account = await pier.ship(tries=2)
    assert (account.shipped, account.quarantined) == (1, 1)
    assert pier.left == {"quarantine/a.xml": b"<a/>"}
    assert pier.objects == {"p/b.xml": b"<b/>"}
    assert "Permission denied" in (pier.path / "quarantine" / "reasons.jsonl").read_text()


async def test_what_somebody_else_puts_under_the_key_meanwhile_is_not_overwritten(pier: Pier) -> None:
    pier.write("a.xml", b"<mine/>")
    pier.server.script(Fault("PutObject", key="p/a.xml", stall=True, times=1))
    running = asyncio.create_task(pier.ship())
    await pier.server.wait_for_async(lambda request: request.fault is not None)
    pier.server.objects["bucket", "p/a.xml"] = b"<theirs/>"
    pier.server.release()
    assert (await running).quarantined == 1
    assert pier.objects == {"p/a.xml": b"<theirs/>"}
    assert pier.left == {"quarantine/a.xml": b"<mine/>"}


# The store


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "spoil",
    [{"close_without_answer": True, "before": True}, {"reset_after": 0, "before": True}, {"status": 500}],
)
async def test_an_answer_that_is_lost_is_found_out_and_nothing_is_written_twice(
    pier: Pier, spoil: dict[str, Any], size: str
) -> None:
    content = b"y" * SIZES[size]
    pier.write("a.xml", content)
    operation = "CompleteMultipartUpload" if size == "large" else "PutObject"
    pier.server.script(Fault(operation, key="p/a.xml", times=1, **spoil))
    account = await pier.ship()
    assert (account.shipped, account.failed) == (1, 0)
    assert pier.objects == {"p/a.xml": content}
    assert (pier.left, pier.server.uploads) == ({}, ())


async def test_what_is_stored_damaged_is_not_let_go_of(pier: Pier) -> None:
    pier.write("a.xml", b"<a/>")
    # HEAD finds other bytes of the same size there.
    pier.server.script(Fault("HeadObject", key="p/a.xml", change_etag=b"<b/>", times=1))
    await pier.ship(tries=1)
    assert pier.left == {"quarantine/a.xml": b"<a/>"}


@pytest.mark.parametrize("code", ["SlowDown", "RequestLimitExceeded"])
async def test_throttling_costs_time_and_no_tries(pier: Pier, code: str) -> None:
    for number in range(20):
        pier.write(f"{number}.xml", b"<e/>%d" % number)
    throttled = Fault("PutObject", where=of_files, status=503, body=error_xml(code), attempts="all", times=22)
    pier.server.script(throttled)
    account = await pier.watch_until(lambda: len(pier.results) == 20, tries=2)
    assert (account.shipped, account.failed) == (20, 0)
    assert len(pier.objects) == 20
    assert pier.left == {}


async def test_an_outage_in_the_middle_is_waited_out(pier: Pier) -> None:
    for number in range(10):
        pier.write(f"{number}.xml", b"<e/>%d" % number)
    outage = Fault(where=of_files, reset_after=0, attempts="all", times=22)
    pier.server.script(outage)
    account = await pier.watch_until(lambda: len(pier.results) == 10, tries=2)
    assert (account.shipped, account.failed) == (10, 0)
    assert pier.left == {}
    assert {result.attempts for result in pier.results} == {1}


async def test_an_outage_ends_a_single_run_and_removes_nothing(pier: Pier) -> None:
    pier.write("a.xml")
    pier.server.script(Fault("PutObject", key="p/a.xml", reset_after=0, attempts="all"))
    with pytest.raises(HaulError):
        await pier.ship(tries=2)
    assert pier.left == {"a.xml": b"<e/>"}
    pier.server.script()
    assert (await pier.ship()).shipped == 1


@pytest.mark.parametrize("skew", [7200.0, -7200.0])
async def test_a_wrong_clock_of_this_machine_is_made_up_for(pier: Pier, skew: float) -> None:
    pier.write("a.xml")
    pier.server.script(Fault(skew=skew, attempts="all"))
    assert (await pier.ship()).shipped == 1
    assert pier.left == {}


async def test_a_clock_that_nothing_makes_up_for_is_an_error_and_removes_nothing(pier: Pier) -> None:
    pier.write("a.xml")
    pier.server.script(Fault(status=403, body=error_xml("RequestTimeTooSkewed"), attempts="all"))
    with pytest.raises(S3ClockError):
        await pier.ship()
    assert pier.left == {"a.xml": b"<e/>"}


async def test_a_right_that_is_withdrawn_ends_a_single_run_with_the_rest_in_place(pier: Pier) -> None:
    files = {f"{number}.xml": b"<e/>%d" % number for number in range(8)}
    for name, content in files.items():
        pier.write(name, content)
    denied = Fault("PutObject", status=403, body=error_xml("AccessDenied"), attempts="all")
    pier.server.script(
        *(replace(denied, key=f"p/{name}") for name in files if name not in {"0.xml", "1.xml"}),
        Fault("PutObject", key="p/0.xml", delay=0.001),
    )
    with pytest.raises(S3PermissionError):
        await pier.ship()
    assert {**{f"p/{name}": content for name, content in pier.left.items()}, **pier.objects} == {
        f"p/{name}": content for name, content in files.items()
    }


async def test_a_right_that_comes_back_is_used_while_watching(pier: Pier) -> None:
    for number in range(5):
        pier.write(f"{number}.xml", b"<e/>%d" % number)
    denied = Fault(
        "PutObject", where=of_files, status=403, body=error_xml("AccessDenied"), attempts="all", times=6
    )
    pier.server.script(denied)
    account = await pier.watch_until(lambda: len(pier.results) == 5)
    assert (account.shipped, account.failed) == (5, 0)
    assert "nothing can be shipped" in pier.told


async def test_a_bucket_that_is_removed_while_watching_is_waited_for(pier: Pier) -> None:
    pier.write("a.xml")
    gone = Fault(
        "PutObject", where=of_files, status=404, body=error_xml("NoSuchBucket"), attempts="all", times=3
    )
    pier.server.script(gone)
    account = await pier.watch_until(lambda: bool(pier.results))
    assert (account.shipped, account.failed) == (1, 0)


async def test_an_upload_that_the_store_forgot_begins_anew(pier: Pier) -> None:
    content = b"z" * SIZES["large"]
    pier.write("a.xml", content)
    pier.server.script(Fault("UploadPart", status=404, body=error_xml("NoSuchUpload"), times=1))
    account = await pier.ship()
    assert (account.shipped, pier.left) == (1, {})
    assert pier.objects == {"p/a.xml": content}
    assert pier.server.uploads == ()


# Names, and others


@pytest.mark.parametrize("name", [b"a b.xml", b"a\nb.xml", "ü漢.xml".encode(), b"n" * 251 + b".xml"])
async def test_names_come_as_they_are(pier: Pier, name: bytes) -> None:
    path = os.fsencode(pier.path) + b"/" + name
    with open(path, "wb") as file:
        file.write(b"<e/>")
    assert (await pier.ship()).shipped == 1
    assert pier.objects == {f"p/{name.decode()}": b"<e/>"}


async def test_a_name_that_makes_the_key_too_long_goes_to_quarantine(pier: Pier) -> None:
    name = "n" * 251 + ".xml"
    pier.write(name)
    pier.write("b.xml")
    account = await pier.ship(key_template="{prefix}" + "f/" * 400 + "{name}")
    assert (account.shipped, account.quarantined) == (1, 1)
    assert list(pier.left) == [f"quarantine/{name}"]


async def test_a_second_one_is_told_who_works_and_nothing_goes_twice(pier: Pier) -> None:
    for number in range(3):
        pier.write(f"{number}.xml", b"<e/>%d" % number)
    pier.server.script(Fault("PutObject", key="p/0.xml", stall=True, times=1))
    running = asyncio.create_task(pier.ship())
    await pier.server.wait_for_async(lambda request: request.fault is not None)
    with pytest.raises(JobError, match=f"process {os.getpid()}"):
        await Pier(pier.path, pier.client, pier.server).ship()
    pier.server.release()
    assert (await running).shipped == 3
    written = [each.key for each in pier.server.requests if each.operation == "PutObject"]
    assert len({key for key in written if "probe" not in key}) == 3
