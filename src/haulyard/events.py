"""What happens, as typed events; subscribers (progress, statistics, logs) turn them into something to see.

An event is emitted by calling a plain function, `Emit`; rooms print nothing and log nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class RequestDone(NamedTuple):
    """One request came to its end; ``status`` 0 means that no answer came. Seconds and bytes."""

    operation: str
    bucket: str
    key: str
    status: int
    attempts: int
    seconds: float
    sent: int
    received: int
    request_id: str = ""
    code: str = ""


class RequestRetried(NamedTuple):
    """One attempt failed in a way that is worth another, which starts in ``delay`` seconds."""

    operation: str
    bucket: str
    key: str
    attempt: int
    delay: float
    reason: str


class Throttled(NamedTuple):
    """The store asked to slow down; ``rate`` is what is now allowed, in requests a second."""

    bucket: str
    kind: str
    rate: float


class TransferStarted(NamedTuple):
    """A large object, whose size no listing told, starts to move; ``size`` in bytes, -1 where unknown."""

    source: str
    destination: str
    size: int


class BytesMoved(NamedTuple):
    """``size`` more bytes of an object arrived at their destination (negative: they must go again)."""

    source: str
    size: int


class TransferDone(NamedTuple):
    """One object reached its end: ``action`` is ``upload download copy move delete skip …``.

    ``error`` is None where it went well. ``verified`` says by what: ``checksum``, ``size only``, ``""``.
    ``etag`` and ``version_id`` are the destination's, ``source_etag`` is that of what was read.
    """

    action: str
    source: str
    destination: str
    size: int
    seconds: float = 0.0
    verified: str = ""
    etag: str = ""
    version_id: str = ""
    reason: str = ""
    error: Exception | None = None
    source_etag: str = ""


class Warned(NamedTuple):
    """Something that a person should know although the work goes on."""

    message: str
    hint: str = ""


class RecordsEnded(NamedTuple):
    """More records of a job came to their end, and this is durable; ``done`` and ``failed`` count all so far.

    ``size`` is how many bytes of the source objects were read since the last of these events.
    """

    job: str
    done: int
    failed: int
    size: int


class RowsRead(NamedTuple):
    """More rows were read for a table; ``rows`` and ``rejected`` count all that fit, and do not, so far.

    ``size`` is how many stored bytes were read since the last of these events; negative where they are read
    again, with other types. Nothing of it is in the table before the end. ``table`` is ``""`` where files are
    only described.
    """

    table: str
    rows: int
    rejected: int
    size: int


class TypesSought(NamedTuple):
    """More of a file was read to find the types of its columns; its rows are read for themselves afterwards.

    ``size`` is how many stored bytes were read since the last of these events of ``source``.
    """

    source: str
    size: int


class RecordFailed(NamedTuple):
    """One record cannot be delivered, and is kept with the dead letters.

    ``kind`` is ``malformed transform rejected failed``, ``record`` its address: object, offset, row.
    """

    record: str
    kind: str
    reason: str
    status: int
    attempts: int


class CallFailed(NamedTuple):
    """One call to an API failed in a way that is worth another attempt, at the earliest in ``delay`` s."""

    record: str
    attempt: int
    delay: float
    reason: str


class CallsPaused(NamedTuple):
    """No calls are made for ``seconds``, because the API asked for it or does not work."""

    seconds: float
    reason: str


Event = (
    RequestDone
    | RequestRetried
    | Throttled
    | TransferStarted
    | BytesMoved
    | TransferDone
    | RecordsEnded
    | RowsRead
    | TypesSought
    | RecordFailed
    | CallFailed
    | CallsPaused
    | Warned
)
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Drop the event: the default where nobody listens."""
