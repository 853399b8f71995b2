"""`haul apply`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from haulyard.cli.stop import Stop
from haulyard.errors import S3PermissionError
from haulyard.journal.folder import JobFolder
from haulyard.stores.base import COPY
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from tests.cli.conftest import Box

    from haulyard.models import CopyOptions, CopySource, PutResult

OBJECTS = {f"raw/{number:02}": b"x" * number for number in range(5)}


@pytest.fixture(autouse=True)
def _at_home(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)


def planned(haul: Box, verb: str = "move", *words: str) -> MemoryStore:
    store = haul.stores.get("b") or haul.bucket(OBJECTS)
    result = haul("plan", verb, "s3://b/raw/", "s3://b/new/", "--job", "j", *words)
    assert result.code == 0, result.err
    return store


class Refusing(MemoryStore):
    """Denies copies to the keys in ``denied``."""

    denied: tuple[str, ...] = ()

    async def copy(self, source: CopySource, key: str, options: CopyOptions = COPY) -> PutResult:
        if key in self.denied:
            raise S3PermissionError(f"{key} is denied", operation="CopyObject", key=key, code="AccessDenied")
        return await super().copy(source, key, options)


def refusing(haul: Box, *denied: str) -> Refusing:
    store = haul.stores["b"] = Refusing("b")
    for key, body in OBJECTS.items():
        haul.put(store, key, body)
    store.denied = denied
    return store


def test_a_plan_is_carried_out_and_says_what_to_type_next(haul: Box) -> None:
    store = planned(haul)
    result = haul("apply", "j")
    assert result.code == 0, result.err
    first, *steps = result.out.splitlines()
    assert first.startswith("j: 5 objects moved (10 B) in ")
    assert "verified: 5 by" in first
    assert [step.partition(":")[2].strip() for step in steps] == ["haul report j", "haul undo j"]
    assert haul.contents(store) == {f"new/{key[4:]}": body for key, body in OBJECTS.items()}
    again = haul("apply")
    assert again.code == 0
    assert again.out.startswith("j: nothing was left to do\n")


def test_programs_get_an_event_an_object(haul: Box) -> None:
    planned(haul, "copy")
    *objects, end = haul("apply", "j", "--json").events
    assert sorted(event["destination"][-2:] for event in objects) == ["00", "01", "02", "03", "04"]
    assert {event["event"] for event in objects} == {"object"}
    assert (end["event"], end["job"], end["done"]) == ("job", "j", 5)
    assert end["next"] == ["haul report j", "haul undo j"]


@pytest.mark.parametrize(
    ("decision", "code", "done", "body"),
    [
        ("fail", 1, 4, b"there"),
        ("skip", 0, 4, b"there"),
        ("overwrite", 0, 5, b"x"),
        ("suffix", 0, 5, b"there"),
    ],
)
def test_conflicts_wait_for_a_decision(haul: Box, decision: str, code: int, done: int, body: bytes) -> None:
    store = haul.bucket({**OBJECTS, "new/01": b"there"})
    planned(haul, "copy")
    undecided = haul("apply", "j")
    assert undecided.code == 2
    assert "--on-conflict fail|skip|overwrite|suffix" in undecided.err
    result = haul("apply", "j", "--on-conflict", decision)
    assert result.code == code, result.err
    assert f"{done} objects copied" in result.out
    assert haul.contents(store)["new/01"] == body


def test_what_is_left_alone_is_counted_by_reason(haul: Box) -> None:
    haul.bucket({**OBJECTS, "new/01": b"there"})
    planned(haul, "copy")
    result = haul("apply", "j", "--on-conflict", "skip")
    assert "1 left alone" in result.out
    assert "left alone: 1, the destination exists" in result.out


def test_failures_are_said_once_listed_at_the_end_and_tried_by_the_next_run(haul: Box) -> None:
    store = refusing(haul, "new/01", "new/03")
    planned(haul)
    result = haul("apply", "j")
    assert result.code == 1
    assert "j: 3 objects moved" in result.out
    assert "; 2 failed" in result.out
    assert "try again:      haul apply j" in result.out
    # Each as it happened, though it was tried twice, and in the list.
    assert result.err.count("new/01 is denied") == 2
    assert "2 failed:\n  memory://b/raw/01: new/01 is denied\n" in result.err
    events = haul("apply", "j", "--json")
    assert [json.loads(line)["event"] for line in events.err.splitlines()] == ["object", "object"]
    store.denied = ()
    assert haul("apply", "j").code == 0
    assert len(haul.contents(store)) == 5


def test_a_run_that_could_do_nothing_ends_in_the_code_of_the_reason(haul: Box) -> None:
    refusing(haul, *(f"new/{key[4:]}" for key in OBJECTS))
    planned(haul)
    assert haul("apply", "j").code == 3


def test_too_many_errors_end_the_run_and_it_says_how_to_go_on(haul: Box) -> None:
    refusing(haul, "new/01", "new/03")
    planned(haul)
    result = haul("apply", "j", "--max-errors", "1")
    assert result.code == 1
    assert "to go on: haul apply j" in result.err
    assert "--max-errors allows 1" in result.err


def test_a_ceiling_of_requests_is_given_to_the_connection(haul: Box) -> None:
    planned(haul)
    haul.rates.clear()
    assert haul("apply", "j", "--rate", "250").code == 0
    assert haul.rates == [250.0]


def test_the_job_remembers_its_store_and_a_flag_goes_before_it(haul: Box) -> None:
    haul.environ["HAUL_ENDPOINT_URL"] = "http://127.0.0.1:9"
    planned(haul)
    haul.environ["HAUL_ENDPOINT_URL"] = "http://127.0.0.1:10"
    haul("apply", "j")
    assert haul.connections[-1].settings.endpoint_url == "http://127.0.0.1:9"
    haul("apply", "j", "--endpoint-url", "http://127.0.0.1:11")
    assert haul.connections[-1].settings.endpoint_url == "http://127.0.0.1:11"


def test_a_job_that_somebody_works_on_is_refused_and_says_by_whom(haul: Box) -> None:
    planned(haul)
    with JobFolder.open(str(haul.cwd / ".haul" / "jobs"), "j").lock("haul apply"):
        result = haul("apply", "j")
    assert result.code == 2
    assert "job j is locked by process" in result.err
    assert "(haul apply, since " in result.err


def test_a_run_that_is_asked_to_stop_ends_in_130_and_goes_on(
    haul: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = planned(haul)
    with monkeypatch.context() as patch:
        patch.setattr(Stop, "is_requested", lambda _: True)
        stopped = haul("apply", "j")
    assert stopped.code == 130
    assert "go on:" in stopped.out
    assert haul("apply", "j").code == 0
    assert "new/04" in haul.contents(store)


def test_without_a_name_there_has_to_be_exactly_one_job(haul: Box) -> None:
    none = haul("apply")
    assert none.code == 2
    assert "there are no jobs in" in none.err
    planned(haul)
    assert haul("plan", "delete", "s3://b/raw/", "--job", "k").code == 0
    several = haul("apply")
    assert several.code == 2
    assert "which job? There are 2" in several.err
    assert "did you mean j" in haul("apply", "jk").err or "haul status lists all" in haul("apply", "jk").err


def test_a_tampered_plan_is_refused(haul: Box) -> None:
    planned(haul)
    path = haul.cwd / ".haul" / "jobs" / "j" / "job.json"
    content = json.loads(path.read_text())
    content["content"]["verb"] = "delete"
    path.write_text(json.dumps(content))
    result = haul("apply", "j")
    assert result.code == 2
    assert "is damaged" in result.err


@pytest.mark.parametrize(
    "words",
    [
        ["--processes", "0"],
        ["--max-errors", "-1"],
        ["--rate", "-1"],
        ["--rate", "nan"],
        ["--rate", "inf"],
        ["--on-conflict", "ask"],
        ["--verify", "size"],
        ["--accelerate"],
        ["k"],
    ],
)
def test_what_makes_no_sense_is_refused(haul: Box, words: list[str]) -> None:
    store = planned(haul)
    assert haul("apply", "j", *words).code == 2
    assert haul.contents(store) == OBJECTS
