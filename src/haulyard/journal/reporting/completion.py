"""The completion report: a CSV in the form of those of S3 Batch Operations, a line for every object.

Like theirs (format ``Report_CSV_20180820``) it has no line of headings; the columns are `COLUMNS`. The
manifest of AWS's reports, and so its user guide, names ErrorCode before HTTPStatusCode; the rows that S3
really writes, the guide's own examples among them, have the status first, and so has this one: what reads
theirs reads ours.

Keys are URL-encoded (UTF-8, ``/`` as it is, a space ``%20``), so that the first three columns of any rows
make a manifest. TaskStatus is ``succeeded`` or ``failed``, as S3 has it, for what was done or tried; three
more account for the rest, with the reason in ErrorCode and ResultMessage: ``skipped`` (left alone, as was
decided or because nothing takes it), ``pending`` (not begun, or half done) and ``undone`` (taken back by an
undo). HTTPStatusCode is 200 for what succeeded, what the store answered where a failure has that, else empty.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

COLUMNS: Final = ("Bucket", "Key", "VersionId", "TaskStatus", "HTTPStatusCode", "ErrorCode", "ResultMessage")

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
PENDING: Final = "pending"
UNDONE: Final = "undone"

# Most keys need no encoding, and looking is five times as fast as `quote`.
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_.~-]*").fullmatch


def encoded(key: str) -> str:
    """Return a key as completion reports have it; bytes that are no UTF-8 come out as they went in."""
    return key if _PLAIN(key) else quote(key, safe="/~", errors="surrogateescape")


def line(bucket: str, key: str, version: str, status: str, http: str, code: str, message: str) -> str:
    """Return a line with `COLUMNS`.

    ``key`` is encoded here; the version, the code and the message are quoted, buckets never have to be.
    """
    # Most have no version and no code, and every message but the empty one has quotes of its own.
    if version:
        version = _quoted(version)
    if code:
        code = _quoted(code)
    if message:
        message = '"' + message.replace('"', '""') + '"'
    return f"{bucket},{encoded(key)},{version},{status},{http},{code},{message}\n"


def _quoted(text: str) -> str:
    # A form of csv.writer's that is three times as fast where most fields are plain.
    return text if _PLAIN(text) else '"' + text.replace('"', '""') + '"'


class Completion:
    """Writes the lines; under its name, ``path``, there is nothing until `__exit__` without an error."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> Self:
        # Keys are encoded; what messages hold of names that are no UTF-8 is spelled out.
        self._file = open(
            f"{self._path}.part",
            "w",
            encoding="utf-8",
            errors="backslashreplace",
            newline="",
            buffering=1 << 20,
        )
        return self

    def add(self, lines: Iterable[str]) -> None:
        """Write lines as `line` makes them."""
        self._file.write("".join(lines))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            os.replace(f"{self._path}.part", self._path)
        else:
            os.unlink(f"{self._path}.part")
