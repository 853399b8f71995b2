"""The examples of every help text work as printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Program, bare_environment

from haulyard.cli.commands import COMMANDS, TRY, load

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Moves thousands of files; it has a test of its own.
SLOW = {"demo"}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Somebody who has just installed it, and does what the help says first."""
    home = tmp_path_factory.mktemp("newcomer")
    cwd = home / "cwd"
    cwd.mkdir()
    program = Program(cwd, bare_environment(home))
    try:
        first = program.shell(f"{TRY}; env")
        assert first.code == 0, first.err
        variables = dict(line.split("=", 1) for line in first.out.splitlines() if line.startswith("AWS_"))
        yield Program(cwd, {**program.environ, **variables})
    finally:
        program("local", "stop")


@pytest.mark.parametrize("verb", [verb for verb in COMMANDS if verb not in SLOW])
def test_examples_work_as_printed(newcomer: Program, verb: str) -> None:
    newcomer.ok("put", "-", "s3://demo/hello.txt", stdin=b"hello\n")
    for example in load(verb).EXAMPLES:
        done = newcomer.shell(example)
        assert done.code == 0, (example, done.out, done.err)
