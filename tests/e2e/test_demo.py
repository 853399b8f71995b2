"""`haul demo` as a newcomer runs it: a process of its own, the whole library, no settings at all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulyard.cli import exits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Seconds; it takes a tenth of it on two cores that have nothing else to do.
PATIENCE = 240


@contextmanager
def demo(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with its temporary files below ``temporary``; it does not outlive the block."""
    command = [sys.executable, "-m", "haulyard", "demo"]
    environ = {**os.environ, "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environ, cwd=temporary.parent, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def is_gone(text: str) -> bool:
    """Whether nobody answers where the server was said to be."""
    found = re.search(r"SeaweedFS at http://127\.0\.0\.1:([0-9]+)", text)
    assert found is not None
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(found[1]))) != 0


def test_everything_comes_back_and_nothing_stays(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with demo(temporary) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (exits.OK, "")
    found = re.search(r"^All ([0-9,]+) files came back byte for byte the same\.$", out, re.MULTILINE)
    assert found is not None
    assert int(found[1].replace(",", "")) > 500
    assert "parts were not sent again" in out
    assert "1,999 objects were sorted by rules, through a kill, and put back: none lost, none twice." in out
    assert re.search(r"^    [0-9,]+ of 1,999 were moved$", out, re.MULTILINE)
    assert re.search(
        r"^20,000 XML events are in 80 files in the store, through two kills: none lost, ", out, re.MULTILINE
    )
    assert "362,891 rows are in two tables, 2 were rejected, each with its line: none lost." in out
    assert "rejected: line 26,118: " in out
    assert re.search(r"^[0-9,]+ records reached an API, through a kill: none lost, ", out, re.MULTILINE)
    assert list(temporary.iterdir()) == []
    assert is_gone(out)


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with demo(temporary) as process:
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if line.startswith("$ haul sync"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == exits.INTERRUPTED
    assert err.endswith("interrupted\n")
    assert list(temporary.iterdir()) == []
    assert is_gone(seen)
