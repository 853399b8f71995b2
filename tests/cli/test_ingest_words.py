"""What the library says of its arguments is said of flags on the command line, and of nothing else before."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest
from tests.docs.pages import ROOT

from haulyard.cli import commands
from haulyard.cli.ingest_words import in_flags, speaking_flags, warning_of_flags
from haulyard.cli.parsing import build
from haulyard.errors import ConfigError
from haulyard.events import RowsRead, Warned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Box

    from haulyard.events import Event

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
#: Commands that texts of the library name as such, with their flags.
_COMMANDS = re.compile(r"haul [a-z]+ --[a-z-]+")


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ("on_drift='add-columns' makes nulls", "--on-drift add-columns makes nulls"),
        ("columns= and schema= go by these names", "--columns and --schema-file go by these names"),
        ("mode='upsert' with key=['id', 'day']", "--mode upsert with --key id,day"),
        ("where='id IS NOT NULL'", "--where 'id IS NOT NULL'"),
        ("max_rejects=N loads the others", "--max-rejects N loads the others"),
        ("max_rejects=None", "--max-rejects -1"),
        ("quote='' if quotes mean nothing", "--quote none if quotes mean nothing"),
        ("header=False", "--no-header"),
        ("hive=False: not", "--no-hive: not"),
        ("raise the limit: memory=", "raise the limit: --memory-limit"),
        ("add recursive=True, or", "add --recursive, or"),
        ("start over with Embedding(new=True)", "start over with --embed-new"),
        ("check Embedding(model=) and Embedding(url=);", "check --embed and --embed-url;"),
        ("write Embedding(url='http://h:1/v1'), or", "write --embed-url http://h:1/v1, or"),
        # Names of files and columns are no arguments.
        ("beside it: s3://b/key=1/, table=7/, s3://b/where='x'", ""),
        ("did you mean 'mode=a'? its columns are mode=b, table", ""),
        ("wherever=1, my_key='x'", ""),
    ],
)
def test_arguments_become_flags(said: str, flags: str) -> None:
    assert in_flags(said) == (flags or said)


def _strings() -> Iterator[tuple[str, str]]:
    """Yield the file and the text of each constant of the library that is no docstring."""
    for path in sorted((ROOT / "src/haulyard/ingest").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {
            id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and _text_of(node.value)
        }
        for node in ast.walk(tree):
            if (text := _text_of(node)) and id(node) not in documentation:
                yield path.name, text


def _text_of(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_the_library_speaks_of_no_flag() -> None:
    # What only the command line calls may.
    spoken = [
        (name, text)
        for name, text in _strings()
        if _FLAG.search(_COMMANDS.sub("", text)) and name != "tables_types.py"
    ]
    assert spoken == []


def test_every_flag_that_hints_become_exists() -> None:
    parser = build("ingest", commands.load("ingest"))
    known = {name for action in parser._actions for name in action.option_strings}
    flags = {flag for _, text in _strings() for flag in _FLAG.findall(in_flags(text))}
    assert {"--on-drift", "--schema-file", "--encoding", "--embed-new"} <= flags
    assert flags - known <= {"--json", "--dead-letters"}


def test_errors_and_warnings_are_told_in_flags() -> None:
    with pytest.raises(ExceptionGroup) as caught, speaking_flags():
        raise ExceptionGroup("", [ConfigError("it is wrong", hint="format= says what it is")])
    (error,) = caught.value.exceptions
    assert isinstance(error, ConfigError)
    assert error.hint == "--format says what it is"
    with pytest.raises(ValueError, match="format= is left"), speaking_flags():
        raise ValueError("format= is left")
    heard: list[Event] = []
    emit = warning_of_flags(heard.append)
    emit(Warned("a", hint="format= reads them"))
    emit(RowsRead("table=", 1, 0, 1))
    assert heard == [Warned("a", hint="--format reads them"), RowsRead("table=", 1, 0, 1)]


def test_what_a_command_says_has_flags(haul: Box) -> None:
    haul.bucket({"in/a.csv": b"id,n\n1,2\n", "in/b.csv": b"id\n1\n", "in/notes": b""})
    result = haul("ingest", "s3://b/in/", "--db", str(haul.cwd / "a.duckdb"))
    assert "--on-drift add-columns makes nulls" in result.err
    assert "--format reads them all" in result.err
    assert "format=" not in result.err
    (haul.cwd / "a.csv").write_text('{"a":1}\n{"a":2}\n')
    checked = haul("ingest", str(haul.cwd / "a.csv"), "--validate")
    assert "--format csv reads it as CSV" in checked.out
