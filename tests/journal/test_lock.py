from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import JobError
from haulyard.journal.lock import Lock, holder_of

if TYPE_CHECKING:
    from pathlib import Path

_HOLD = """
import sys
from haulyard.journal.lock import Lock
lock = Lock.acquire(sys.argv[1], command="haul apply photos", what="job photos")
print("locked", flush=True)
sys.stdin.read()
"""


_ABSURD = b'{"pid": 1, "host": "h", "command": "c", "since": 1e300}'


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "job.lock")


def _lock(path: str) -> Lock:
    return Lock.acquire(path, command="haul undo photos", what="job photos")


def _other_process(path: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdout.readline() == "locked\n"
    return child


def test_a_second_process_is_told_by_whom_it_is_locked_out(path: str) -> None:
    before = time.time()
    with _other_process(path) as child:
        with pytest.raises(JobError) as caught:
            _lock(path)
        holder = holder_of(path)
        child.kill()
    assert holder is not None
    assert holder.pid == child.pid
    assert holder.host == os.uname().nodename
    assert before - 1 < holder.since <= time.time()
    message = str(caught.value)
    assert (
        f"job photos is locked by process {child.pid} on {holder.host} (haul apply photos, since 2" in message
    )
    assert "\n" not in message
    assert caught.value.hint


def test_a_killed_process_holds_nothing_whatever_its_file_says(path: str) -> None:
    with _other_process(path) as child:
        child.kill()
    with open(path) as file:
        assert f'"pid": {child.pid}' in file.read()
    assert holder_of(path) is None
    _lock(path).release()


def test_this_process_locks_itself_out_too(path: str) -> None:
    with _lock(path), pytest.raises(JobError, match=f"locked by process {os.getpid()} "):
        _lock(path)


def test_a_released_lock_is_free_and_releasing_twice_harms_nobody(path: str) -> None:
    lock = _lock(path)
    lock.release()
    with _lock(path):
        lock.release()
        assert holder_of(path)
    assert holder_of(path) is None


def test_no_file_is_held_by_nobody(path: str) -> None:
    assert holder_of(path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff", _ABSURD])
def test_a_holder_who_has_not_said_who_it_is_locks_all_the_same(path: str, content: bytes) -> None:
    with _lock(path):
        with open(path, "wb") as file:
            file.write(content)
        with pytest.raises(JobError, match="locked by another process"):
            _lock(path)


def test_those_who_only_look_lock_nobody_out(path: str) -> None:
    _lock(path).release()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            holder_of(path)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(300):
            _lock(path).release()
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_a_lock_that_was_removed_while_it_was_taken_is_taken_anew(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat
    removed: list[str] = []

    def stat(name: str) -> os.stat_result:
        if not removed:
            removed.append(name)
            os.unlink(name)
        return real(name)

    monkeypatch.setattr(os, "stat", stat)
    with _lock(path):
        assert removed == [path]
        assert holder_of(path)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="cannot be locked") as caught:
        _lock(str(tmp_path / "absent" / "job.lock"))
    assert "HAUL_JOB_DIR" in caught.value.hint
