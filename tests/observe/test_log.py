"""The log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.events import RequestDone, RequestRetried, Throttled, TransferDone, Warned
from haulyard.observe.log import Log

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = (
    RequestDone("GetObject", "b", "k", 200, 1, 0.01, 0, 5),
    RequestRetried("GetObject", "b", "k", 1, 0.5, "reset"),
    Warned("careful"),
    TransferDone("upload", "a", "s3://b/a", 1),
)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning"]),
        ("info", ["info", "warning"]),
        ("warning", ["warning"]),
        ("error", []),
    ],
)
def test_what_is_less_important_than_the_level_is_not_said(level: str, expected: list[str]) -> None:
    said: list[str] = []
    log = Log(level, "", said.append)
    for event in EVENTS:
        log(event)
    assert [line.partition(":")[0] for line in said] == expected


def test_json_on_request() -> None:
    said: list[str] = []
    Log("warning", "", said.append, as_json=True)(Warned("careful", "do"))
    assert json.loads(said[0]) == {"event": "warning", "message": "careful", "hint": "do"}


def test_a_file_holds_times_levels_and_the_fate_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    said: list[str] = []
    for as_json in (False, True):
        log = Log("info", str(path), said.append, as_json=as_json, clock=lambda: 1_700_000_000.25)
        for event in EVENTS:
            log(event)
    before, retry, warned, done, *as_objects = path.read_text().splitlines()
    assert before == "before"
    assert retry.startswith("2023-11-14T22:13:20.250Z info    GetObject s3://b/k: attempt 1")
    assert warned == "2023-11-14T22:13:20.250Z warning careful"
    assert done == "2023-11-14T22:13:20.250Z info    upload: a to s3://b/a"
    last = json.loads(as_objects[-1])
    assert (last["time"], last["level"], last["event"]) == ("2023-11-14T22:13:20.250Z", "info", "object")
    assert said[0] == "warning: careful"
    assert len(said) == 2


def test_a_store_that_throttles_is_reported_now_and_then() -> None:
    said: list[str] = []
    now = [0.0]
    log = Log("info", "", said.append, clock=lambda: now[0])
    for moment in (0.0, 1.0, 9.0, 11.0, 12.0):
        now[0] = moment
        log(Throttled("b", "read", 10.0))
    log(Throttled("b", "write", 10.0))
    assert len(said) == 3


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        Log("info", str(tmp_path), lambda _: None)
