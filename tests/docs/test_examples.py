"""What the documentation prints is what happens.

A ``console`` block is a session: a line that starts with ``$`` is run (``>`` continues it), what follows is
its output. All sessions of a page are one shell, in an empty directory, with the variables of a store; a page
that starts one of its own uses that. ``…`` stands for anything within a line, and by itself for any lines;
points in time may differ; lines may come in any order, for objects are moved at the same time. A command may
fail only if the next one looks at ``$?``. Blocks of ``python`` are run where they stand. In blocks of ``sh``
every command of ``haul`` has to be understood by its parser.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.docs import pages

from haulyard import Client
from haulyard.cli import commands
from haulyard.cli.dispatch import split_verb
from haulyard.cli.parsing import HelpRequested, build
from haulyard.local import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?Z?")
_END = "<end of a command>"
#: The blocks of these pages go on from each other: they are run as one program (test_python_api).
_OTHERS = {"docs/python-api.md", "docs/tables-in-python.md"}
_PAGES = [page for page in pages.pages() if pages.name_of(page) not in _OTHERS]
_SECONDS = 120
#: Settings of whoever runs the tests, and the coverage of programs, which is measured elsewhere.
_NOT_OURS = ("AWS_", "HAUL_", "COV")


class Command(NamedTuple):
    """A line to be run, and the lines that it is to print."""

    line: str
    output: list[str]


def _session(page: Path) -> list[Command]:
    found: list[Command] = []
    for block in pages.blocks(page):
        if block.language == "python":
            found.append(Command(f"python - <<'END'\n{block.text}END", ["…"]))
        if block.language != "console":
            continue
        for line in block.text.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], []))
            elif line.startswith("> "):
                last = found.pop()
                found.append(last._replace(line=f"{last.line}\n{line[2:]}"))
            else:
                found[-1].output.append(line)
    return found


_SESSIONS = [page for page in _PAGES if _session(page)]


@pytest.mark.parametrize("page", _SESSIONS, ids=pages.name_of)
def test_the_sessions_of_a_page_go_as_printed(page: Path, shell: Shell) -> None:
    session = _session(page)
    results = shell.run([command.line for command in session])
    for command, following, (code, output) in zip(session, [*session[1:], None], results, strict=True):
        looked_at = following is not None and "$?" in following.line
        assert code == 0 or looked_at, f"{command.line} ended with {code}:\n{output}"
        assert _agree(command.output, output.splitlines()), f"{command.line} printed\n{output}"


@pytest.mark.parametrize("name", ["fsspec.md", "provider.md"])
def test_a_session_of_a_filesystem_can_be_had_again(name: str, shell: Shell) -> None:
    lines = [command.line for command in _session(pages.DOCS / name)]
    for line, (code, output) in zip(lines * 2, shell.run(lines * 2), strict=True):
        assert code == 0, f"{line} ended with {code}:\n{output}"


@pytest.mark.parametrize("page", _PAGES, ids=pages.name_of)
def test_commands_that_are_shown_and_not_run_are_understood(page: Path) -> None:
    for block in pages.blocks(page):
        if block.language == "sh":
            for words in _haul_lines(block.text):
                verb, rest = split_verb(words)
                try:
                    build(verb, commands.load(verb)).read(rest)
                except HelpRequested:
                    continue


class Shell:
    """A shell in an empty directory, with an empty home and a store."""

    def __init__(self, directory: Path, variables: dict[str, str]) -> None:
        self.directory = directory
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(directory / "home"),
            "AWS_EC2_METADATA_DISABLED": "true",
            **variables,
        }

    def run(self, lines: list[str]) -> list[tuple[int, str]]:
        """Run the lines one after the other; return code and output (both streams) of each."""
        # The code of a line is there for the next one to look at.
        script = "\n".join(f"(exit $code)\n{line}\ncode=$?; echo; echo '{_END}' $code" for line in lines)
        ended = subprocess.run(
            ["bash", "-c", f"exec 2>&1; code=0\n{script}"],  # noqa: S607 -- whatever bash there is
            cwd=self.directory / "work",
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        pieces = re.split(rf"\n?{re.escape(_END)} (\d+)\n", ended.stdout)
        return [(int(code), output) for output, code in zip(pieces[:-1:2], pieces[1::2], strict=True)]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What leads to a store that only pages use: they name their buckets as they like."""
    store = EmbeddedStore(tmp_path_factory.mktemp("pages"))
    store.start(attached=True)
    try:
        yield store.environment()
    finally:
        store.stop(grace=0)


@pytest.fixture
def shell(tmp_path: Path, variables: dict[str, str]) -> Iterator[Shell]:
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "home").mkdir()
    yield Shell(tmp_path, variables)
    _empty(variables)
    # One that a page started, and did not stop.
    EmbeddedStore(work / ".haul" / "local").stop(grace=0)


def _empty(variables: dict[str, str]) -> None:
    """Remove all buckets: the next page may name its own alike."""
    with Client(
        endpoint_url=variables["AWS_ENDPOINT_URL_S3"],
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
    ) as client:
        for bucket in client.buckets():
            client.delete_tree(f"s3://{bucket.name}", all_versions=True)
            client.remove_bucket(f"s3://{bucket.name}")


def _haul_lines(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        for is_operator, command in itertools.groupby(words, lambda word: set(word) <= set("();<>|&")):
            found = list(command)
            if not is_operator and found[0] == "haul":
                yield found[1:]


def _agree(expected: list[str], actual: list[str]) -> bool:
    """Whether every line that came was expected, and every one that was expected came."""
    any_lines = "…" in expected
    patterns = [_pattern(line) for line in expected if line != "…"]
    for line in actual:
        match = next((pattern for pattern in patterns if pattern.fullmatch(_timeless(line))), None)
        if match is not None:
            patterns.remove(match)
        elif not any_lines and line:
            return False
    return all(pattern.pattern == "" for pattern in patterns)


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, _timeless(line).split("…"))))


def _timeless(line: str) -> str:
    return _TIME.sub("TIME", line.rstrip())


def test_json_that_is_shown_is_json() -> None:
    for page in _PAGES:
        for block in pages.blocks(page):
            if block.language == "json":
                json.loads(block.text)


def test_toml_that_is_shown_is_a_file_of_rules_or_of_settings(tmp_path: Path) -> None:
    from haulyard.config import resolve
    from haulyard.jobs.rules import Rules

    for page in _PAGES:
        for block in pages.blocks(page):
            if block.language == "toml" and re.search(
                r"^\[(\[rule\]|fallback|folders)\]", block.text, re.MULTILINE
            ):
                Rules.parse(block.text, pages.name_of(page))
            elif block.language == "toml":
                (tmp_path / "haul.toml").write_text(block.text)
                resolve({}, {"HOME": "/"}, str(tmp_path))
