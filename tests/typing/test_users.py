"""The package says that it is typed, and a user's strict mypy agrees with what it says."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

USERS = Path(__file__).with_name("users.py")


def test_the_package_says_that_it_is_typed() -> None:
    assert files("haulyard").joinpath("py.typed").is_file()


def test_a_users_program_is_checked_strictly(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(USERS.read_text(encoding="utf-8"), encoding="utf-8")
    # Without this project's settings: what a user of the installed package sees.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental", str(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
