"""What systemd is told, read at the socket that it would have."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import anyio
import pytest

from haulyard.spool.sd_notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(os.fspath(tmp_path / "notify"))
        channel.settimeout(5)
        yield channel


def _notifier(manager: socket.socket, **more: str) -> Notifier:
    return Notifier.from_environ({"NOTIFY_SOCKET": manager.getsockname(), **more}, pid=42)


def test_the_manager_hears_of_the_beginning_the_work_and_the_end(manager: socket.socket) -> None:
    notifier = _notifier(manager)
    notifier.ready("watching /spool")
    notifier.status("3 files wait\nsince noon")
    notifier.stopping()
    told = [manager.recv(1000) for _ in range(3)]
    assert told == [b"READY=1\nSTATUS=watching /spool", b"STATUS=3 files wait since noon", b"STOPPING=1"]


def test_the_same_status_is_told_once(manager: socket.socket) -> None:
    notifier = _notifier(manager)
    for text in ("idle", "idle", "busy"):
        notifier.status(text)
    assert [manager.recv(1000) for _ in range(2)] == [b"STATUS=idle", b"STATUS=busy"]


def test_an_abstract_socket_is_found_by_its_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("")  # the kernel chooses an abstract name
        channel.settimeout(5)
        address = "@" + channel.getsockname()[1:].decode()
        Notifier.from_environ({"NOTIFY_SOCKET": address}, pid=1).ready()
        assert channel.recv(100) == b"READY=1"


@pytest.mark.anyio
async def test_signs_of_life_come_twice_as_often_as_wanted_while_all_is_well(manager: socket.socket) -> None:
    notifier = _notifier(manager, WATCHDOG_USEC="2000", WATCHDOG_PID="42")
    assert notifier.watchdog_interval == pytest.approx(0.001)
    asked: list[None] = []
    enough = anyio.Event()

    def is_well() -> bool:
        asked.append(None)
        if len(asked) >= 4:
            enough.set()
        return len(asked) != 2

    async with anyio.create_task_group() as group:
        group.start_soon(notifier.keep_alive, is_well)
        with anyio.fail_after(5):
            await enough.wait()
        group.cancel_scope.cancel()
    manager.setblocking(False)
    told = []
    try:
        while True:
            told.append(manager.recv(100))
    except BlockingIOError:
        assert told == [b"WATCHDOG=1"] * (len(asked) - 1)


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "2000"}, {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "9", "WATCHDOG_PID": "41"}],
    ids=["no systemd", "no socket", "another process is watched"],
)
@pytest.mark.anyio
async def test_no_signs_of_life_where_none_are_wanted(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environ(environ, pid=42)
    with anyio.fail_after(5):
        await notifier.keep_alive()


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    Notifier.from_environ({"NOTIFY_SOCKET": os.fspath(tmp_path / "gone")}, pid=1).ready()
