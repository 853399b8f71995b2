"""`haul ingest --embed`: flags, messages and exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from tests.ingest.embedding.working import EMBEDS, refuses, vector_of

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Box

REVIEWS = b"id,review\n1,good\n2,bad\n3,\n4,good\n"


@pytest.fixture
def api(haul: Box, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An endpoint, named by the environment, and a directory to work in."""
    monkeypatch.chdir(haul.cwd)
    with ApiServer(EMBEDS) as server:
        haul.environ.update(OPENAI_BASE_URL=f"{server.url}/v1", OPENAI_API_KEY="sk-1")
        yield server


def test_a_column_of_vectors_is_added_and_told(haul: Box, api: ApiServer) -> None:
    haul.bucket({"in/reviews.csv": REVIEWS})
    result = haul("ingest", "s3://b/in/reviews.csv", "--embed", "small", "--embed-into", "v")
    assert result.code == 0, result.err
    assert result.out.splitlines()[2:] == [
        "2 texts embedded by small in 1 call: vectors of 4 numbers in v",
        "without a text, and so without a vector: 1 row",
    ]
    with duckdb.connect("haul.duckdb", read_only=True) as connection:
        rows = connection.execute("SELECT review, v FROM reviews ORDER BY id").fetchall()
    assert rows == [
        (text, tuple(vector_of(text)) if text else None) for text in ("good", "bad", None, "good")
    ]


def test_a_text_that_is_refused_is_told_and_the_exit_code_is_1(haul: Box, api: ApiServer) -> None:
    api.script(Rule(400, contains="bad", body=refuses("too long")), EMBEDS)
    haul.bucket({"in/reviews.csv": REVIEWS})
    result = haul("ingest", "s3://b/in/reviews.csv", "--embed", "small")
    assert result.code == 1
    *_, count, why, look = result.out.splitlines()
    assert count == "without a vector, because 1 text failed: 1 row"
    assert why == "  'bad': HTTP 400: too long"
    letters = haul(*look.split()[1:-2])
    assert [each["record"]["text"] for each in letters.events] == ["bad"]


@pytest.mark.parametrize("flag", ["--job", "--retry-failed"])
def test_its_job_is_gone_on_with_by_the_same_command_alone(haul: Box, api: ApiServer, flag: str) -> None:
    haul.bucket({"in/reviews.csv": REVIEWS})
    words = ("ingest", "s3://b/in/reviews.csv", "--embed", "small", "--embed-strict")
    api.script(Rule(400, contains="bad", body=refuses("too long")), EMBEDS)
    assert haul(*words).code == 1
    (job,) = (event["job"] for event in haul("status", "--json").events)
    result = haul("process", flag, job)
    assert (result.code, f"job {job} is not of haul process" in result.err) == (2, True), result.err
    assert "haul process --job" not in haul("status", job).out
    api.script(EMBEDS)
    assert haul(*words).code == 0


def test_for_programs_it_is_part_of_the_result(haul: Box, api: ApiServer) -> None:
    haul.bucket({"in/reviews.csv": REVIEWS})
    (found,) = haul("ingest", "s3://b/in/reviews.csv", "--embed", "small", "--json").events
    told = found["embedded"]
    assert (told["into"], told["dimensions"], told["texts"], told["failed"]) == ("review_embedding", 4, 2, 0)


def test_without_it_before_and_with_it_now_is_another_load(haul: Box, api: ApiServer) -> None:
    haul.bucket({"in/reviews.csv": REVIEWS})
    assert haul("ingest", "s3://b/in/reviews.csv").code == 0
    result = haul("ingest", "s3://b/in/reviews.csv", "--embed", "small")
    assert result.code == 2
    assert "--mode append, --mode replace or --mode upsert" in result.err
    again = haul("ingest", "s3://b/in/reviews.csv", "--embed", "small", "--mode", "replace")
    assert again.code == 0, again.err


@pytest.mark.parametrize("mode", [("append",), ("upsert", "--key", "id")])
def test_rows_that_are_added_get_vectors_and_those_of_another_length_do_not_fit(
    haul: Box, api: ApiServer, mode: tuple[str, ...]
) -> None:
    haul.bucket({"a.csv": REVIEWS, "b.csv": b"id,review\n4,new\n5,newer\n", "c.csv": b"id,review\n6,other\n"})
    words = ("--embed", "small", "--table", "t")
    assert haul("ingest", "s3://b/a.csv", *words).code == 0
    assert haul("ingest", "s3://b/b.csv", *words, "--mode", *mode).code == 0
    other = haul("ingest", "s3://b/c.csv", *words, "--mode", *mode, "--embed-dimensions", "2")
    assert other.code == 1
    assert "the table has vectors of 4 numbers, and small makes some of 2" in other.err
    with duckdb.connect("haul.duckdb", read_only=True) as connection:
        rows = connection.execute("SELECT review, review_embedding FROM t WHERE id > 3").fetchall()
    expected = [(text, tuple(vector_of(text))) for text in ("good", "new", "newer")]
    assert sorted(rows) == sorted(expected if mode == ("append",) else expected[1:])


def test_a_column_that_takes_no_vectors_is_seen_before_anything_is_sent(haul: Box, api: ApiServer) -> None:
    haul.bucket({"a.csv": b"id,review,v\n1,good,x\n", "b.csv": b"id,review\n2,bad\n"})
    assert haul("ingest", "s3://b/a.csv", "--table", "t").code == 0
    words = ("--mode", "append", "--embed", "small", "--embed-into", "V", "--on-drift", "add-columns")
    result = haul("ingest", "s3://b/b.csv", "--table", "t", *words)
    assert (result.code, "t has a column V, of type VARCHAR" in result.err) == (1, True), result.err
    assert api.calls == ()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--embed-batch", "3"), "--embed-batch is for embedding, and no model is named"),
        (("--embed-strict",), "--embed-strict is for embedding"),
        (("--embed", "m", "--embed-batch", "0"), "0 texts cannot go into one call"),
        (("--embed", "m", "--embed-rate", "5/x"), "--embed-rate '5/x' is no rate"),
        (("--embed", "m", "--embed-timeout", "soon"), "--embed-timeout 'soon' is no time"),
        (("--embed", "m", "--embed-timeout", "0"), "longer than nothing"),
        (("--embed", "m", "--to", "x.csv"), "--embed is for a table"),
        (("--embed", "m", "--schema"), "--schema loads nothing"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_is_read(
    haul: Box, words: tuple[str, ...], says: str
) -> None:
    result = haul("ingest", "s3://b/x.csv", *words)
    assert (result.code, says in result.err) == (2, True), result.err


def test_which_column_is_not_guessed_and_nothing_is_sent(haul: Box, api: ApiServer) -> None:
    haul.bucket({"x.csv": b"a,b,n\nx,y,1\n"})
    result = haul("ingest", "s3://b/x.csv", "--embed", "small")
    assert (result.code, "write --embed-column with one of them: a, b" in result.err) == (2, True)
    assert api.calls == ()
