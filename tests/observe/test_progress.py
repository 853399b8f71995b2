"""The progress bar."""

from __future__ import annotations

import io
import os
import pty
import termios
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from haulyard.errors import S3NotFound
from haulyard.events import (
    BytesMoved,
    RecordsEnded,
    RowsRead,
    TransferDone,
    TransferStarted,
    TypesSought,
    Warned,
)
from haulyard.observe.progress import Progress, RecordProgress
from haulyard.observe.subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.events import Event


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Screen(io.BytesIO):
    """A stream that is no file."""

    def last(self) -> str:
        return self.getvalue().decode().rpartition("\r")[2]


def finished(number: int, size: int = 1024) -> Iterator[TransferDone]:
    return (TransferDone("upload", f"k{each}", "", size) for each in range(number))


def test_what_is_over_soon_shows_no_bar() -> None:
    screen, clock = Screen(), Clock()
    bar = Progress(screen, clock=clock)
    for event in finished(100):
        bar(event)
    bar.clear()
    bar.close()
    assert screen.getvalue() == b""


def test_done_total_speed_and_objects() -> None:
    screen, clock = Screen(), Clock()
    bar = Progress(screen, clock=clock)
    bar.expect(4, 4096)
    clock.now = 1.0
    for event in finished(2):
        bar(event)
    bar(TransferDone("upload", "broken", "", 1024, error=S3NotFound("gone")))
    bar(Warned("no matter"))
    bar._bar.refresh()
    assert "3.00k/4.00k" in screen.last()
    assert "3/4 objects, 1 failed" in screen.last()
    bar.clear()
    bar.close()
    bar.close()


def test_bytes_under_way_count_once() -> None:
    screen, clock = Screen(), Clock()
    bar = Progress(screen, clock=clock)
    clock.now = 1.0
    events: list[Event] = [BytesMoved("big", 600), BytesMoved("big", -100), BytesMoved("big", 500)]
    for event in (*events, TransferDone("upload", "big", "", 1024)):
        bar(event)
    assert (bar._bytes, bar._bar.n) == (1024, 1024)
    assert bar._bar.total is None
    bar.close()


def test_objects_can_be_what_counts() -> None:
    screen, clock = Screen(), Clock()
    bar = Progress(screen, "objects", clock=clock)
    bar.expect(10, 0)
    clock.now = 1.0
    for event in finished(4, 0):
        bar(event)
    bar._bar.refresh()
    assert "4/10" in screen.last()
    bar.close()


def test_an_object_whose_size_no_listing_told_counts_once_it_starts() -> None:
    screen, clock = Screen(), Clock()
    bar = Progress(screen, clock=clock)
    clock.now = 1.0
    bar.expect(1, 0)
    bar(TransferStarted("k", "s3://b/k", 2048))
    bar(BytesMoved("k", 1024))
    bar._bar.refresh()
    assert "50%" in screen.last()
    bar.close()


def _all_of(terminal: int) -> bytes:
    """Read until the other side, which is closed, has no more: the kernel hands it over piece by piece."""
    shown = b""
    # At the end there is an error on Linux, and nothing elsewhere.
    with suppress(OSError):
        while piece := os.read(terminal, 100_000):
            shown += piece
    return shown


def test_a_bar_fits_a_terminal_and_leaves_it_clean() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    clock = Clock()
    with closing(os.fdopen(theirs, "wb", buffering=0)) as terminal:
        bar = Progress(terminal, clock=clock)
        clock.now = 1.0
        bar.expect(1, 1024)
        bar(BytesMoved("k", 10))
        bar.close()
    shown = _all_of(ours).decode()
    os.close(ours)
    assert "10.0/1.00k" in shown
    assert shown.rpartition("\r")[2] == "" or shown.rstrip("\r").endswith(" ")


def test_listeners_may_come_after_the_function_was_handed_out() -> None:
    heard: list[Event] = []
    subscribers = Subscribers()
    emit = subscribers.emit
    emit(Warned("nobody"))
    subscribers.add(heard.append)
    emit(Warned("somebody"))
    assert [event.message for event in heard if isinstance(event, Warned)] == ["somebody"]


def test_a_listener_that_left_hears_no_more() -> None:
    class Listener:
        heard = 0

        def __call__(self, event: Event) -> None:
            self.heard += 1

    listener, subscribers = Listener(), Subscribers()
    subscribers.add(listener)
    subscribers.emit(Warned("one"))
    subscribers.remove(listener)
    subscribers.emit(Warned("two"))
    assert listener.heard == 1


def test_records_are_told_with_their_rate_and_the_bar_is_of_bytes() -> None:
    screen, clock = Screen(), Clock()
    bar = RecordProgress(screen, "records", clock=clock)
    bar.expect(0, 4096)
    clock.now = 1.0
    # So many ended in earlier runs: they are no speed.
    bar(RecordsEnded("j", 1_000_000, 0, 1024))
    bar(Warned("no matter"))
    clock.now = 3.0
    bar(RecordsEnded("j", 1_002_990, 10, 1024))
    bar._bar.refresh()
    assert "50%" in screen.last()
    assert "2.00k/4.00k" in screen.last()
    assert "1,002,990 records, 1,500/s, 10 failed" in screen.last()
    bar.close()


def test_records_that_ended_at_once_have_no_rate() -> None:
    screen, clock = Screen(), Clock()
    bar = RecordProgress(screen, clock=clock)
    clock.now = 1.0
    bar(RecordsEnded("j", 10, 0, 100))
    bar(RecordsEnded("j", 20, 0, 100))
    bar._bar.refresh()
    assert "20 records, 0/s]" in screen.last()
    bar.close()


def test_a_bar_of_rows_says_when_files_are_read_to_find_types() -> None:
    screen, clock = Screen(), Clock()
    bar = RecordProgress(screen, "rows", clock=clock)
    bar.expect(1, 4096)
    clock.now = 1.0
    bar(RowsRead("t", 100, 0, 3072))
    bar(TypesSought("a.csv", 512))
    bar(TypesSought("a.csv", 512))
    bar._bar.refresh()
    assert "1.00k/4.00k" in screen.last()
    assert "finding types" in screen.last()
    bar(RowsRead("t", 0, 0, -3072))
    bar(RowsRead("t", 10, 0, 2048))
    bar._bar.refresh()
    assert "2.00k/4.00k" in screen.last()
    assert "10 rows" in screen.last()
    assert "finding types" not in screen.last()
    bar.close()
