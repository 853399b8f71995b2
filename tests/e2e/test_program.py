"""What only a whole process shows: signals, pipes, closed streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Program


def test_python_m_haulyard_is_haul(haul: Program) -> None:
    done = subprocess.run([sys.executable, "-m", "haulyard", "--version"], capture_output=True, check=True)
    assert done.stdout == haul("--version").raw


def test_objects_go_in_and_come_out_byte_for_byte(haul: Program, bucket: str) -> None:
    content = bytes(range(256)) * 80_000
    haul.ok("put", "-", f"{bucket}/large", stdin=content)
    assert haul.ok("cat", f"{bucket}/large").raw == content
    assert haul.ok("cat", f"{bucket}/large", "--range", "5000000-5000009").raw == content[5_000_000:5_000_010]
    (head,) = haul.ok("head", f"{bucket}/large", "--json").events
    assert (head["size"], head["checksums"][0]["algorithm"]) == (len(content), "CRC64NVME")


def test_a_reader_that_goes_away_ends_a_command_quietly(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/large", stdin=b"x" * 20_000_000)
    process = haul.start("cat", f"{bucket}/large")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1000) == b"x" * 1000
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            stream.close()


def test_ctrl_c_ends_a_command_whose_pipe_stands_still(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/large", stdin=b"x" * 20_000_000)
    process = haul.start("cat", f"{bucket}/large")
    assert process.stdout is not None
    # It has begun to write, and nobody reads on.
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"interrupted\n")


def test_ctrl_c_aborts_an_upload_from_a_pipe(haul: Program, bucket: str) -> None:
    process = haul.start("put", "-", f"{bucket}/k", "--part-size", "5MiB", "--log-level", "debug")
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"x" * 11_000_000)
    process.stdin.flush()
    # Two parts are sent, the third is being read.
    said = iter(process.stderr.readline, b"")
    parts = (line for line in said if line.startswith(b"debug: UploadPart"))
    for _ in range(2):
        next(parts)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in err
    assert haul.ok("uploads", bucket).out == ""
    assert haul("head", f"{bucket}/k").code == 4


def test_a_full_output_is_one_line(haul: Program, bucket: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [haul.path, "config"], stdout=full, stderr=subprocess.PIPE, env=haul.environ, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"haul config: standard output: No space left on device\n")


def test_closed_streams_are_no_crash(haul: Program, bucket: str) -> None:
    done = haul.shell(f"haul put - {bucket}/k <&- || echo code $?")
    assert done.out == "code 2\n"
    assert "standard input cannot be read" in done.err
    closed = haul.shell("haul config >&- || echo code $? >&2")
    assert closed.err == "haul config: standard output: Bad file descriptor\ncode 1\n"
    assert haul.shell("haul config --nope 2>&- || echo code $?").out == "code 2\n"


def test_lines_run_in_one_process(haul: Program, bucket: str) -> None:
    for number in range(20):
        (haul.cwd / f"f{number}").write_bytes(b"%d" % number)
    up = "".join(f"cp f{number} {bucket}/f{number}\n" for number in range(20))
    assert len(haul.ok("run", "-", stdin=up.encode()).out.splitlines()) == 20
    os.mkdir(haul.cwd / "down")
    (haul.cwd / "lines").write_text(f"cp {bucket}/f7 down/\ncp {bucket}/nope down/\n")
    done = haul("run", "lines")
    assert done.code == 1
    assert "line 2" in done.err
    assert (haul.cwd / "down" / "f7").read_bytes() == b"7"


def test_presigned_urls_work_without_credentials(haul: Program, bucket: str) -> None:
    from urllib.request import Request, urlopen

    put = haul.ok("presign", f"{bucket}/k", "--method", "PUT").out.strip()
    with urlopen(Request(put, data=b"by url", method="PUT"), timeout=60) as answer:  # noqa: S310
        assert answer.status == 200
    got = haul.ok("presign", f"{bucket}/k", "--expires-in", "1m").out.strip()
    with urlopen(got, timeout=60) as answer:  # noqa: S310
        assert answer.read() == b"by url"


def test_ls_of_many_keys_is_complete(haul: Program, bucket: str) -> None:
    for number in range(30):
        (haul.cwd / f"{number:04}").touch()
    haul.ok("cp", "-r", f"{haul.cwd}/", f"{bucket}/many/")
    names = [line.split()[-1] for line in haul.ok("ls", f"{bucket}/many/").out.splitlines()]
    assert sorted(names) == [f"{number:04}" for number in range(30)]
