from __future__ import annotations

import json
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import Program, bare_environment
from tests.spool.test_rotating import all_ids, content, files, rejected

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Box

EVENTS = b'{"id": 1}\n{"id": 2}\n'


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, bare_environment(tmp_path))


def until(what: Callable[[], Any]) -> None:
    """Return once ``what`` is true of another process."""
    patience = time.monotonic() + 60
    while not what():
        assert time.monotonic() < patience
        time.sleep(0.005)


def is_written(process: subprocess.Popen[bytes], directory: Path, text: bytes) -> Callable[[], bool]:
    """Return what says that an active file holds a text."""

    def look() -> bool:
        assert process.poll() is None
        return any(text in path.read_bytes() for path in directory.glob("*.active"))

    return look


def test_events_from_a_pipe_become_a_file(program: Program, tmp_path: Path) -> None:
    done = program.ok("spool", "out", stdin=EVENTS)
    (path,) = files(tmp_path / "out")
    assert all_ids(tmp_path / "out") == [1, 2]
    assert done.out == f"{path}  2 events, 20 bytes (closed)\n2 events in 1 file\n"


def test_each_file_and_the_sum_are_told_as_json(program: Program, tmp_path: Path) -> None:
    done = program.ok("spool", "out", "--max-events", "1", "--json", stdin=EVENTS)
    first, second, total = done.events
    assert [first["why"], first["events"], first["size"]] == ["events", 1, 10]
    assert second["path"] != first["path"]
    assert total == {"event": "spooled", "directory": "out", "events": 2, "rejected": 0, "files": 2}


def test_xml_gets_a_root_of_ones_choice_and_is_compressed(program: Program, tmp_path: Path) -> None:
    xml = b'<?xml version="1.0"?><e id="1"/>\n<?xml version="1.0"?><e id="2"/>'
    program.ok("spool", "out", "--format", "xml", "--root", "all", "--compress", "gzip", stdin=xml)
    (path,) = files(tmp_path / "out")
    assert path.name.endswith(".xml.gz")
    assert content(path).endswith(b'<all>\n<e id="1"/>\n<e id="2"/>\n</all>\n')


def test_rejected_events_are_told_and_end_in_1(program: Program, tmp_path: Path) -> None:
    done = program("spool", "out", stdin=EVENTS + b"nonsense\n")
    assert done.code == 1
    assert done.out.endswith("2 events in 1 file, 1 rejected (see out/rejected/)\n")
    assert [each["event"] for each in rejected(tmp_path / "out")] == ["nonsense"]


def test_the_directory_may_be_named_by_the_environment(program: Program, tmp_path: Path) -> None:
    assert program("spool", stdin=EVENTS, HAUL_SPOOL_DIR="there").code == 0
    assert all_ids(tmp_path / "there") == [1, 2]


def test_no_events_make_no_file(program: Program, tmp_path: Path) -> None:
    assert program.ok("spool", "out").out == "0 events in 0 files\n"
    assert files(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no directory is named"),
        (("out", "--framing", "documents"), "json does not come as documents"),
        (("out", "--format", "xml", "--root", "1"), "no name of an XML element"),
        (("out", "--max-size", "large"), "--max-size 'large' is not understood"),
        (("out", "--max-size", "0"), "--max-size is at least one byte"),
        (("out", "--max-age", "old"), "--max-age 'old' is not understood"),
        (("out", "--max-events", "-1"), "--max-events is a number of events"),
        (("out", "--min-free", "much"), "--min-free 'much' is not understood"),
    ],
)
def test_what_makes_no_sense_is_told_with_a_hint(haul: Box, words: tuple[str, ...], said: str) -> None:
    result = haul("spool", *words)
    assert result.code == 2
    message, hint = result.err.splitlines()
    assert said in message
    assert hint.strip()


def test_a_second_one_is_told_who_has_the_directory(program: Program, tmp_path: Path) -> None:
    first = program.start("spool", "out")
    assert first.stdin
    first.stdin.write(EVENTS)
    first.stdin.flush()
    until(is_written(first, tmp_path / "out", b'"id": 2'))
    second = program("spool", "out")
    assert second.code == 2
    assert f"locked by process {first.pid}" in second.err
    first.communicate()
    assert first.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_file_with_all_that_was_read(
    program: Program, tmp_path: Path, number: signal.Signals
) -> None:
    process = program.start("spool", "out")
    assert process.stdin
    process.stdin.write(EVENTS + b'{"id"')
    process.stdin.flush()
    until(is_written(process, tmp_path / "out", b'"id": 2'))
    process.send_signal(number)
    assert process.wait(60) == 130
    process.communicate()
    assert all_ids(tmp_path / "out") == [1, 2]
    assert [each["event"] for each in rejected(tmp_path / "out")] == ['{"id"']


def test_hangup_rotates(program: Program, tmp_path: Path) -> None:
    process = program.start("spool", "out")
    assert process.stdin
    for number in (1, 2):
        process.stdin.write(b'{"id": %d}\n' % number)
        process.stdin.flush()
        until(is_written(process, tmp_path / "out", b'"id": %d' % number))
        process.send_signal(signal.SIGHUP)
        until(lambda number=number: len(list((tmp_path / "out").glob("*.json"))) == number)  # type: ignore[misc]
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out.count(b"(asked)") == 2


def test_after_a_kill_the_next_one_finishes_the_file(program: Program, tmp_path: Path) -> None:
    process = program.start("spool", "out", "--compress", "zstd")
    assert process.stdin
    process.stdin.write(EVENTS)
    process.stdin.flush()
    # The header of a frame alone has a size, too: the events are there once it has grown.
    until(lambda: any(path.stat().st_size > 20 for path in (tmp_path / "out").glob("*.active")))
    process.kill()
    process.communicate()
    done = program.ok("spool", "out", stdin=b'{"id": 3}\n')
    assert "2 events" in done.out
    assert "(recovered)" in done.out
    assert sorted(all_ids(tmp_path / "out")) == [1, 2, 3]


def test_a_socket_acknowledges_and_a_signal_ends_it_well(program: Program, tmp_path: Path) -> None:
    process = program.start("spool", "out", "--socket", "s")
    assert process.stderr
    assert process.stderr.readline() == b"listening on s\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(tmp_path / "s"))
        client.sendall(EVENTS)
        with client.makefile("rb") as answers:
            told = json.loads(answers.readline())
            assert told == {"events": 2, "rejected": 0}
            process.send_signal(signal.SIGTERM)
            assert answers.readline() == b""
    assert process.wait(60) == 0
    process.communicate()
    assert all_ids(tmp_path / "out") == [1, 2]
    assert not (tmp_path / "s").exists()


def test_a_reader_of_the_results_that_goes_away_costs_no_event(program: Program, tmp_path: Path) -> None:
    process = program.start("spool", "out", "--max-events", "1")
    assert process.stdin
    assert process.stdout
    process.stdout.close()
    process.stdin.write(b"".join(b'{"id": %d}\n' % number for number in range(20)))
    process.stdin.close()
    assert process.wait(60) == 141
    assert process.stderr
    process.stderr.close()
    assert sorted(all_ids(tmp_path / "out")) == list(range(20))
