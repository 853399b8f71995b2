"""The log of a long run."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.events import CallFailed, CallsPaused, RecordFailed, RecordsEnded, RequestDone, Warned
from haulyard.observe import run_log
from haulyard.observe.run_log import RunLog

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = RequestDone("GetObject", "b", "k", 200, 1, 0.01, 0, 5)


class Clock:
    """A clock that is set, to 2026-03-01T03:00:00.250Z at first."""

    now = 1_772_334_000.25

    def __call__(self) -> float:
        return self.now


def test_lines_begin_with_the_time_and_the_level(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "processor.log"
    with closing(RunLog(str(path), clock=Clock())) as log:
        log.say("info", "began", "job j", {})
        log(CallsPaused(2.0, "HTTP 429"))
        log(Warned("a\nb"))
        log(CallFailed("1-0-0", 1, 0.5, "reset"))
        log(RecordFailed("1-0-1", "rejected", "HTTP 422", 422, 1))
        log(REQUEST)
    assert [line.split(maxsplit=2)[0] for line in path.read_text().splitlines()] == [
        "2026-03-01T03:00:00.250Z"
    ] * 5
    assert [line.split(maxsplit=2)[2] for line in path.read_text().splitlines()] == [
        "job j",
        "no calls for 2.0 s: HTTP 429",
        r"a\nb",
        "record 1-0-0: attempt 1 failed, again in 0.50 s: reset",
        "record 1-0-1 rejected: HTTP 422",
    ]
    assert path.read_text().splitlines()[1].startswith("2026-03-01T03:00:00.250Z warning no calls")


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 1), ("warning", 1), ("error", 1)])
def test_all_but_single_requests_are_in_it_whatever_the_console_shows(
    tmp_path: Path, level: str, count: int
) -> None:
    path = tmp_path / "processor.log"
    with closing(RunLog(str(path), level=level)) as log:
        log(REQUEST)
        log(CallFailed("1-0-0", 1, 0.5, "reset"))
    assert len(path.read_text().splitlines()) == count


def test_progress_is_a_line_every_ten_seconds(tmp_path: Path) -> None:
    path, clock = tmp_path / "processor.log", Clock()
    with closing(RunLog(str(path), clock=clock)) as log:
        for second in range(25):
            clock.now = 1_772_334_000 + second
            log(RecordsEnded("j", second, 0, 1))
    texts = [line.partition("info")[2].strip() for line in path.read_text().splitlines()]
    assert texts == [f"j: {done} records done, 0 failed" for done in (0, 10, 20)]


def test_programs_get_json(tmp_path: Path) -> None:
    path = tmp_path / "processor.log"
    with closing(RunLog(str(path), as_json=True, clock=Clock())) as log:
        log.say("info", "began", "text", {"job": "j"})
        log(Warned("careful \ud800", "do"))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"event": "began", "time": "2026-03-01T03:00:00.250Z", "level": "info", "job": "j"},
        {
            "event": "warning",
            "time": "2026-03-01T03:00:00.250Z",
            "level": "warning",
            "message": "careful \ud800",
            "hint": "do",
        },
    ]


def test_a_run_appends_and_a_file_that_is_full_makes_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "processor.log"
    monkeypatch.setattr(run_log, "_MOST", 300)
    for number in range(2):
        with closing(RunLog(str(path))) as log:
            log.say("info", "began", f"run {number}", {})
    assert path.read_text().count("run ") == 2
    with closing(RunLog(str(path))) as log:
        for number in range(100):
            log.say("info", "x", f"line {number} " + "x" * 50, {})
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["processor.log", *(f"processor.log.{at}" for at in range(1, 6))]
    assert all(each.stat().st_size <= 300 for each in tmp_path.iterdir())
    assert "line 99 " in path.read_text()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no directory")
    with pytest.raises(ConfigError, match=r"processor\.log cannot be written"):
        RunLog(str(tmp_path / "logs" / "processor.log"))
    with pytest.raises(ConfigError, match="cannot be written"):
        RunLog(str(tmp_path))


def test_a_full_disk_stops_nothing_and_floods_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(RunLog("/dev/full")) as log:
        log(Warned("careful"))
    assert capsys.readouterr().err == ""
