"""Results on standard output, all else on standard error, both as text and as JSON."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, ClassVar, cast

import pytest

from haulyard.cli.output import Output
from haulyard.cli.writer import Writer
from haulyard.errors import S3NotFound
from haulyard.events import RequestDone, TransferDone
from haulyard.observe.stats import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.BytesIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Fact:
    """A result."""

    kind: ClassVar[str] = "fact"
    name: str

    def text(self) -> str:
        return self.name

    def fields(self) -> dict[str, object]:
        return {"name": self.name}


class Streams:
    """Two streams and what was written to them."""

    def __init__(self, out: io.BytesIO | None = None) -> None:
        self.out = out or io.BytesIO()
        self.err = io.BytesIO()
        self.writer = Writer(self.out, self.err)

    def output(self, *, as_json: bool = False) -> Output:
        return Output(self.writer, as_json=as_json, verb="cp")

    @property
    def said(self) -> str:
        return self.err.getvalue().decode()

    @property
    def written(self) -> str:
        return self.out.getvalue().decode(errors="surrogateescape")


def test_results_wait_for_a_page_and_a_terminal_waits_for_nothing() -> None:
    pipe, terminal = Streams(), Streams(Terminal())
    for each in (pipe, terminal):
        each.output().result(Fact("one"))
    assert (pipe.written, terminal.written) == ("", "one\n")
    pipe.writer.flush()
    assert pipe.written == "one\n"
    pipe.output().results([Fact("x" * 70_000), Fact("y")])
    assert len(pipe.written) == 70_000 + len("one\ny\n") + 1


def test_what_waits_is_written_soon_while_a_loop_runs() -> None:
    streams = Streams()
    calls: list[Callable[[], None]] = []
    streams.writer.later = lambda _, call: calls.append(call)
    streams.output().result(Fact("one"))
    streams.output().result(Fact("two"))
    assert len(calls) == 1
    calls[0]()
    assert streams.written == "one\ntwo\n"
    streams.output().result(Fact("three"))
    assert len(calls) == 2


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    streams = Streams()
    streams.output().lines([os.fsdecode(b"caf\xe9")])
    streams.writer.flush()
    assert streams.out.getvalue() == b"caf\xe9\n"


def test_the_fate_of_an_object_is_a_result_and_a_failure_is_not() -> None:
    streams = Streams()
    output = streams.output()
    output.transfer(TransferDone("upload", "a", "s3://b/a", 1))
    error = S3NotFound("s3://b/c is not there", key="c", hint="look elsewhere")
    output.transfer(TransferDone("download", "s3://b/c", "c", -1, error=error))
    output.at("line 7", "cp").transfer(TransferDone("download", "s3://b/c", "c", -1, error=error))
    streams.writer.flush()
    assert streams.written == "upload: a to s3://b/a\n"
    failure = "download failed: s3://b/c to c: s3://b/c is not there\n  look elsewhere\n"
    assert streams.said == failure + "line 7: " + failure


def test_json_holds_one_event_a_line() -> None:
    streams = Streams()
    output = streams.output(as_json=True)
    output.result(Fact("ü\n"))
    output.transfer(TransferDone("upload", "a", "s3://b/a", 1, etag="e"))
    error = S3NotFound("gone", bucket="b", key="k", code="NoSuchKey", status=404, request_id="r", hint="h")
    output.at("line 2", "cp").transfer(TransferDone("copy", "a", "b", 1, error=error))
    output.at("line 2", "cp").error(error)
    output.note("by the way")
    output.statistics(Statistics())
    streams.writer.flush()
    facts = [json.loads(line) for line in streams.written.splitlines()]
    assert facts[0] == {"event": "fact", "name": "ü\n"}
    assert facts[1]["etag"] == "e"
    failed, problem, note, statistics = map(json.loads, streams.said.splitlines())
    assert (failed["where"], failed["error"]["error"]) == ("line 2", "S3NotFound")
    assert problem == {
        "event": "error",
        "where": "line 2",
        "error": "S3NotFound",
        "message": "gone",
        "hint": "h",
        "code": "NoSuchKey",
        "status": 404,
        "bucket": "b",
        "key": "k",
        "request_id": "r",
        "attempts": 1,
    }
    assert note["message"] == "by the way"
    assert statistics["retries"] == 0


def test_text_for_people() -> None:
    streams = Streams()
    output = streams.output()
    output.note("by the way")
    output.log("debug: x")
    statistics = Statistics()
    statistics(RequestDone("GetObject", "b", "k", 200, 1, 0.01, 0, 5))
    output.statistics(statistics)
    lines = streams.said.splitlines()
    assert lines[:2] == ["by the way", "debug: x"]
    assert lines[2].startswith("info: GetObject: 1 requests, p50")


def test_both_streams_of_a_terminal_keep_their_order_and_clear_the_bar() -> None:
    both = Terminal()
    writer = Writer(both, both)
    cleared: list[bool] = []
    writer.aside = lambda: cleared.append(True)
    output = Output(writer)
    output.result(Fact("first"))
    output.note("second")
    assert both.getvalue() == b"first\nsecond\n"
    assert len(cleared) == 2


def test_a_reader_that_went_away_is_noticed_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as out:
        writer = Writer(cast("BinaryIO", out), io.BytesIO())
        calls: list[Callable[[], None]] = []
        writer.later = lambda _, call: calls.append(call)
        Output(writer).result(Fact("one"))
        calls[0]()
        with pytest.raises(BrokenPipeError):
            writer.flush()
        writer.abandon()
        out.write(b"into nowhere")
