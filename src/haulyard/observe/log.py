"""The log: events at or above a level, as lines on standard error or at the end of a file."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.events import Throttled, TransferDone
from haulyard.observe import lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Event

# Seconds for which a store's next request to slow down is not said again.
_QUIET = 10.0
_ORDER = {"debug": 0, "info": 1, "warning": 2, "error": 3}


class Log:
    """A subscriber that writes events of ``level`` and above.

    Without a file they go to ``say``, one line a call; with one, ``say`` still gets warnings. The fate of
    objects (TransferDone) goes only to a file, since commands report it as their result. Lines of a file
    begin with the time (UTC) and the level.

    Raises:
        ConfigError: The file cannot be written.
    """

    def __init__(
        self,
        level: str,
        path: str,
        say: Callable[[str], None],
        *,
        as_json: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._least = _ORDER[level]
        self._say = say
        self._as_json = as_json
        self._clock = clock
        self._quiet_until: dict[tuple[str, str], float] = {}
        self._file = _append_to(path) if path else -1

    def __call__(self, event: Event) -> None:
        """Write the event, if it is important enough."""
        level = lines.level(event)
        if _ORDER[level] < self._least:
            return
        if self._file >= 0:
            # Line by line and unbuffered, so that what led to a crash is in the file.
            os.write(self._file, f"{self._line(event, level)}\n".encode(errors="backslashreplace"))
            if _ORDER[level] < _ORDER["warning"]:
                return
        if not isinstance(event, TransferDone) and not self._is_repeated(event):
            if self._as_json:
                self._say(lines.json_line(lines.kind(event), lines.fields(event)))
            else:
                self._say(f"{level}: {lines.text(event)}")

    def _is_repeated(self, event: Event) -> bool:
        """Whether a store that throttles was reported a moment ago; it does so many times a second."""
        if not isinstance(event, Throttled):
            return False
        now, store = self._clock(), (event.bucket, event.kind)
        if now < self._quiet_until.get(store, 0.0):
            return True
        self._quiet_until[store] = now + _QUIET
        return False

    def _line(self, event: Event, level: str) -> str:
        now = self._clock()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        if self._as_json:
            return lines.json_line(lines.kind(event), {"time": moment, "level": level, **lines.fields(event)})
        return f"{moment} {level:7} {lines.text(event)}"


def _append_to(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(
            f"the log file {path} cannot be written: {error.strerror}", hint="name another --log-file"
        ) from None
