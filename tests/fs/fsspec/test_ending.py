"""The end of a program that used a filesystem: it ends, by itself, and what it wrote is there."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from ctypes import c_void_p, py_object, pythonapi
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FSSpecHandler

from haulyard.fs.fsspec import ending, loop

if TYPE_CHECKING:
    from haulyard.fs import HaulFileSystem

#: Nothing of it ends sooner than the seconds that a busy machine takes.
_SECONDS = 60

#: Is registered before any filesystem is used, so that it looks when all of that is over.
_LOOK = """
import atexit, sys, threading
from haulyard.client.session import Session
sessions, first = [], Session.__init__
def made(self, *args, **kwargs):
    sessions.append(self)
    first(self, *args, **kwargs)
Session.__init__ = made
def look():
    alive = [thread.name for thread in threading.enumerate() if thread.name == "haulyard-fsspec"]
    print(alive, [session._is_closed for session in sessions])
atexit.register(look)
"""


def run(program: str, options: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    using = f"from haulyard.fs import HaulFileSystem; import sys; options = {options!r}\n"
    return subprocess.run(
        [sys.executable, "-c", using + program, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=_SECONDS,
    )


def test_connections_are_closed_and_the_thread_ends_with_the_program(
    options: dict[str, Any], place: str
) -> None:
    program = _LOOK + (
        "fs = HaulFileSystem(**options); fs.pipe_file(sys.argv[1], b'x' * 1000000)\n"
        # One that is still being read ahead.
        "file = fs.open(sys.argv[1], block_size=1000); file.read(10); file.read(10)\n"
    )
    ended = run(program, options, f"{place}/x")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[] [True]\n", "")


def test_a_file_that_nobody_closed_is_there_when_the_program_ended(
    fs: HaulFileSystem, options: dict[str, Any], place: str
) -> None:
    program = "file = HaulFileSystem(**options).open(sys.argv[1], 'wb'); file.write(b'x' * 20_000_000)"
    ended = run(program, options, f"{place}/x")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert fs.info(f"{place}/x", refresh=True)["size"] == 20_000_000


def test_what_a_transaction_holds_back_is_given_up_with_the_program(
    fs: HaulFileSystem, options: dict[str, Any], place: str
) -> None:
    program = (
        "fs = HaulFileSystem(**options); fs.start_transaction(); file = fs.open(sys.argv[1], 'wb')\n"
        "file.write(b'x' * 20_000_000)"
    )
    ended = run(program, options, f"{place}/x")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not fs.exists(f"{place}/x")
    assert not [each for each in fs.list_multipart_uploads(place) if each["Key"].startswith(place[7:])]


@pytest.mark.parametrize("what", ["file", "file that fsspec caches", "filesystem"])
def test_what_only_native_code_has_is_waited_for(
    fs: HaulFileSystem, place: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Whoever drops it while the interpreter ends is ended by force, which aborts the process."""
    fs.pipe_file(f"{place}/x", b"x")
    held: Any
    if what == "filesystem":
        held, seconds = FSSpecHandler(fs), ending._HANDLERS
    else:
        held = fs.open(f"{place}/x", cache_type="ahead" if what == "file" else "bytes")
        seconds = ending._FILES
    address, seen = id(held), weakref.ref(held)
    pythonapi.Py_IncRef(py_object(held))
    del held
    is_waiting = threading.Event()

    def drop() -> None:
        is_waiting.wait()
        pythonapi.Py_DecRef(c_void_p(address))

    def until_gone(kept: list[Any], most: float) -> None:
        assert (seen in kept) == (seconds == most)
        if seen in kept:
            is_waiting.set()
            first([seen], _SECONDS)

    first = ending._until_gone
    monkeypatch.setattr(ending, "_until_gone", until_gone)
    thread = threading.Thread(target=drop)
    thread.start()
    ending.wait_for_native_threads()
    assert seen() is None
    thread.join()


def test_what_is_gone_by_itself_is_not_waited_for() -> None:
    class Something:
        """Has weak references."""

    something = Something()
    gone = weakref.ref(something)
    del something
    assert gone() is None
    ending._until_gone([gone], _SECONDS)


def test_a_loop_whose_thread_has_ended_is_let_be(fs: HaulFileSystem, place: str) -> None:
    loop._end(loop.io_loop(), threading.Thread())
    fs.pipe_file(f"{place}/x", b"x")
    assert fs.cat_file(f"{place}/x") == b"x"


def test_a_file_that_the_program_has_is_not_waited_for(
    fs: HaulFileSystem, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe_file(f"{place}/x", b"x")
    asked: list[Any] = []
    monkeypatch.setattr(ending, "_until_gone", lambda kept, _: asked.extend(kept))
    with fs.open(f"{place}/x") as file:
        ending.wait_for_native_threads()
        assert not any(each() is file for each in asked)


@pytest.mark.parametrize("kept", ["dataset", "file"])
def test_a_program_that_keeps_what_pyarrow_reads_by_ends_all_the_same(
    fs: HaulFileSystem, options: dict[str, Any], place: str, kept: str
) -> None:
    pq.write_table(pa.table({"x": range(10)}), f"{place}/x.parquet", filesystem=fs)
    program = (
        "import pyarrow.dataset, pyarrow.parquet\n"
        "fs = HaulFileSystem(**options)\n"
        "dataset = pyarrow.dataset.dataset(sys.argv[1], filesystem=fs)\n"
        "file = pyarrow.parquet.ParquetFile(fs.open(sys.argv[1] + '/x.parquet'))\n"
        f"print(len({kept}.to_table() if {kept!r} == 'dataset' else {kept}.read()))\n"
    )
    ended = run(program, options, place)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "10\n", "")
