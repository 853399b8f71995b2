"""What a command may import: start-up counts in every comparison."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHOW_MODULES = """
import atexit, json, sys
atexit.register(lambda: sys.stderr.write("\\n" + json.dumps(sorted(sys.modules))))
sys.argv = ["haul", *sys.argv[1:]]
from haulyard.cli.main import main
sys.exit(main())
"""

#: Too heavy for every command that needs none of it (`design.md` has the milliseconds).
NEVER = {"botocore", "boto3", "tqdm", "awscrt.http", "requests", "typing_extensions", "unittest", "xml.sax"}
RARELY = {"tomllib", "shlex", "difflib", "csv", "sqlite3", "tempfile", "multiprocessing"}


def modules(cwd: Path, *words: str) -> set[str]:
    """Run a command line in a fresh interpreter and return what it imported."""
    environ = {"HOME": str(cwd), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "r"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", SHOW_MODULES, *words],
        cwd=cwd,
        env=environ,
        capture_output=True,
        check=False,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_version_and_help_load_no_command(tmp_path: Path, words: list[str]) -> None:
    found = modules(tmp_path, *words)
    assert not found & (NEVER | RARELY | {"asyncio", "argparse", "haulyard.config", "haulyard.cli.ls"})


@pytest.mark.parametrize(
    "words",
    [
        ["ls", "s3://b", "--endpoint-url", "http://127.0.0.1:9", "--retries", "1"],
        ["cp", "s3://b/k", "k", "--endpoint-url", "http://127.0.0.1:9", "--retries", "1"],
        ["presign", "s3://b/k", "--endpoint-url", "http://127.0.0.1:9"],
    ],
)
def test_a_plain_command_loads_no_more_than_it_needs(tmp_path: Path, words: list[str]) -> None:
    found = modules(tmp_path, *words)
    assert "haulyard.s3.client" in found
    assert not found & (NEVER | RARELY)


@pytest.mark.parametrize("verb", ["plan", "apply", "status", "undo", "report", "process"])
def test_the_help_of_jobs_loads_neither_journals_nor_stores(tmp_path: Path, verb: str) -> None:
    found = modules(tmp_path, verb, "--help")
    assert f"haulyard.cli.{verb}" in found
    # The parser suggests by way of difflib and wraps its text by way of shutil.
    assert not found & (NEVER | {"csv", "sqlite3", "multiprocessing", "haulyard.jobs.conduct", "orjson"})
    assert not any(name.startswith(("haulyard.s3", "haulyard.journal")) for name in found)


def test_version_and_help_answer_at_once(tmp_path: Path) -> None:
    def seconds(*words: str) -> float:
        """Of the processor, which others may have as well."""
        process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    commands = (("-c", "pass"), ("-m", "haulyard", "--version"), ("-m", "haulyard", "--help"))
    rounds = [[seconds(*words) for words in commands] for _ in range(5)]
    bare, version, help_ = map(min, zip(*rounds, strict=True))
    # A bare interpreter tells how fast this machine is.
    allowed = max(0.15, 6 * bare)
    assert version <= allowed
    assert help_ <= allowed
