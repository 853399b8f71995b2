"""Events and errors as lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from haulyard.errors import S3NotFound
from haulyard.events import (
    BytesMoved,
    CallFailed,
    CallsPaused,
    Event,
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
from haulyard.models import Secret
from haulyard.observe import lines

ERROR = S3NotFound("s3://b/k is\ngone", bucket="b", key="k", code="NoSuchKey", status=404, hint="look")


@pytest.mark.parametrize(
    ("event", "level", "kind", "text"),
    [
        (
            RequestDone("GetObject", "b", "k\n", 200, 1, 0.0123, 0, 5),
            "debug",
            "request",
            r"GetObject s3://b/k\n: 200 in 12.3 ms",
        ),
        (
            RequestDone("ListBuckets", "", "", 503, 3, 1.0, 0, 0, code="SlowDown"),
            "debug",
            "request",
            "ListBuckets s3://: 503 SlowDown in 1000.0 ms, 3 attempts",
        ),
        (
            RequestDone("GetObject", "b", "k", 0, 1, 1.0, 0, 0),
            "debug",
            "request",
            "GetObject s3://b/k: no answer in 1000.0 ms",
        ),
        (
            RequestRetried("GetObject", "b", "k", 2, 0.5, "reset"),
            "info",
            "retry",
            "GetObject s3://b/k: attempt 2 failed, again in 0.50 s: reset",
        ),
        (
            Throttled("b", "read", 99.6),
            "warning",
            "throttled",
            "s3://b/: the store asks to slow down; read requests now at 100/s",
        ),
        (TransferStarted("a", "s3://b/a", 5), "debug", "started", "start a to s3://b/a"),
        (BytesMoved("a", -5), "debug", "bytes", "-5 bytes of a"),
        (TransferDone("upload", "a", "s3://b/a", 5), "info", "object", "upload: a to s3://b/a"),
        (
            TransferDone("skip", "a", "b", 5, reason="exists already"),
            "info",
            "object",
            "skip: a to b (exists already)",
        ),
        (
            TransferDone("delete", "s3://b/k", "", 5, error=ERROR),
            "error",
            "object",
            r"delete failed: s3://b/k: s3://b/k is\ngone",
        ),
        (RowsRead("t", 1000, 5, 7), "debug", "rows", "t: 1,000 rows read, 5 rejected"),
        (RowsRead("", 9, 0, 7), "debug", "rows", "files: 9 rows read, 0 rejected"),
        (TypesSought("s3://b/k", 1000), "debug", "types", "s3://b/k: 1,000 bytes read to find types"),
        (RecordsEnded("j", 1000, 5, 7), "debug", "records", "j: 1,000 records done, 5 failed"),
        (
            RecordFailed("1-0-2", "rejected", "HTTP 422: no\nsuch", 422, 1),
            "info",
            "dead_letter",
            r"record 1-0-2 rejected: HTTP 422: no\nsuch",
        ),
        (
            CallFailed("1-0-2", 3, 0.25, "reset"),
            "info",
            "call_failed",
            "record 1-0-2: attempt 3 failed, again in 0.25 s: reset",
        ),
        (CallsPaused(7.5, "HTTP 429"), "warning", "paused", "no calls for 7.5 s: HTTP 429"),
        (Warned("careful", "do"), "warning", "warning", "careful (do)"),
        (Warned("careful"), "warning", "warning", "careful"),
    ],
)
def test_every_event_has_a_level_a_name_and_a_line(event: Event, level: str, kind: str, text: str) -> None:
    assert (lines.level(event), lines.kind(event), lines.text(event)) == (level, kind, text)
    assert json.loads(lines.json_line(kind, lines.fields(event)))["event"] == kind


def test_json_leaves_out_what_is_empty() -> None:
    done = TransferDone("delete", "s3://b/k", "", 0, error=ERROR)
    assert lines.fields(done) == {
        "action": "delete",
        "source": "s3://b/k",
        "size": 0,
        "seconds": 0.0,
        "error": {
            "error": "S3NotFound",
            "message": "s3://b/k is\ngone",
            "hint": "look",
            "code": "NoSuchKey",
            "status": 404,
            "bucket": "b",
            "key": "k",
            "attempts": 1,
        },
    }


def test_json_of_what_json_does_not_know() -> None:
    line = lines.json_line(
        "x", {"when": datetime(2024, 5, 6, tzinfo=UTC), "error": ERROR, "secret": Secret(b"hidden"), "k": "ü"}
    )
    found = json.loads(line)
    assert found["when"] == "2024-05-06T00:00:00Z"
    assert found["error"]["code"] == "NoSuchKey"
    assert found["secret"] == "Secret(…)"
    assert '"ü"' in line


def test_a_line_cannot_steer_a_terminal() -> None:
    assert lines.escape("plain ü text") == "plain ü text"
    assert lines.escape("a\x1b[31m\r\n\x9b\u2028b\u00a0") == r"a\x1b[31m\r\n\x9b\u2028b" + "\u00a0"


def test_errors_of_the_system_name_their_file() -> None:
    assert lines.describe_error(FileNotFoundError(2, "No such file", "x")) == "x: No such file"
    assert lines.describe_error(FileNotFoundError(2, "No such file", b"\xff")) == "\\xff: No such file"
    assert lines.describe_error(OSError(28, "No space left on device")) == "No space left on device"
    assert lines.describe_error(TimeoutError()) == "TimeoutError"


def test_what_steers_a_terminal_or_turns_letters_round_is_spelled_out() -> None:
    assert lines.escape("plain Ü 日本") == "plain Ü 日本"
    assert lines.escape("a\x1b[2Jb") == r"a\x1b[2Jb"
    assert lines.escape("exe.\u202etxt.gpj") == r"exe.\u202etxt.gpj"
    assert lines.escape("\u2066a\u2069\u200f") == r"\u2066a\u2069\u200f"
