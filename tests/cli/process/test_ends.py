"""How `haul process` ends, and what it says."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from tests.cli.process.running import (
    PEOPLE,
    run,
)

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from tests.cli.conftest import Box

    from haulyard.testing.api import Call


@pytest.mark.parametrize(
    ("rule", "code", "told"),
    [
        (Rule(401), 3, "refuses the caller: HTTP 401"),
        (Rule(403), 3, "refuses the caller: HTTP 403"),
        (Rule(308, headers={"location": "https://new.example.com/v2?x=1"}), 2, "https://new.example.com/v2"),
    ],
)
def test_an_api_that_takes_nothing_stops_the_job_and_no_record_counts_as_failed(
    haul: Box, rule: Rule, code: int, told: str
) -> None:
    with ApiServer(rule) as api:
        result = run(haul, api, "--job", "j")
        assert result.code == code
        assert told in result.err
        assert [call.number for call in api.calls] == [1]
        assert haul("process", "--dead-letters", "j").out == ""
        api.script()
        assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
        assert sorted(call.json()["id"] for call in api.calls[1:]) == ["1", "2", "3"]


def test_how_to_go_on_is_said_where_it_stops(haul: Box) -> None:
    with ApiServer(Rule(422, contains="Bob"), Rule(401, contains="Cid")) as api:
        result = run(haul, api, "--job", "j", "--job-dir", "my jobs")
        assert result.code == 3
        assert result.err.splitlines()[0].endswith("go on with:  haul process --job j --job-dir 'my jobs'")
        api.script(Rule(422, contains="Bob"))
        assert haul("process", "--job", "j", "--job-dir", "my jobs", "--rate-limit-calls", "0").code == 1
        api.script(Rule(401))
        result = haul("process", "--retry-failed", "j", "--job-dir", "my jobs", "--rate-limit-calls", "0")
        assert result.code == 3
        assert "go on with:  haul process --retry-failed j --job-dir 'my jobs'" in result.err


def test_an_api_that_is_not_there_is_exit_5(haul: Box) -> None:
    with ApiServer() as api:
        address = api.url
    result = haul("process", "s3://b/in/people.csv", "--to", address, "--job", "j")
    assert result.code == 5
    assert haul("process", "--dead-letters", "j").out == ""
    assert "haul process --job j" in result.err


def test_everything_refused_is_exit_5(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(300))})
    with ApiServer(Rule(400)) as api:
        result = run(haul, api, "--job", "j", source="s3://b/n.jsonl")
        assert result.code == 5
        assert "took none of the last" in result.err
        assert haul("process", "--dead-letters", "j").out == ""


@pytest.mark.parametrize("source", ["s3://b/gone.csv", "s3://b/gone/", "s3://nobucket/x.csv", "gone.csv"])
def test_a_source_that_is_not_there_is_exit_4(haul: Box, api: ApiServer, source: str) -> None:
    assert run(haul, api, source=source).code == 4
    assert run(haul, api, "--dry-run", source=source).code == 4


def test_a_source_that_was_replaced_is_refused(haul: Box, api: ApiServer) -> None:
    assert run(haul, api, "--limit", "1").code == 0
    haul.bucket({"in/people.csv": PEOPLE + b"4,Dan\n"})
    result = run(haul, api)
    assert result.code == 2
    assert len(api.calls) == 1


def test_a_signal_lets_calls_in_flight_finish_and_the_job_goes_on_later(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(500))})
    with ApiServer(Rule(hang=True, where=lambda call: call.json()["n"] == 100, times=1)) as api:

        def is_held(call: Call) -> bool:
            return bool(call.json()["n"] == 100)

        def stop() -> None:
            api.wait_for(is_held)
            os.kill(os.getpid(), signal.SIGINT)
            api.release()

        stopper = threading.Thread(target=stop)
        stopper.start()
        result = run(haul, api, "--job", "j", "--grace", "20s", source="s3://b/n.jsonl")
        stopper.join()
        assert result.code == 130, result.err
        assert "go on with:  haul process --job j" in result.err
        assert len(api.calls) < 500
        assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
        assert sorted(call.json()["n"] for call in api.calls) == list(range(500))


def test_a_second_signal_stops_at_once_and_nothing_that_was_answered_is_sent_again(haul: Box) -> None:
    haul.bucket({"n.jsonl": b"".join(b'{"n":%d}\n' % at for at in range(5))})
    with ApiServer(Rule(hang=True, where=lambda call: call.json()["n"] > 0)) as api:

        def is_held(call: Call) -> bool:
            return bool(call.json()["n"] == 4)

        def stop() -> None:
            api.wait_for(is_held)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)

        stopper = threading.Thread(target=stop)
        stopper.start()
        result = run(haul, api, "--job", "j", "--grace", "1h", source="s3://b/n.jsonl")
        stopper.join()
        assert result.code == 130, result.err
        assert "go on with:  haul process --job j" in result.err
        api.script()
        api.release()
        before = len(api.calls)
        assert haul("process", "--job", "j", "--rate-limit-calls", "0").code == 0
        assert sorted(call.json()["n"] for call in api.calls[before:]) == [1, 2, 3, 4]


def test_programs_get_one_object_and_the_log_tells_the_run(haul: Box, picky: ApiServer) -> None:
    result = run(haul, picky, "--job", "j", "--json")
    (event,) = result.events
    assert event["job"] == "j"
    log = [json.loads(line) for line in (haul.cwd / "logs" / "processor.log").read_text().splitlines()]
    assert (log[0]["event"], log[-1]["event"]) == ("began", "ended")
    (letter,) = [line for line in log if line["event"] == "dead_letter"]
    assert (letter["kind"], letter["status"], letter["attempts"]) == ("rejected", 422, 1)


def test_the_log_says_why_it_stopped_and_shows_the_stack_where_everything_is_wanted(haul: Box) -> None:
    with ApiServer(Rule(401)) as api:
        run(haul, api, "--job", "j")
        log = (haul.cwd / "logs" / "processor.log").read_text()
        assert " error   stopped: " in log
        assert "Traceback" not in log
        run(haul, api, "--job", "j", "--log-level", "debug")
    assert "Traceback" in (haul.cwd / "logs" / "processor.log").read_text()


def test_a_log_that_cannot_be_written_is_told(haul: Box, api: ApiServer) -> None:
    (haul.cwd / "logs").write_text("a file")
    result = run(haul, api)
    assert result.code == 2
    assert "logs/processor.log cannot be written" in result.err
    assert api.calls == ()


def test_a_bar_shows_how_much_was_read_where_it_is_wanted(
    haul: Box, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulyard.observe.progress._PATIENCE", 0.0)
    result = run(haul, api, "--progress")
    assert result.code == 0
    assert "B/s]" in result.err
