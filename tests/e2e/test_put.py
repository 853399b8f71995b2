"""put and cat as their users meet them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.e2e.saying import says

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

MIB = 1024**2


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB])
def test_streams_of_every_size_go_in_and_come_out(haul: Program, bucket: str, size: int) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    haul.ok("put", "-", f"{bucket}/k", stdin=content)
    assert haul.ok("cat", f"{bucket}/k").raw == content
    haul.ok("cp", "-", f"{bucket}/by-cp", stdin=content)
    assert haul.ok("cp", f"{bucket}/by-cp", "-").raw == content
    assert haul.ok("uploads", bucket).out == ""


def test_a_file_gets_its_name_below_a_prefix(haul: Program, bucket: str) -> None:
    (haul.cwd / "f.csv").write_bytes(b"1,2")
    haul.ok("put", "f.csv", f"{bucket}/in/")
    (head,) = haul.ok("head", "--json", f"{bucket}/in/f.csv").events
    assert (head["size"], head["content_type"]) == (3, "text/csv")


def test_pipes_and_devices_are_read_as_they_come(haul: Program, bucket: str) -> None:
    done = haul.shell(
        f"haul put <(seq 100000) {bucket}/k && haul cat {bucket}/k | md5sum && seq 100000 | md5sum"
    )
    assert done.code == 0, done.err
    one, other = done.out.splitlines()[-2:]
    assert one == other
    haul.ok("put", "/dev/null", f"{bucket}/nothing")
    assert haul.ok("cat", f"{bucket}/nothing").raw == b""


def test_no_clobber_keeps_what_is_there(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/k", "--no-clobber", stdin=b"first")
    says(haul("put", "-", f"{bucket}/k", "--no-clobber", stdin=b"second"), 1, "PreconditionFailed|exists")
    assert haul.ok("cat", f"{bucket}/k").raw == b"first"


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        ("put no-file {b}/k", 4, "no-file: no such file", ""),
        ("put d {b}/k", 2, "d is a directory", "cp -r"),
        ("put f f2", 2, "local path", "s3://"),
        ("put - {b}/p/", 2, "is a prefix, and a stream has no name", "NAME"),
        ("put f s3://no-such-bucket-here/k", 4, "NoSuchBucket", "haul mb"),
        ("put f", 2, "required: S3URL", "--help"),
        ("cat {b}/no-key", 4, "NoSuchKey", "haul ls"),
        ("cat {b}/tree", 2, "is a directory or prefix", ""),
        ("cat f", 2, "local path", "s3://"),
        ("cat {b}/k --range 9999999-", 1, "InvalidRange|range", ""),
        ("cat {b}/k --range x", 2, "range", ""),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    prepared: tuple[Program, str], words: str, code: int, message: str, hint: str
) -> None:
    haul, bucket = prepared
    says(haul(*words.format(b=bucket).split()), code, message, hint)


def test_a_pipe_that_breaks_stores_nothing_of_what_it_brought(haul: Program, bucket: str) -> None:
    # Its writer dies: that cannot be told from the end, and what came is stored, as by any Unix program.
    done = haul.shell(f"(echo half; exit 1) | haul put - {bucket}/k; haul cat {bucket}/k")
    assert "half" in done.out or done.code == 1


def test_a_reader_that_stops_ends_cat_and_cp(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/k", stdin=b"line\n" * 2_000_000)
    for words in ("cat", "cp"):
        end = " -" if words == "cp" else ""
        done = haul.shell(f"set +o pipefail; haul {words} {bucket}/k{end} | head -n 1")
        assert (done.code, done.out, done.err) == (0, "line\n", "")


def test_objects_are_written_one_after_the_other(haul: Program, bucket: str) -> None:
    for name in "abc":
        haul.ok("put", "-", f"{bucket}/{name}", stdin=name.encode() * 3)
    assert haul.ok("cat", *(f"{bucket}/{name}" for name in "cab")).raw == b"cccaaabbb"


def test_what_is_put_into_a_closed_pipe_is_no_crash(haul: Program, bucket: str) -> None:
    haul.ok("put", "-", f"{bucket}/k", stdin=b"x" * 3_000_000)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out:
        done = subprocess.run(
            [haul.path, "cat", f"{bucket}/k"],
            stdout=out,
            stderr=subprocess.PIPE,
            env=haul.environ,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")
