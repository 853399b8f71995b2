"""`haul put`, and streams in general."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.cli.conftest import Box


def pipe_into_stdin(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let file descriptor 0 read ``content`` until the test is over."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(content)

    threading.Thread(target=write, daemon=True).start()
    monkeypatch.setattr("haulyard.cli.streams.STDIN", reading)


def test_standard_input_becomes_an_object(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    store = haul.bucket({})
    pipe_into_stdin(b"hello\n", monkeypatch)
    result = haul("put", "-", "s3://b/dir/hello.txt", "--metadata", "colour=blue", "--tag", "a=b")
    assert (result.code, result.out) == (0, "upload: - to s3://b/dir/hello.txt\n")
    head = haul.await_(store.head("dir/hello.txt"))
    assert (head.size, head.content_type, head.metadata["colour"], head.tag_count) == (
        6,
        "text/plain",
        "blue",
        1,
    )


def test_a_long_stream_goes_in_parts(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    store = haul.bucket({})
    pipe_into_stdin(b"0123456789" * 1_200_000, monkeypatch)
    result = haul("put", "-", "s3://b/k", "--part-size", "5MiB", "--json")
    assert result.events[0]["size"] == 12_000_000
    head = haul.await_(store.head("k"))
    assert (head.size, head.etag.partition("-")[2]) == (12_000_000, "3")


def test_a_file_is_sent_under_its_name_into_a_prefix(haul: Box, tmp_path: Path) -> None:
    store = haul.bucket({})
    (tmp_path / "page.html").write_text("<p>")
    assert haul("put", str(tmp_path / "page.html"), "s3://b/in/").code == 0
    assert haul.await_(store.head("in/page.html")).content_type == "text/html"


def test_a_named_pipe_is_a_stream(haul: Box, tmp_path: Path) -> None:
    store = haul.bucket({})
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes(b"through a pipe"), daemon=True).start()
    assert haul("put", str(fifo), "s3://b/k").code == 0
    assert haul.await_(store.head("k")).size == 14


def test_no_clobber_leaves_what_is_there(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    haul.bucket({"k": b"before"})
    pipe_into_stdin(b"after", monkeypatch)
    assert haul("put", "-", "s3://b/k", "--no-clobber").code == 1
    assert haul("cat", "s3://b/k").raw == b"before"


def test_what_cannot_be_put_is_said(haul: Box, tmp_path: Path) -> None:
    haul.bucket({})
    cases = {
        ("put", "-", "s3://b/"): (2, "a stream has no name"),
        ("put", "-", "s3://b/k", "--version-id"): (2, "is not a flag"),
        ("put", str(tmp_path / "nope"), "s3://b/k"): (4, "no such file"),
        ("put", str(tmp_path), "s3://b/k"): (2, "is a directory"),
        ("put", "-", "local.txt"): (2, "is a local path"),
        ("put", "-", "s3://b/k", "--metadata", "colour"): (2, "is not KEY=VALUE"),
        ("put", "-", "s3://b/k", "--sse-c-key-file", str(tmp_path / "nokey")): (2, "cannot be read"),
    }
    for words, (code, text) in cases.items():
        result = haul(*words)
        assert (result.code, text in result.err) == (code, True), (words, result.err)


def test_a_closed_standard_input_is_no_crash(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    haul.bucket({})
    monkeypatch.setattr("haulyard.cli.streams.STDIN", 987)
    result = haul("put", "-", "s3://b/k")
    assert result.code == 2
    assert "standard input cannot be read" in result.err


def test_cp_has_streams_at_either_end(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    haul.bucket({})
    pipe_into_stdin(b"through", monkeypatch)
    assert haul("cp", "-", "s3://b/k").code == 0
    assert haul("cp", "s3://b/k", "-").raw == b"through"
    assert haul("cp", "s3://b/nope", "-").code == 4


def test_what_was_written_without_a_checksum_has_none(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    store = haul.bucket({})
    pipe_into_stdin(b"x", monkeypatch)
    haul.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "WHEN_REQUIRED"
    assert haul("put", "-", "s3://b/k").code == 0
    assert haul.await_(store.head("k")).checksums == ()
