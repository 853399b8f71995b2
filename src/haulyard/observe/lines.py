"""Events and errors as lines: a text for people, a JSON object for programs. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from haulyard.events import (
    BytesMoved,
    CallFailed,
    CallsPaused,
    RecordFailed,
    RecordsEnded,
    RequestDone,
    RequestRetried,
    RowsRead,
    Throttled,
    TransferDone,
    TransferStarted,
    TypesSought,
    Warned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from haulyard.events import Event

# Controls, line ends, and what turns the order of letters round, so that a key seems to be another.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LEVELS = {
    RequestDone: "debug",
    TransferStarted: "debug",
    BytesMoved: "debug",
    RecordsEnded: "debug",
    RowsRead: "debug",
    TypesSought: "debug",
    RequestRetried: "info",
    CallFailed: "info",
    TransferDone: "info",
    RecordFailed: "info",
    CallsPaused: "warning",
    Throttled: "warning",
    Warned: "warning",
}
_KINDS = {
    RequestDone: "request",
    RequestRetried: "retry",
    Throttled: "throttled",
    TransferStarted: "started",
    BytesMoved: "bytes",
    TransferDone: "object",
    RecordsEnded: "records",
    RowsRead: "rows",
    TypesSought: "types",
    RecordFailed: "dead_letter",
    CallFailed: "call_failed",
    CallsPaused: "paused",
    Warned: "warning",
}
#: What an error says of itself beyond its message, where it has it.
_ERROR_FIELDS = (
    "hint",
    "code",
    "status",
    "operation",
    "bucket",
    "key",
    "request_id",
    "host_id",
    "attempts",
    "failed",
)


def escape(text: str) -> str:
    r"""Return ``text`` as one line that cannot steer a terminal: control characters as ``\n`` or ``\x1b``."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def json_line(kind: str, fields: Mapping[str, object]) -> str:
    """Return one JSON object: ``event`` and the fields that are not empty; times in ISO 8601."""
    filled = {name: value for name, value in fields.items() if value is not None and value != ""}
    return _encoder()({"event": kind, **filled})


@cache
def _encoder() -> Callable[[object], str]:
    import json  # 4 ms that only --json pays

    return json.JSONEncoder(default=_encode, ensure_ascii=False, separators=(",", ":")).encode


def level(event: Event) -> str:
    """Return how important an event is: ``debug info warning error``."""
    if isinstance(event, TransferDone) and event.error is not None:
        return "error"
    return _LEVELS[type(event)]


def kind(event: Event) -> str:
    """Return the event's name in JSON."""
    return _KINDS[type(event)]


def fields(event: Event) -> dict[str, object]:
    """Return what an event holds, without what is empty or not known."""
    found = {name: value for name, value in event._asdict().items() if value not in {None, ""}}
    if isinstance(event, (TransferStarted, TransferDone)) and event.size < 0:
        del found["size"]
    if isinstance(event, TransferDone) and event.error is not None:
        found["error"] = error_fields(event.error)
    return found


def error_fields(error: BaseException) -> dict[str, object]:
    """Return what a program wants to know of an error; nothing in it is secret."""
    found: dict[str, object] = {"error": type(error).__name__, "message": describe_error(error)}
    for name in _ERROR_FIELDS:
        value = getattr(error, name, None)
        if value:
            found[name] = value
    return found


def describe_error(error: BaseException) -> str:
    """Return what happened, in one line."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename
        shown = name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
        return f"{shown}: {error.strerror}" if shown else error.strerror
    return str(error) or type(error).__name__


def text(event: Event) -> str:  # noqa: PLR0911 -- one return for each event
    """Return an event as one line, with control characters escaped."""
    match event:
        case RequestDone():
            outcome = f"{event.status} {event.code}".rstrip() if event.status else "no answer"
            tries = f", {event.attempts} attempts" if event.attempts > 1 else ""
            name = _object(event.bucket, event.key)
            return f"{event.operation} {name}: {outcome} in {event.seconds * 1000:.1f} ms{tries}"
        case RequestRetried():
            name = _object(event.bucket, event.key)
            again = f"again in {event.delay:.2f} s"
            return (
                f"{event.operation} {name}: attempt {event.attempt} failed, {again}: {escape(event.reason)}"
            )
        case Throttled():
            name = _object(event.bucket, "")
            return f"{name}: the store asks to slow down; {event.kind} requests now at {event.rate:.0f}/s"
        case TransferStarted():
            return f"start {_route(event.source, event.destination)}"
        case BytesMoved():
            return f"{event.size:+d} bytes of {escape(event.source)}"
        case TransferDone():
            return transfer_text(event)
        case RecordsEnded() | RecordFailed() | CallFailed() | CallsPaused():
            return _record_text(event)
        case RowsRead() | TypesSought():
            return _table_text(event)
        case Warned():
            return escape(event.message) + (f" ({escape(event.hint)})" if event.hint else "")


def _table_text(event: RowsRead | TypesSought) -> str:
    if isinstance(event, TypesSought):
        return f"{escape(event.source)}: {event.size:,} bytes read to find types"
    return f"{escape(event.table) or 'files'}: {event.rows:,} rows read, {event.rejected:,} rejected"


def _record_text(event: RecordsEnded | RecordFailed | CallFailed | CallsPaused) -> str:
    match event:
        case RecordsEnded():
            return f"{escape(event.job)}: {event.done:,} records done, {event.failed:,} failed"
        case RecordFailed():
            return f"record {escape(event.record)} {event.kind}: {escape(event.reason)}"
        case CallFailed():
            again = f"again in {event.delay:.2f} s"
            return f"record {event.record}: attempt {event.attempt} failed, {again}: {escape(event.reason)}"
        case CallsPaused():
            return f"no calls for {event.seconds:.1f} s: {escape(event.reason)}"


def transfer_text(event: TransferDone) -> str:
    """Return the fate of one object as one line: ``upload: a.txt to s3://b/a.txt``."""
    route = _route(event.source, event.destination)
    if event.error is not None:
        return f"{event.action} failed: {route}: {escape(describe_error(event.error))}"
    return f"{event.action}: {route}" + (f" ({escape(event.reason)})" if event.reason else "")


def _route(source: str, destination: str) -> str:
    return f"{escape(source)} to {escape(destination)}" if destination else escape(source)


def _object(bucket: str, key: str) -> str:
    return f"s3://{escape(bucket)}/{escape(key)}" if bucket else "s3://"


def _encode(value: object) -> Any:  # noqa: ANN401 -- whatever JSON can hold
    isoformat = getattr(value, "isoformat", None)
    if isoformat is not None:
        return isoformat().replace("+00:00", "Z")
    if isinstance(value, BaseException):
        return error_fields(value)
    return str(value)
