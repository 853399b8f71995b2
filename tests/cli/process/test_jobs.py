"""Jobs of `haul process` and their dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from tests.cli.process.running import (
    BOB,
    PEOPLE,
    complete,
    jobs,
    run,
)

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from tests.cli.conftest import Box


def test_what_the_api_refuses_is_listed_and_can_be_sent_again(haul: Box, picky: ApiServer) -> None:
    haul.bucket({"in/people.jsonl": b'{"n":"Ann"}\n{"n":"Bob"}\n{nope\n{"n":"Cid"}\n'})
    result = run(haul, picky, "--job", "j", source="s3://b/in/people.jsonl")
    assert result.code == 1
    letters = haul("process", "--dead-letters", "j")
    assert letters.code == 0
    bad, bob = sorted(letters.events, key=lambda letter: letter["kind"])
    assert (bad["kind"], bad["line"], bad["record"]) == ("malformed", 3, "{nope")
    assert (bob["kind"], bob["status"], bob["record"]) == ("rejected", 422, {"n": "Bob"})
    assert list(bob["answer"]) == ["error"]
    # Again without having mended anything: it is still listed, once.
    sofar = len(picky.calls)
    again = haul("process", "--retry-failed", "j", "--rate-limit-calls", "0")
    assert again.code == 1
    assert [call.json() for call in picky.calls[sofar:]] == [{"n": "Bob"}]
    assert len(haul("process", "--dead-letters", "j").events) == 2
    picky.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 1
    (left,) = haul("process", "--dead-letters", "j").events
    assert left["kind"] == "malformed"
    sofar = len(picky.calls)
    assert haul("process", "--retry-failed", "j").code == 1
    assert run(haul, picky, "--job", "j", source="s3://b/in/people.jsonl").code == 1
    assert len(picky.calls) == sofar


def test_a_finished_job_ends_well_once_its_dead_letters_were_delivered(haul: Box, picky: ApiServer) -> None:
    assert run(haul, picky, "--job", "j").code == 1
    assert run(haul, picky, "--job", "j").code == 1
    picky.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 0
    assert haul("process", "--dead-letters", "j").out == ""
    assert run(haul, picky, "--job", "j").code == 0


def test_dead_letters_are_sent_again_some_at_a_time(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(10))})
    with ApiServer(Rule(400, where=lambda call: call.json()["n"] % 2 == 0)) as api:
        assert run(haul, api, "--job", "j", source="s3://b/n.jsonl").code == 1
        api.script()
        again = ["--retry-failed", "j", "--rate-limit-calls", "0", "--limit", "2"]
        codes = [haul("process", *again).code for _ in range(3)]
        assert codes == [1, 1, 0]
        assert [call.json()["n"] for call in api.calls[10:]] == [0, 2, 4, 6, 8]


def test_dead_letters_of_an_unfinished_job_are_sent_again_and_it_stays_unfinished(
    haul: Box, picky: ApiServer
) -> None:
    assert run(haul, picky, "--job", "j", "--limit", "2").code == 1
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 1
    picky.script()
    assert haul("process", "--retry-failed", "j", "--rate-limit-calls", "0").code == 0
    assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
    assert [call.json()["id"] for call in picky.calls if call.delivered] == ["1", "2", "3"]


def test_a_job_that_has_sent_nothing_has_nothing_to_send_again(haul: Box) -> None:
    with ApiServer(Rule(401)) as api:
        assert run(haul, api, "--job", "j").code == 3
    result = haul("process", "--retry-failed", "j")
    assert result.code == 2
    assert "job j has sent nothing yet" in result.err
    assert haul("process", "--dead-letters", "j").out == ""


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ("s3://l/bad.jsonl", "bad.jsonl"),
        ("s3://l", "dead-letters.jsonl"),
        ("s3://l/x/", "x/dead-letters.jsonl"),
    ],
)
def test_dead_letters_go_into_the_store_as_well(haul: Box, picky: ApiServer, where: str, key: str) -> None:
    store = haul.bucket({}, "l")
    assert run(haul, picky, "--dead-letters-to", where, "--job", "j").code == 1
    written = haul.contents(store)
    assert list(written) == [key]
    assert orjson.loads(written[key])["record"] == BOB
    assert (haul.cwd / ".haul" / "jobs" / "j" / "dead-letters.jsonl").read_bytes() == written[key]


def test_dead_letters_go_into_a_file_as_well(haul: Box, picky: ApiServer) -> None:
    assert run(haul, picky, "--dead-letters-to", "bad.jsonl").code == 1
    assert orjson.loads((haul.cwd / "bad.jsonl").read_bytes())["record"] == BOB


def test_another_job_of_the_name_is_refused(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--job", "j").code == 0
    for words in (["--fields", "id"], ["--method", "PUT"], ["--types", "infer"], ["--sample", "0.5"]):
        refused = run(haul, api, "--job", "j", *words)
        assert refused.code == 2
        assert "job j is another one: process s3://b/in/people.csv" in refused.err
    assert len(api.calls) == 3


def test_a_new_job_keeps_the_one_that_has_sent_something(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--job", "j").code == 0
    result = run(haul, api, "--job", "j", "--new", "--fields", "id")
    assert result.code == 0, result.err
    assert "it is kept as j-1" in result.err
    assert jobs(haul) == ["j", "j-1"]
    assert len(api.calls) == 6


def test_a_new_job_takes_the_place_of_one_that_has_sent_nothing(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--job", "j", source="s3://b/gone.csv").code == 4
    assert run(haul, api, "--job", "j", "--new").code == 0
    assert jobs(haul) == ["j"]


@pytest.mark.parametrize(
    "words",
    [
        ["--fields", "id"],
        ["--to", "http://127.0.0.1:9/"],
        ["--types", "infer"],
        ["--encoding", "latin-1"],
        ["--method", "PUT"],
        ["--records-per-call", "2"],
    ],
)
def test_a_job_that_is_gone_on_with_keeps_what_it_was_asked_for(
    haul: Box, api: ApiServer, words: list[str]
) -> None:
    assert run(haul, api, "--job", "j").code == 0
    for way in ("--job", "--retry-failed"):
        result = haul("process", way, "j", *words)
        assert result.code == 2
        assert "job j keeps what it was asked for" in result.err


def test_the_same_command_with_its_source_from_the_environment_is_the_same_job(
    haul: Box, api: ApiServer
) -> None:
    haul.environ |= {**complete(api), "RATE_LIMIT_CALLS": "0"}
    for _ in range(2):
        assert haul("process", "--job", "nightly", "--fields", "id").code == 0
    assert len(api.calls) == 3


def test_a_finished_job_is_no_excuse_for_not_sending_what_the_environment_now_names(
    haul: Box, api: ApiServer
) -> None:
    haul.environ |= {**complete(api), "RATE_LIMIT_CALLS": "0"}
    assert haul("process", "--job", "nightly", "--limit", "1").code == 0
    haul.bucket({"in/people.csv": PEOPLE, "in/more.csv": PEOPLE})
    haul.environ["S3_KEY"] = "in/more.csv"
    going_on = haul("process", "--job", "nightly")
    assert going_on.code == 0
    assert "job nightly goes on with s3://b/in/people.csv" in going_on.err
    refused = haul("process", "--job", "nightly")
    assert refused.code == 2
    assert "job nightly is another one" in refused.err


def test_a_bulk_job_is_none_of_this(haul: Box, api: ApiServer) -> None:
    assert haul("plan", "copy", "s3://b/in/", "s3://b/copies/", "--job", "j").code == 0
    for words in (["--job", "j"], ["--dead-letters", "j"], ["--retry-failed", "j"]):
        result = haul("process", *words)
        assert result.code == 2
        assert "no job of haul process" in result.err
    assert "another one" in run(haul, api, "--job", "j").err
