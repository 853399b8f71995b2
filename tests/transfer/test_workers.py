"""Tasks over one queue, and the memory that they share."""

from __future__ import annotations

import asyncio

import pytest

from haulyard.transfer.workers import Room, first_error, run_workers

pytestmark = pytest.mark.anyio


async def test_all_workers_run_and_are_waited_for() -> None:
    queue = iter(range(10))
    seen = []

    async def work() -> None:
        for number in queue:
            await asyncio.sleep(0)
            seen.append(number)

    await run_workers(work, 3)
    assert sorted(seen) == list(range(10))
    await run_workers(work, 0)


async def test_the_first_error_cancels_the_others_and_comes_bare() -> None:
    ended: list[str] = []

    async def work() -> None:
        number = len(ended)
        ended.append("")
        if number == 1:
            raise ValueError("broken")
        try:
            await asyncio.Event().wait()
        finally:
            ended[number] = "cancelled"

    with pytest.raises(ValueError, match="broken"):
        await run_workers(work, 3)
    assert ended == ["cancelled", "", "cancelled"]


def test_groups_of_groups_have_a_first_error() -> None:
    inner = ExceptionGroup("inner", [KeyError("a"), ValueError("b")])
    assert isinstance(first_error(ExceptionGroup("outer", [inner])), KeyError)


async def test_who_wants_more_than_there_is_room_waits() -> None:
    room = Room(10)
    held = most = 0

    async def hold(count: int) -> None:
        nonlocal held, most
        async with room.held(count):
            held += min(count, 10)
            most = max(most, held)
            await asyncio.sleep(0)
            held -= min(count, 10)

    async with asyncio.TaskGroup() as group:
        for count in (6, 4, 3, 10, 99, 1, 0):
            group.create_task(hold(count))
    assert (held, most) == (0, 10)


async def test_room_is_given_back_by_who_fails_or_is_cancelled() -> None:
    room = Room(1)
    with pytest.raises(ValueError, match="x"):
        async with room.held(1):
            raise ValueError("x")
    await room.take(1)
    waiting = asyncio.ensure_future(room.take(1))
    await asyncio.sleep(0)
    waiting.cancel()
    room.give(1)
    async with asyncio.timeout(1):
        await room.take(1)
