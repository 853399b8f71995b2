"""The record at the end of a file that is being downloaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute, digest_of
from haulyard.models import ObjectHead
from haulyard.transfer import control as control_module
from haulyard.transfer.control import Control, write_at
from haulyard.transfer.parts import PartPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(250))
PLAN = PartPlan(250, 100, 3)
HEAD = ObjectHead("k", 250, None, "e1", version_id="v1")


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def digest(number: int) -> bytes:
    part = PLAN.range(number)
    return digest_of(compute("CRC64NVME", CONTENT[part.start : part.end]))


async def opened(fd: int, head: ObjectHead = HEAD, plan: PartPlan = PLAN, name: str = "CRC64NVME") -> Control:
    return await Control.open(fd, head, plan, name)


async def begin(fd: int, *numbers: int) -> Control:
    control = await opened(fd)
    for number in numbers:
        part = PLAN.range(number)
        write_at(fd, CONTENT[part.start : part.end], part.start)
        control.finished(number, digest(number))
    return control


async def test_parts_are_taken_up_again_and_the_record_cut_off_at_the_end(fd: int) -> None:
    await begin(fd, 3, 1)
    control = await opened(fd)
    assert control.digests == {1: digest(1), 3: digest(3)}
    write_at(fd, CONTENT[100:200], 100)
    control.finished(2, digest(2))
    assert (await opened(fd)).digests.keys() == {1, 2, 3}
    control.close()
    assert os.pread(fd, 1000, 0) == CONTENT


def test_the_last_part_may_be_smaller() -> None:
    control = Control(-1, PLAN, "CRC64NVME")
    assert [control.size_of(number) for number in (1, 2, 3)] == [100, 100, 50]


async def test_a_line_that_was_cut_is_dropped_and_the_next_stands_alone(fd: int) -> None:
    await begin(fd, 1, 2)
    os.ftruncate(fd, os.fstat(fd).st_size - 5)
    control = await opened(fd)
    assert control.digests.keys() == {1}
    control.finished(3, digest(3))
    write_at(fd, CONTENT[200:], 200)
    assert (await opened(fd)).digests.keys() == {1, 3}


async def test_a_part_whose_bytes_were_lost_does_not_count(fd: int) -> None:
    await begin(fd, 1, 2, 3)
    os.pwrite(fd, b"\0", 150)
    assert (await opened(fd)).digests.keys() == {1, 3}


@pytest.mark.parametrize(
    ("head", "plan", "name"),
    [
        (HEAD._replace(etag="e2"), PLAN, "CRC64NVME"),
        (HEAD._replace(version_id="v2"), PLAN, "CRC64NVME"),
        (HEAD._replace(etag=""), PLAN, "CRC64NVME"),
        (HEAD, PartPlan(250, 125, 2), "CRC64NVME"),
        (HEAD, PLAN, "CRC32"),
        (HEAD._replace(size=249), PartPlan(249, 100, 3), "CRC64NVME"),
        (HEAD._replace(size=10), PartPlan(10, 100, 1), "CRC64NVME"),
        (HEAD._replace(size=900), PartPlan(900, 100, 9), "CRC64NVME"),
    ],
)
async def test_the_record_of_another_object_counts_for_nothing(
    fd: int, head: ObjectHead, plan: PartPlan, name: str
) -> None:
    await begin(fd, 1, 2, 3)
    control = await opened(fd, head, plan, name)
    assert control.digests == {}
    # What lay there is gone, and the new record is one that is found again.
    assert os.pread(fd, plan.size, 0) == bytes(plan.size)
    control.finished(1, b"\0" * 8)
    lines = os.pread(fd, 10_000, plan.size).splitlines()
    assert len(lines) == 2
    control.close()
    assert os.fstat(fd).st_size == plan.size


@pytest.mark.parametrize(
    "leftover", [b"", CONTENT, CONTENT + b"no json\n", CONTENT + b"no end", CONTENT + b"3\n", CONTENT[:9]]
)
async def test_leftovers_that_are_no_record_count_for_nothing(fd: int, leftover: bytes) -> None:
    os.write(fd, leftover)
    assert (await opened(fd)).digests == {}
    assert (await begin(fd, 2)).digests.keys() == {2}


async def test_a_leftover_that_is_far_larger_is_not_read(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "_LONGEST", 100)
    await begin(fd, 1, 2)
    assert (await opened(fd)).digests == {}


def test_all_is_written_where_one_call_takes_less(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr("haulyard.transfer.control.os.pwrite", lambda fd, data, at: pwrite(fd, data[:7], at))
    assert write_at(fd, CONTENT, 3) == 250
    assert os.pread(fd, 1000, 0) == b"\0\0\0" + CONTENT
