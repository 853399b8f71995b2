"""Native threads that are in the interpreter are waited for: the end of the program would kill them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from haulyard.http import native
from haulyard.http.native import native_threads_left

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


class NativeThread:
    """A thread that Python did not start, in a function of Python until it is let go."""

    def __init__(self) -> None:
        self.is_in = threading.Event()
        self.let_go = threading.Event()
        self.identity = ctypes.c_ulong()

    def run(self, _: int | None) -> None:
        self.is_in.set()
        self.let_go.wait()


@contextmanager
def native_thread() -> Iterator[NativeThread]:
    thread = NativeThread()
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(thread.run)
    libc = ctypes.CDLL(None)
    assert libc.pthread_create(ctypes.byref(thread.identity), None, body, None) == 0, os.strerror(0)
    try:
        thread.is_in.wait()
        yield thread
    finally:
        thread.let_go.set()
        libc.pthread_join(thread.identity, None)


async def test_a_thread_that_is_about_to_leave_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_PATIENCE", 60.0)
    with native_thread() as thread:
        waiting = asyncio.create_task(native_threads_left())
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        thread.let_go.set()
        await waiting


async def test_a_thread_that_stays_for_good_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(native._Resident, "count", 0)
    monkeypatch.setattr(asyncio, "sleep", pause)
    with native_thread():
        await native_threads_left()
        assert sum(pauses) == pytest.approx(native._PATIENCE)
        pauses.clear()
        await native_threads_left()
        assert not pauses


async def test_threads_of_python_are_not_waited_for() -> None:
    let_go = threading.Event()
    thread = threading.Thread(target=let_go.wait)
    thread.start()
    try:
        async with asyncio.timeout(60):
            await native_threads_left()
        assert native._Resident.count == 0
    finally:
        let_go.set()
        thread.join()
