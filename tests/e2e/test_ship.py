"""`haul spool` and `haul ship` as a user runs them: variables, exit codes, what is said, and signals."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Done, Program, bare_environment

from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from haulyard.testing.faults import RecordedRequest

_PATIENCE = 30
_NAME = "20250729_161500.xml"
_SHIP = ("ship", "spool", "--to", "s3://bucket/p/", "--settle", "0", "--after", "delete")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def quick(tmp_path: Path, server: FaultServer) -> Program:
    """The program with a scripted server, whose keys are in the shared credentials file."""
    cwd = tmp_path / "cwd"
    (cwd / "spool").mkdir(parents=True)
    write_keys(tmp_path, "AKIDOLD")
    environ = {
        **bare_environment(tmp_path),
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_REGION": "us-east-1",
        "HAUL_STATE_DIR": str(tmp_path / "state"),
    }
    return Program(cwd, environ)


def write_keys(home: Path, key: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = x\naws_session_token = t\n"
    )


def write(haul: Program, count: int) -> dict[str, bytes]:
    files = {f"20250729_1615{number:02}.xml": b"<e n='%d'/>" % number for number in range(count)}
    for name, content in files.items():
        (haul.cwd / "spool" / name).write_bytes(content)
    return files


def shipped(server: FaultServer) -> dict[str, bytes]:
    return {
        key.removeprefix("p/"): server.objects["bucket", key]
        for _, key in server.objects
        if ".haul-probe-" not in key
    }


def of_files(request: RecordedRequest) -> bool:
    return request.key.startswith("p/20") and request.operation == "PutObject"


@contextmanager
def watching(haul: Program, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    process = haul.start(*_SHIP, "--watch", "--retry-base-delay", "10ms", *more)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[bytes]) -> Done:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=_PATIENCE)
    return Done(process.returncode, out, err.decode())


def read_until(process: subprocess.Popen[bytes], what: bytes) -> None:
    """Read what is said until it is said."""
    assert process.stderr is not None
    while line := process.stderr.readline():
        if what in line:
            return
    raise AssertionError(process.communicate()[1])


def test_events_go_from_a_pipe_into_a_bucket_and_come_back(haul: Program, bucket: str) -> None:
    (haul.cwd / ".env").write_text(
        f"BUCKET_NAME={bucket.removeprefix('s3://')}\nHAUL_SPOOL_DIR=spool\nUSE_DATE_FOLDERS=true\n"
    )
    events = b"".join(b'<?xml version="1.0"?><e id="%d"/>' % number for number in range(1000))
    spooled = haul("spool", "--format", "xml", "--max-events", "300", "--json", stdin=events + b"<broken>")
    assert spooled.code == 1, spooled.err
    assert [each["events"] for each in spooled.events if each["event"] == "file"] == [300, 300, 300, 100]
    done = haul("ship", "--settle", "0", "--after", "delete", "--json")
    assert done.code == 0, done.err
    results = [each for each in done.events if each["event"] == "shipped"]
    found = b""
    for each in results:
        content = haul.ok("cat", each["url"]).raw
        assert hashlib.sha256(content).hexdigest() == each["checksum"]
        found += content
        moment = each["key"].rpartition("/")[2]
        assert each["key"] == f"xml-events/{moment[:4]}/{moment[4:6]}/{moment[6:8]}/{moment}"
        head = json.loads(haul.ok("head", each["url"], "--json").out)
        assert head["content_type"] == "application/xml"
        assert head["metadata"]["source"] == "xml-stream-aggregator"
    assert sorted(int(each.split(b'"')[1]) for each in found.split(b"<e id=")[1:]) == list(range(1000))
    assert sorted(path.name for path in (haul.cwd / "spool").iterdir()) == [
        ".haul-ship",
        ".haul-spool",
        "rejected",
    ]


def test_wrong_keys_are_exit_3_and_nothing_is_removed(haul: Program, bucket: str) -> None:
    (haul.cwd / "spool").mkdir()
    files = write(haul, 3)
    words = ("ship", "spool", "--to", f"{bucket}/p/", "--settle", "0", "--after", "delete")
    done = haul(*words, AWS_SECRET_ACCESS_KEY="wrong")
    assert done.code == 3
    assert "SignatureDoesNotMatch" in done.err or "secret" in done.err
    assert {path.name for path in (haul.cwd / "spool").glob("*.xml")} == files.keys()
    assert haul(*words).code == 0


def test_a_bucket_that_is_missing_is_said_and_nothing_is_removed(haul: Program, bucket: str) -> None:
    (haul.cwd / "spool").mkdir()
    write(haul, 1)
    done = haul("ship", "spool", "--to", f"{bucket}-not/p/", "--settle", "0", "--after", "delete")
    assert done.code == 4
    assert "NoSuchBucket" in done.err
    assert (haul.cwd / "spool" / "20250729_161500.xml").exists()


def test_a_store_that_does_not_answer_is_exit_5_and_nothing_is_removed(quick: Program) -> None:
    write(quick, 2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    done = quick(*_SHIP, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{nobody}")
    assert done.code == 5, done.err
    assert len(list((quick.cwd / "spool").glob("*.xml"))) == 2


def test_keys_that_expired_are_read_again_from_their_file(
    quick: Program, server: FaultServer, tmp_path: Path
) -> None:
    files = write(quick, 3)
    server.script(
        Fault(
            where=lambda request: of_files(request) and "AKIDOLD" in request.headers["authorization"],
            status=400,
            body=error_xml("ExpiredToken"),
            attempts="all",
        )
    )
    with watching(quick) as process:
        read_until(process, b"nothing can be shipped")
        write_keys(tmp_path, "AKIDNEWER")
        for name in files:
            server.wait_for(
                lambda request, name=name: request.operation == "HeadObject" and name in request.key,  # type: ignore[misc]
                _PATIENCE,
            )
        done = ended(process)
    assert done.code == 0, done.err
    assert shipped(server) == files


def test_watching_waits_for_a_server_that_is_down_from_the_start(quick: Program, server: FaultServer) -> None:
    files = write(quick, 2)
    server.script(Fault(reset_after=0, attempts="all"))
    with watching(quick, "--json") as process:
        read_until(process, b"again in")
        server.script()
        server.wait_for(lambda request: request.operation == "HeadObject" and "/20" in request.key, _PATIENCE)
        done = ended(process)
    assert done.code == 0, done.err
    ended_well = [each for each in done.events if each["event"] == "shipped" and "error" not in each]
    assert len(ended_well) == len(files) - len(list((quick.cwd / "spool").glob("*.xml")))


def test_stopped_in_the_middle_it_ends_what_is_under_way_and_the_rest_stays(
    quick: Program, server: FaultServer
) -> None:
    files = write(quick, 40)
    server.script(Fault(where=of_files, stall=True, attempts="all", times=2))
    process = quick.start(*_SHIP, "--concurrency", "2")
    try:
        server.wait_for(lambda request: request.fault is not None, _PATIENCE, count=2)
        process.send_signal(signal.SIGTERM)
        read_until(process, b"stopping")
        server.release()
        process.communicate(timeout=_PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    left = {path.name for path in (quick.cwd / "spool").glob("*.xml")}
    assert shipped(server).keys() | left == files.keys()
    assert not shipped(server).keys() & left
    assert len(left) == 38
    assert quick(*_SHIP).code == 0
    assert shipped(server) == files


def test_of_two_shippers_one_works_and_the_other_is_told_by_whom(quick: Program, server: FaultServer) -> None:
    write(quick, 1)
    with watching(quick) as process:
        server.wait_for(of_files, _PATIENCE)
        second = quick(*_SHIP)
        assert second.code == 2
        assert f"process {process.pid}" in second.err
        assert ended(process).code == 0


def test_of_two_spools_one_works_and_the_other_is_told_by_whom(quick: Program) -> None:
    process = quick.start("spool", "spool")
    try:
        assert process.stdin is not None
        process.stdin.write(b'{"id":1}\n')
        process.stdin.flush()
        lock = quick.cwd / "spool" / ".haul-spool" / "lock"
        while not list((quick.cwd / "spool").glob("*.active")):
            assert process.poll() is None
        second = quick("spool", "spool", stdin=b'{"id":2}\n')
        assert second.code == 2
        assert f"process {process.pid}" in second.err
        assert str(process.pid) in lock.read_text()
        process.communicate(timeout=_PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0


def test_its_health_is_told_while_it_waits(quick: Program, server: FaultServer) -> None:
    write(quick, 3)
    server.script(Fault(where=of_files, reset_after=0, attempts="all"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with watching(quick, "--health", str(port)) as process:
        read_until(process, b"nothing can be shipped")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_PATIENCE) as answer:
            metrics = dict(
                line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#"
            )
        backlog = [float(value) for name, value in metrics.items() if "backlog_files" in name]
        assert backlog == [3.0]
        assert ended(process).code == 0
    assert len(list((quick.cwd / "spool").glob("*.xml"))) == 3


def test_its_health_is_told_before_the_store_was_ever_reached(quick: Program, server: FaultServer) -> None:
    write(quick, 3)
    server.script(Fault(reset_after=0, attempts="all"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with watching(quick, "--health", str(port)) as process:
        read_until(process, b"again in")
        with pytest.raises(urllib.error.HTTPError) as unwell:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_PATIENCE)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_PATIENCE) as answer:
            metrics = answer.read().decode()
        server.script()
        ended(process)
    with unwell.value as answer:
        assert answer.code == 503
        assert "bucket" in answer.read().decode()
    assert "haul_ship_backlog_files 3" in metrics
    assert "haul_ship_up 0" in metrics


def test_a_conflict_is_exit_1_and_the_file_is_in_quarantine_with_the_reason(
    quick: Program, server: FaultServer
) -> None:
    files = write(quick, 2)
    server.objects["bucket", f"p/{_NAME}"] = b"<theirs/>"
    done = quick(*_SHIP)
    assert done.code == 1
    assert shipped(server)[_NAME] == b"<theirs/>"
    quarantine = quick.cwd / "spool" / "quarantine"
    assert (quarantine / _NAME).read_bytes() == files[_NAME]
    (reason,) = map(json.loads, (quarantine / "reasons.jsonl").read_text().splitlines())
    assert (reason["file"], reason["key"]) == (_NAME, f"p/{_NAME}")
