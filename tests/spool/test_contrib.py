"""The units in contrib: what they start is understood, and systemd understands them."""

from __future__ import annotations

import importlib
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from haulyard.cli.parsing import build

_CONTRIB = Path(__file__).parents[2] / "contrib"
_UNITS = sorted(_CONTRIB.glob("*.service"))


def _unit(path: Path) -> RawConfigParser:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(path.read_text())
    return unit


@pytest.mark.parametrize("path", _UNITS, ids=lambda path: path.name)
def test_the_command_of_a_unit_is_understood(path: Path) -> None:
    service = _unit(path)["Service"]
    program, verb, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "haul"
    build(verb, importlib.import_module(f"haulyard.cli.{verb}")).read(words)


@pytest.mark.parametrize("path", _UNITS, ids=lambda path: path.name)
def test_a_unit_may_write_where_its_command_does_and_nowhere_else(path: Path) -> None:
    service = _unit(path)["Service"]
    directory = shlex.split(service["ExecStart"])[2]
    assert service["ReadWritePaths"] == directory
    assert service["ProtectSystem"] == "strict"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("path", _UNITS, ids=lambda path: path.name)
def test_systemd_understands_a_unit(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace("/opt/haulyard/bin/haul", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],  # noqa: S607 -- wherever it is
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # It looks at the units of this machine as well: only what it says of ours counts.
    assert [line for line in checked.stderr.splitlines() if path.name in line] == []


def test_there_is_a_unit_for_each_of_the_two() -> None:
    assert [path.name for path in _UNITS] == ["haul-ship.service", "haul-spool.service"]
