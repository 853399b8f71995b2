"""A progress bar: done, total, speed and time left. Only here is tqdm imported, once there is a bar."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, BinaryIO

from haulyard.events import BytesMoved, RecordsEnded, RowsRead, TransferDone, TransferStarted, TypesSought

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Event

# What is over sooner shows no bar, and does not pay the 57 ms that tqdm takes to import.
_PATIENCE = 0.5


class Progress:
    """A subscriber that draws a bar on ``stream`` once the command takes longer than half a second.

    ``unit`` is ``bytes`` or ``objects``. What is to come is told to `expect`, for the bar's total.
    """

    def __init__(
        self, stream: BinaryIO, unit: str = "bytes", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._by_bytes = unit == "bytes"
        self._clock = clock
        self._visible_at = clock() + _PATIENCE
        self._bar: Any = None
        self._under_way: dict[str, int] = {}
        self._expected_objects = self._expected_bytes = 0
        self._objects = self._failed = self._bytes = 0

    def expect(self, objects: int, size: int) -> None:
        """Take note of work found: so many objects of so many bytes in all."""
        self._expected_objects += objects
        self._expected_bytes += size

    def count(self, objects: int, size: int) -> None:
        """Take note of objects that were only to be found, and draw."""
        self._objects += objects
        self._bytes += size
        self._draw()

    def __call__(self, event: Event) -> None:
        """Count the event and draw."""
        if isinstance(event, TransferStarted):
            self._expected_bytes += max(event.size, 0)
        elif isinstance(event, BytesMoved):
            self._under_way[event.source] = self._under_way.get(event.source, 0) + event.size
            self._bytes += event.size
        elif isinstance(event, TransferDone):
            moved = self._under_way.pop(event.source, 0)
            self._objects += 1
            if event.error is not None:
                self._failed += 1
            # Small objects move in one request and report no bytes on their way.
            self._bytes += max(event.size, 0) - moved
        else:
            return
        self._draw()

    def clear(self) -> None:
        """Take the bar off the screen, for a line that is to be written; the next event draws it again."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        """Take the bar off the screen for good."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, *, at_once: bool = False) -> None:
        if self._bar is None and self._clock() < self._visible_at:
            return
        done, expected = self._state()
        # A store may hold more by now than its listing said.
        total = max(expected, done) if expected else None
        if self._bar is None:
            self._bar = self._open(done, total)
        self._bar.total = total
        if self._by_bytes:
            self._bar.set_postfix_str(self._counts(), refresh=False)
        self._bar.update(done - self._bar.n)
        if at_once:
            # tqdm draws ten times a second, and not before a tenth of the first.
            self._bar.refresh()

    def _state(self) -> tuple[int, int]:
        """Return how much is done, and of how much."""
        if self._by_bytes:
            return self._bytes, self._expected_bytes
        return self._objects, self._expected_objects

    def _counts(self) -> str:
        total = f"/{self._expected_objects}" if self._expected_objects else ""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._objects}{total} objects{failed}"

    def _open(self, done: int, total: int | None) -> Any:  # noqa: ANN401 -- tqdm has no types
        from tqdm import tqdm

        # Its thread that watches stalled bars would outlive the bar.
        tqdm.monitor_interval = 0
        scale: dict[str, object] = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        look = scale if self._by_bytes else {"unit": " objects"}
        return tqdm(
            file=_Text(self._stream),
            leave=False,
            dynamic_ncols=True,
            mininterval=0.1,
            initial=done,
            total=total,
            **look,
        )


class RecordProgress(Progress):
    """The same for records or rows: the bar is of the bytes read, which alone tell how much is left.

    While files are read to find types, it is of that, and says so.
    """

    def __init__(
        self, stream: BinaryIO, unit: str = "records", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream, "bytes", clock=clock)
        self._unit = unit
        self._began: tuple[float, int] | None = None
        self._per_second = 0.0
        self._sought = 0

    def __call__(self, event: Event) -> None:
        """Count the event and draw."""
        if isinstance(event, TypesSought):
            begins = not self._sought
            self._sought += event.size
            self._draw(at_once=begins)
            return
        if isinstance(event, RecordsEnded):
            self._objects, self._failed = event.done, event.failed
        elif isinstance(event, RowsRead):
            self._objects, self._failed = event.rows, event.rejected
        else:
            return
        self._bytes += event.size
        was_sought, self._sought = self._sought, 0
        now, ended = self._clock(), self._objects + self._failed
        if self._began is None or ended < self._began[1]:
            self._began = (now, ended)
        elif now > self._began[0]:
            self._per_second = (ended - self._began[1]) / (now - self._began[0])
        self._draw(at_once=bool(was_sought))

    def _state(self) -> tuple[int, int]:
        return self._sought or self._bytes, self._expected_bytes

    def _counts(self) -> str:
        if self._sought:
            return "finding types"
        fate = "rejected" if self._unit == "rows" else "failed"
        failed = f", {self._failed:,} {fate}" if self._failed else ""
        return f"{self._objects:,} {self._unit}, {self._per_second:,.0f}/s{failed}"


class _Text:
    """The text stream that tqdm wants, over bytes."""

    encoding = "utf-8"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()
