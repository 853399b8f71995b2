"""`haul completion`."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from haulyard.cli.commands import COMMANDS

if TYPE_CHECKING:
    from tests.cli.conftest import Box


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_verb_and_its_flags_are_there(haul: Box, shell: str) -> None:
    script = haul("completion", shell).out
    assert all(verb in script for verb in COMMANDS)
    assert "summarize" in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_accept_the_script(haul: Box, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n"], input=haul("completion", shell).raw, check=True)


def complete(haul: Box, *words: str) -> list[str]:
    """Ask bash what completes the last of ``words``."""
    script = haul("completion", "bash").out
    line = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _haul; printf "%s\\n" "${{COMPREPLY[@]}}"'
    bash = shutil.which("bash") or pytest.skip("bash is not installed")
    found = subprocess.run([bash, "-c", f"{script}\n{ask}"], capture_output=True, check=True, cwd=haul.cwd)
    return found.stdout.decode().split()


def test_bash_completes_verbs_flags_and_files(haul: Box) -> None:
    (haul.cwd / "some-file").touch()
    assert complete(haul, "haul", "hea") == ["head"]
    assert complete(haul, "haul", "ls", "--summ") == ["--summarize"]
    assert complete(haul, "haul", "--json", "du", "--by") == ["--by-class"]
    assert complete(haul, "haul", "put", "some") == ["some-file"]


def test_bash_completes_values_and_flags_before_the_verb(haul: Box) -> None:
    (haul.cwd / "start-file").touch()
    assert complete(haul, "haul", "local", "sta") == ["start", "status"]
    assert complete(haul, "haul", "completion", "f") == ["fish"]
    assert complete(haul, "haul", "uploads", "a") == ["abort"]
    assert complete(haul, "haul", "cp", "--sse", "AE") == ["AES256"]
    assert complete(haul, "haul", "cp", "--log-level", "w") == ["warning"]
    assert complete(haul, "haul", "cp", "--metadata-directive", "C") == ["COPY"]
    assert complete(haul, "haul", "--prof") == ["--profile"]
    assert complete(haul, "haul", "--profile", "ls", "h") == ["head", "help"]
    assert complete(haul, "haul", "--log-file", "start") == ["start-file"]


def test_an_unknown_shell_is_refused(haul: Box) -> None:
    assert haul("completion", "tcsh").code == 2
