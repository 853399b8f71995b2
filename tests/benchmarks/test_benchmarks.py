"""The bench itself: what it measures, how it judges, what it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# `python -m benchmarks` finds the package in the directory it is run from.
sys.path.insert(0, str(ROOT))

from benchmarks.comparison import (  # noqa: E402
    MIB,
    QUICK,
    Bar,
    Bench,
    Comparison,
    Contest,
    Contestant,
    Record,
    Usage,
    WorkNotDoneError,
    judge,
)

from benchmarks import canned, chart, harness, inputs, report, tools  # noqa: E402


def _record(name: str, *walls: float) -> Record:
    return Record(name, name, [Usage(wall, wall / 2, 50 * MIB) for wall in walls])


def _python(code: str) -> list[str]:
    return [tools.PYTHON, "-c", code]


def test_a_relative_bar_is_held_against_the_medians() -> None:
    records = {"haul": _record("haul", 9.0, 0.8, 0.7), "s5cmd": _record("s5cmd", 1.0, 0.1, 1.1)}
    verdict = judge(Bar("wall", 0.9, "s5cmd"), records)
    assert verdict.value == pytest.approx(0.8)
    assert verdict.met is True


def test_an_absolute_bar_is_held_against_the_median_alone() -> None:
    verdict = judge(Bar("rss", 49 * MIB), {"haul": _record("haul", 1.0)})
    assert verdict.met is False
    assert report.bar_line(verdict) == "haul: peak memory at most 49 MiB: 50 MiB, MISSED"


def test_a_bar_whose_peer_failed_stays_open() -> None:
    failed = Record("s5cmd", "s5cmd", [Usage(1.0, 1.0, 1)], failure="exit 1")
    verdict = judge(Bar("wall", 0.9, "s5cmd"), {"haul": _record("haul", 1.0), "s5cmd": failed})
    assert verdict.met is None


def test_cpu_time_includes_child_processes(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    spawn = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}], check=True)"
    usage = harness.measure(_python(spawn), {}, tmp_path / "x.out")
    assert usage.cpu >= 0.2
    assert usage.wall > 0


def test_a_failing_program_is_reported_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(harness.ProgramFailedError, match="exit 3: no such thing"):
        harness.measure(
            _python("import sys; print('no such thing', file=sys.stderr); sys.exit(3)"),
            {},
            tmp_path / "x.out",
        )


def test_a_program_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with pytest.raises(harness.ProgramFailedError, match="SIGKILL"):
        harness.measure(_python("import time; time.sleep(60)"), {}, tmp_path / "x.out", timeout=0.2)


def test_contestants_alternate_and_one_whose_work_is_not_done_is_out(tmp_path: Path) -> None:
    trials: list[str] = []

    def verify(trial: str, output: Path, _first: bool) -> None:
        trials.append(output.read_text().strip())
        if trials[-1] == "lazy":
            raise WorkNotDoneError("nothing there")

    contest = Contest([_printer("a"), _printer("lazy"), _printer("b")], {}, verify)
    row = Comparison("row", "Row", (), lambda _bench: _Opened(contest))
    records = harness.compare(row, Bench(tmp_path, QUICK), 2, lambda _what: None)
    assert trials == ["a", "lazy", "b", "a", "b", "b", "a"]
    assert [len(record.usages) for record in records.values()] == [2, 0, 2]
    assert records["lazy"].failure == "nothing there"


def _printer(name: str) -> Contestant:
    return Contestant(name, lambda _trial: _python(f"print({name!r})"))


class _Opened:
    def __init__(self, contest: Contest) -> None:
        self._contest = contest

    def __enter__(self) -> Contest:
        return self._contest

    def __exit__(self, *_: object) -> None:
        pass


def test_canned_pages_link_up_and_hold_every_key_in_byte_order(tmp_path: Path) -> None:
    canned.write_pages(tmp_path, "some", 2_500)
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    for kind in ("plain", "url"):
        keys: list[str] = []
        page: str | None = "first"
        while page:
            tree = ET.parse(tmp_path / "pages" / "some" / kind / page).getroot()  # noqa: S314 -- our own
            keys += [key.text or "" for key in tree.iter(f"{space}Key")]
            page = tree.findtext(f"{space}NextContinuationToken")
        assert len(set(keys)) == 2_500
        assert keys == sorted(keys)
        assert ("%3D" in keys[0]) == (kind == "url")


def test_files_that_differ_only_in_content_are_found(tmp_path: Path) -> None:
    inputs.small_files(tmp_path / "here", 40, 16)
    inputs.small_files(tmp_path / "there", 40, 16)
    inputs.require_same_tree(tmp_path / "here", tmp_path / "there", content=True)
    next((tmp_path / "there").rglob("*.bin")).write_bytes(b"x" * 16)
    inputs.require_same_tree(tmp_path / "here", tmp_path / "there", content=False)
    with pytest.raises(WorkNotDoneError, match="1 files differ"):
        inputs.require_same_tree(tmp_path / "here", tmp_path / "there", content=True)


def _result(title: str, **walls: float) -> dict[str, object]:
    contestants = [
        {"name": name, "median": {"wall": wall, "cpu": wall, "rss": MIB}} for name, wall in walls.items()
    ]
    return {"title": title, "contestants": contestants}


def test_the_chart_is_sound_svg_with_a_bar_for_each_contestant() -> None:
    drawn = chart.draw([_result("a < b", haul=1.0, s5cmd=2.0), _result("c", haul=1.0)], ["haul", "s5cmd"])
    tree = ET.fromstring(drawn)  # noqa: S314 -- our own
    bars = [each for each in tree.iter() if each.get("class") in {"haul", "bar"}]
    assert len(bars) == 3
    assert "prefers-color-scheme: dark" in drawn


def test_the_readme_section_is_replaced_and_the_rest_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    monkeypatch.setattr(report, "RESULTS", results)
    monkeypatch.setattr(report, "CHART", results / "speed.svg")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    saved = _result("Up", haul=1.0, s5cmd=2.0) | {
        "measured": "2026-01-01",
        "rounds": 5,
        "machine": {"processor": "P", "cores": 2, "memory_gib": 8, "system": "Linux", "files_on": "tmpfs"},
        "releases": {"haulyard": "1"},
        "bars": [],
    }
    (results / "up.json").write_text(json.dumps(saved))
    (results / "alone.json").write_text(json.dumps(saved | _result("Alone", haul=3.0)))
    report.README.write_text("before\n")
    report.publish(["up", "absent"])
    assert "Alone" not in report.README.read_text()
    report.publish(["up", "alone"])
    once = report.README.read_text()
    report.README.write_text(once + "after\n")
    report.publish(["up", "alone"])
    assert report.README.read_text() == once + "after\n"
    assert once.startswith("before\n")
    assert "| Up | 1.00 | 2.00 | 0.50 | 0.50 | 1 MiB |" in once
    # Nobody to compare it with: no row, and no panel of the chart.
    assert "\nAlone: haul 3.00 s.\n" in once
    assert "Alone" not in report.CHART.read_text()


def test_the_bench_runs_from_the_command_line() -> None:
    command = [sys.executable, "-m", "benchmarks", "startup", "--quick", "--rounds", "1"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert re.search(r"haul --version +0\.\d\d s", answer.stdout)
    assert "Not recorded" in answer.stdout
