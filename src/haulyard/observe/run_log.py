"""The log of a long run: a file that rotates, for who asks in the morning what happened in the night."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from logging import INFO, LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError
from haulyard.events import RecordsEnded
from haulyard.observe import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.events import Event

#: Bytes of one file, and how many of them are kept besides the current one.
_MOST: Final = 10 * 1024**2
_KEPT: Final = 5
#: Seconds between two lines about progress.
_INTERVAL: Final = 10.0
_DEBUG: Final = 0
_ORDER: Final = {"debug": _DEBUG, "info": 1, "warning": 2, "error": 3}


class _File(RotatingFileHandler):
    """A file that says nothing where it cannot be written: a full disk is told by who needs it."""

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 -- the name is logging's
        """Go on without the line."""


class RunLog:
    """A subscriber that appends events to a rotating file, and progress every ten seconds.

    Lines begin with the time (UTC) and the level, or are JSON. ``level`` is ``info`` (all but single
    requests) or ``debug``.

    Raises:
        ConfigError: The file cannot be written.
    """

    def __init__(
        self,
        path: str,
        *,
        level: str = "info",
        as_json: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._least = min(_ORDER[level], _ORDER["info"])
        self._as_json = as_json
        self._clock = clock
        self._next = 0.0
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            self._file = _File(path, maxBytes=_MOST, backupCount=_KEPT, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"the log file {path} cannot be written: {error.strerror}",
                hint="run it in a directory that this user may write to",
            ) from None

    def __call__(self, event: Event) -> None:
        """Write the event, if it is important enough."""
        level = lines.level(event)
        if isinstance(event, RecordsEnded):
            # Twenty of them come in a second.
            now = self._clock()
            if now < self._next:
                return
            self._next = now + _INTERVAL
            level = "info"
        if _ORDER[level] >= self._least:
            self._write(level, lines.kind(event), lines.text(event), lines.fields(event))

    def say(self, level: str, kind: str, text: str, fields: Mapping[str, object]) -> None:
        """Write what is no event: how a run began, and what it came to."""
        self._write(level, kind, text, fields)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()

    def _write(self, level: str, kind: str, text: str, fields: Mapping[str, object]) -> None:
        now = self._clock()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        if self._as_json:
            line = lines.json_line(kind, {"time": moment, "level": level, **fields})
        else:
            line = f"{moment} {level:7} {text}"
        shown = line.encode(errors="backslashreplace").decode()
        self._file.emit(makeLogRecord({"msg": shown, "levelno": INFO}))
