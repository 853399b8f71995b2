"""`haul run`: many lines in one process."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.cli.commands import load
from haulyard.cli.parsing import HelpRequested, build
from haulyard.cli.script import VERBS, Grammar, Script, split_words
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Box, Result


def run(haul: Box, text: str, *words: str) -> Result:
    path = haul.cwd / "lines"
    path.write_text(text)
    return haul("run", str(path), *words)


def test_lines_run_and_share_one_connection(haul: Box, tmp_path: Path) -> None:
    haul.bucket({f"k{n}": b"%d" % n for n in range(100)})
    lines = "".join(f"cp s3://b/k{n} {tmp_path}/out/\n" for n in range(100))
    result = run(haul, lines)
    assert (result.code, result.err) == (0, "")
    assert len(result.out.splitlines()) == 100
    assert (tmp_path / "out" / "k42").read_bytes() == b"42"
    assert [connection.closed for connection in haul.connections] == [1]


def test_quotes_comments_blank_lines_and_the_programs_name(haul: Box, tmp_path: Path) -> None:
    haul.bucket({"a b": b"1", "c#d": b"2"})
    lines = f"""# a comment

      haul cp 's3://b/a b' {tmp_path}/one   # another
cp "s3://b/c#d" {tmp_path}/two"""
    assert run(haul, lines).code == 0
    assert (tmp_path / "one").read_bytes() == b"1"
    assert (tmp_path / "two").read_bytes() == b"2"


def test_a_line_that_fails_is_named_and_the_others_go_on(haul: Box, tmp_path: Path) -> None:
    haul.bucket({"k": b"1"})
    lines = f"""head s3://b/nope
cp s3://b/k {tmp_path}/k
cp --nope
frobnicate
cp s3://b/zzz {tmp_path}/z
head 's3://b/k
"""
    result = run(haul, lines, "--jobs", "1")
    assert result.code == 1
    assert (tmp_path / "k").exists()
    said = [line for line in result.err.splitlines() if not line.startswith("  ")]
    assert [line.partition("line ")[2][0] for line in said] == ["1", "3", "4", "5", "6"]
    assert "did you mean" not in said[2]


def test_all_alike_keep_their_code(haul: Box) -> None:
    haul.bucket({})
    assert run(haul, "head s3://b/1\nhead s3://b/2\n").code == 4
    assert run(haul, "\n# nothing\n").code == 0
    assert haul("run", str(haul.cwd / "none")).code == 4


def test_flags_of_a_line_are_its_own(haul: Box) -> None:
    haul.bucket({"k": b""})
    result = run(
        haul, "head s3://b/k --region r2\nhead s3://b/k\nhead s3://b/k --region r2", "--region", "r1"
    )
    assert result.code == 0
    assert sorted(each.settings.region for each in haul.connections) == ["r1", "r2"]


@pytest.mark.parametrize("line", ["run x", "cat s3://b/k", "config", "put - s3://b/k", "--region r ls"])
def test_what_cannot_be_a_line(haul: Box, line: str) -> None:
    haul.bucket({"k": b""})
    result = run(haul, line)
    assert result.code == 2
    assert "line 1" in result.err


def test_lines_come_from_standard_input_in_any_pieces(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    haul.bucket({"k": b"", "ü": b""})
    reading, writing = os.pipe()
    os.write(writing, "head s3://b/k\nhead s3://b/ü".encode())
    os.close(writing)
    monkeypatch.setattr("haulyard.cli.run._STDIN", reading)
    monkeypatch.setattr("haulyard.cli.run._CHUNK", 5)
    result = haul("run", "-", "--json")
    assert sorted(event["key"] for event in result.events) == ["k", "ü"]


def test_json_names_the_line(haul: Box) -> None:
    import json

    haul.bucket({})
    result = run(haul, "\nhead s3://b/k", "--json")
    error = json.loads(result.err)
    assert (error["where"], error["error"]) == ("line 2", "NotFound")


# The fast path says what argparse says.

WORDS = st.one_of(
    st.sampled_from(
        [
            *("s3://b/k", "s3://b/p/", "out/", "-", "a b", "*", "", "abort", "start", "r1"),
            *("-r", "--recursive", "--json", "--region", "--region=x", "--nope", "-n", "--include", "*.txt"),
            *(
                "--metadata",
                "a=b",
                "--version-id",
                "v",
                "--",
                "--depth",
                "2",
                "--tier",
                "bulk",
                "-d",
                "--help",
            ),
            *("\0" + "0", "\0" + "1"),
        ]
    ),
    st.text(max_size=5),
)


@given(st.sampled_from(VERBS), st.lists(WORDS, max_size=7), st.lists(WORDS, max_size=7))
def test_what_is_parsed_fast_is_what_argparse_says(verb: str, first: list[str], second: list[str]) -> None:
    grammar = Grammar(load(verb), build(verb, load(verb)))
    for words in (first, second, [word if word.startswith("-") else f"x{word}" for word in first]):
        try:
            flags, positionals = grammar.parser.split(words)
        except ConfigError:
            continue
        outcomes = []
        for parse in (grammar.arguments, build(verb, load(verb)).parse):
            try:
                outcomes.append(("said", vars(parse(flags, positionals))))
            except (ConfigError, HelpRequested) as error:
                outcomes.append((type(error).__name__, {"message": str(error)}))
        assert outcomes[0] == outcomes[1]


@given(st.text())
def test_lines_are_split_as_shells_do(text: str) -> None:
    try:
        expected = shlex.split(text, comments=True)
    except ValueError:
        with pytest.raises(ConfigError):
            split_words(text)
    else:
        assert split_words(text) == expected


def test_templates_do_not_pile_up() -> None:
    script = Script()
    for number in range(600):
        line = script.parse(f"put file s3://b/k --metadata n={number}")
        assert line is not None
        assert line.arguments.metadata == [f"n={number}"]
    assert len(script._grammars["put"]._templates) <= 256
