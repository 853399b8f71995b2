"""Many files at once: an outcome for each, in order, bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import PreconditionFailed, S3NotFound, S3PermissionError, StoreError, UnsafeName
from haulyard.fs import NewNode, NodeInfo, Outcome
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from tests.fs.provider.conftest import Config, Open

    from haulyard.fs import S3Provider

pytestmark = pytest.mark.anyio


async def test_outcomes_come_in_the_order_of_what_was_asked(provider: S3Provider) -> None:
    files = [(f"d{number % 7}/{number:03}", b"%d" % number) for number in range(100)]
    written = await provider.batch_write(files)
    assert [outcome.path for outcome in written] == [path for path, _ in files]
    assert all(
        outcome.ok and outcome.unwrap().size == len(content)
        for outcome, (_, content) in zip(written, files, strict=True)
    )
    assert [each.unwrap() for each in await provider.batch_read([path for path, _ in files])] == [
        content for _, content in files
    ]
    deleted = await provider.batch_delete(path for path, _ in files[:99])
    assert deleted == [Outcome(path) for path, _ in files[:99]]
    assert [node.path async for node in provider.scan()] == [files[99][0]]


async def test_one_failure_is_the_outcome_of_one(scripted: S3Provider, faults: FaultServer) -> None:
    faults.script(Fault("*", key="tenants/7/denied", status=403, attempts="all"))
    written = await scripted.batch_write(
        [("a", b"1"), ("denied", b"2"), ("../b", b"3"), ("c/", b"4"), ("d", b"5"), ("e", "text")]  # type: ignore[list-item]  # the mistake
    )
    assert [type(outcome.error) for outcome in written] == [
        type(None),
        S3PermissionError,
        UnsafeName,
        UnsafeName,
        type(None),
        TypeError,
    ]
    assert [outcome.value is None for outcome in written] == [False, True, True, True, False, True]
    with pytest.raises(UnsafeName):
        written[2].unwrap()
    read = await scripted.batch_read(["nothing", "a", "denied", "a\0"])
    assert read[1] == Outcome("a", b"1")
    assert [type(outcome.error) for outcome in read] == [
        S3NotFound,
        type(None),
        S3PermissionError,
        UnsafeName,
    ]


async def test_nodes_are_created_once_each(scripted: S3Provider, faults: FaultServer) -> None:
    created = await scripted.batch_create([NewNode("a"), NewNode("b/", is_dir=True), NewNode("c")])
    assert [outcome.ok for outcome in created] == [True, True, True]
    assert created[1].value == NodeInfo("b", is_dir=True)
    (again,) = await scripted.batch_create([NewNode("a")])
    assert isinstance(again.error, PreconditionFailed)
    assert sorted(key for _, key in faults.objects) == ["tenants/7/a", "tenants/7/c"]


async def test_nothing_is_nothing(scripted: S3Provider, faults: FaultServer) -> None:
    for call in (scripted.batch_read, scripted.batch_write, scripted.batch_create, scripted.batch_delete):
        assert await call([]) == []
    assert faults.requests == ()


async def test_deletes_go_a_thousand_at_a_time(scripted: S3Provider, faults: FaultServer) -> None:
    paths = [f"{number:04}" for number in range(2500)]
    for path in paths:
        faults.objects["bucket", f"tenants/7/{path}"] = b"x"
    outcomes = await scripted.batch_delete([*paths, "0000", "never-there", "../x"])
    assert [outcome.path for outcome in outcomes] == [*paths, "0000", "never-there", "../x"]
    assert [outcome.ok for outcome in outcomes] == [True] * 2502 + [False]
    assert list(faults.objects) == []
    sizes = sorted(each.body.count(b"<Key>") for each in faults.requests if each.operation == "DeleteObjects")
    assert sizes == [501, 1000, 1000]


async def test_a_file_that_could_not_be_deleted_says_why(scripted: S3Provider, faults: FaultServer) -> None:
    for path in ("a", "b"):
        await scripted.write_file(path, b"x")
    denied = "<Error><Key>tenants/7/a</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    gone = "<Deleted><Key>tenants/7/b</Key></Deleted>"
    faults.script(Fault("DeleteObjects", body=f"<DeleteResult>{denied}{gone}</DeleteResult>", attempts="all"))
    first, second = await scripted.batch_delete(["a", "b"])
    assert isinstance(first.error, S3PermissionError)
    assert second.ok


async def test_no_more_is_under_way_than_the_limiter_lets_through(
    on_faults: Config, opened: Open, faults: FaultServer
) -> None:
    provider = opened(on_faults(concurrency=3))
    faults.script(Fault("PutObject", stall=True, attempts="all"))
    writing = asyncio.create_task(provider.batch_write([(str(number), b"x") for number in range(9)]))
    await faults.wait_for_async(lambda each: each.operation == "PutObject", count=3)
    assert len(faults.stalled) == 3
    faults.script()
    faults.release()
    assert all(outcome.ok for outcome in await writing)


async def test_files_of_a_batch_have_the_same_limits(on_faults: Config, opened: Open) -> None:
    provider = opened(on_faults(max_file_size=2))
    small, large = await provider.batch_write([("a", b"12"), ("b", b"123")])
    assert small.ok
    assert isinstance(large.error, StoreError)


async def test_own_deletes_are_seen(scripted: S3Provider) -> None:
    await scripted.write_file("a/b", b"x")
    await scripted.get_node_info("a/b")
    await scripted.list_directory("a")
    await scripted.batch_delete(["a/b"])
    assert not await scripted.exists("a/b")
    assert await scripted.list_directory() == []
