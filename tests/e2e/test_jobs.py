"""Bulk jobs as their users meet them: planned, looked at, carried out, told, taken back."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.crash.gate import Gate
from tests.e2e.conftest import made_bucket
from tests.e2e.saying import says

from haulyard.cli.dispatch import Process, dispatch
from haulyard.jobs.planning import intake, recording
from haulyard.journal.folder import JobFolder

if TYPE_CHECKING:
    import subprocess

    from tests.conftest import Server
    from tests.e2e.conftest import Done, Program

RULES = """
[[rule]]
name = "daily"
match = '(?P<kind>[a-z]+)_(?P<day>\\d{8})\\.csv$'
dates = { day = { group = "day", format = "%Y%m%d" } }
to = "{kind}/{day:%Y/%m/%d}/{name}"

[[rule]]
name = "notes"
glob = "*.txt"
to = "notes/{name}"
content_type = "text/markdown"
"""
SKIP = '\n[fallback]\naction = "skip"\n'
OBJECTS = {"in/a_20250101.csv": "1", "in/b_20250102.csv": "22", "in/read.txt": "3", "in/other.bin": "4"}
SORTED = {"a/2025/01/01/a_20250101.csv": "1", "b/2025/01/02/b_20250102.csv": "22", "notes/read.txt": "3"}


def fill(haul: Program, bucket: str, objects: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for key, body in objects.items():
            path = Path(directory, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        haul.ok("cp", f"{directory}/", f"{bucket}/")


def tree(haul: Program, url: str) -> dict[str, str]:
    """Return what is in a bucket; one command, for each takes half a second."""
    with tempfile.TemporaryDirectory() as directory:
        haul.ok("cp", f"{url}/", f"{directory}/")
        root = Path(directory)
        return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def rules(haul: Program, text: str = RULES + SKIP) -> str:
    (haul.cwd / "rules.toml").write_text(text)
    return "rules.toml"


@pytest.fixture
def full(haul: Program, bucket: str) -> str:
    fill(haul, bucket, OBJECTS)
    return bucket


def test_a_move_by_rules_from_its_plan_to_its_undoing(haul: Program, full: str) -> None:
    planned = haul.ok("plan", "move", f"{full}/in/", f"{full}/out/", "--rules", rules(haul), "--job", "sort")
    assert "haul apply sort" in planned.out
    assert tree(haul, full) == OBJECTS
    shown = haul.ok("plan", "show", "sort", "--sql", "SELECT key, rule FROM plan WHERE action = 'act'")
    assert shown.out.splitlines()[1].split() == ["in/a_20250101.csv", "daily"]
    manifest = haul.ok("plan", "export", "sort", "--format", "s3-batch").out.splitlines()
    assert manifest == [f"{full[5:]},{key}" for key in sorted(OBJECTS) if key != "in/other.bin"]

    applied = haul.ok("apply", "sort")
    assert applied.out.startswith("sort: 3 objects moved (4 B)")
    assert "verified: 3 by checksum" in applied.out
    left = {"in/other.bin": "4"}
    assert tree(haul, full) == left | {f"out/{key}": body for key, body in SORTED.items()}
    head = haul.ok("head", "--json", f"{full}/out/notes/read.txt").events[0]
    assert head["content_type"] == "text/markdown"

    assert haul.ok("status").out.splitlines()[1].split() == ["sort", "move", "applied", "3", "3", "0"]
    report = haul.ok("report", "sort", "--json").events[0]
    with open(report["completion"], newline="") as file:
        assert sum("succeeded" in row for row in csv.reader(file)) == 3
    assert "<html" in Path(report["page"]).read_text()

    assert "3  objects to move back" in haul.ok("undo", "sort", "--dry-run").out
    assert "sort: 3 objects taken back" in haul.ok("undo", "sort").out
    assert tree(haul, full) == OBJECTS
    assert haul.ok("head", "--json", f"{full}/in/read.txt").events[0]["content_type"] == "text/plain"
    assert haul.ok("status", "sort", "--json").events[0]["stage"] == "undone"
    says(haul("apply", "sort"), 2, "job sort was undone", "--new")


def test_a_copy_to_another_bucket_without_rules_is_as_by_cp(haul: Program, full: str) -> None:
    other = made_bucket(haul)
    haul.ok("plan", "copy", f"{full}/in/", f"{other}/", "--exclude", "*.bin", "--job", "c")
    events = haul.ok("apply", "c", "--json").events
    assert [event["event"] for event in events] == ["object"] * 3 + ["job"]
    assert set(tree(haul, other)) == {"a_20250101.csv", "b_20250102.csv", "read.txt"}
    haul.ok("put", "-", f"{other}/read.txt", stdin=b"changed")
    kept = haul("undo", "c")
    assert kept.code == 1
    assert "read.txt (the copy was changed" in kept.out
    assert tree(haul, other) == {"read.txt": "changed"}
    assert tree(haul, full) == OBJECTS


def test_local_ends(haul: Program, full: str) -> None:
    haul.ok("plan", "copy", f"{full}/in/", "down/", "--job", "down")
    haul.ok("apply", "down")
    assert (haul.cwd / "down" / "read.txt").read_text() == "3"
    haul.ok("plan", "move", "down/", f"{full}/up/", "--job", "up")
    haul.ok("apply", "up")
    assert tree(haul, full) == OBJECTS | {f"up/{key[3:]}": body for key, body in OBJECTS.items()}
    assert list((haul.cwd / "down").iterdir()) == []


def tags(haul: Program, url: str) -> dict[str, str]:
    return dict(haul.ok("head", "--tags", "--json", url).events[0].get("tags") or {})


def test_tags_are_set_and_set_back(haul: Program, full: str) -> None:
    haul.ok("put", "-", f"{full}/in/tagged", "--tag", "old=1", "--tag", "stay=2", stdin=b"x")
    haul.ok("plan", "retag", f"{full}/in/", "--tag", "new=3", "--remove-tag", "old", "--job", "t")
    haul.ok("apply", "t")
    assert tags(haul, f"{full}/in/tagged") == {"stay": "2", "new": "3"}
    assert tags(haul, f"{full}/in/read.txt") == {"new": "3"}
    haul.ok("undo", "t")
    assert tags(haul, f"{full}/in/tagged") == {"old": "1", "stay": "2"}
    assert tags(haul, f"{full}/in/read.txt") == {}


def test_deletions_without_versions_cannot_be_undone_and_that_is_said_first(haul: Program, full: str) -> None:
    haul.ok("plan", "delete", f"{full}/in/", "--include", "*.csv", "--job", "d")
    haul.ok("apply", "d")
    assert set(tree(haul, full)) == {"in/read.txt", "in/other.bin"}
    dry = haul.ok("undo", "d", "--dry-run")
    assert "2  cannot be undone: the bucket keeps no versions" in dry.out
    assert haul("undo", "d").code == 1


COLLIDING = """
[[rule]]
glob = "in/*.csv"
to = "all.csv"
[fallback]
to = "{name}"
"""


@pytest.mark.parametrize(
    ("decision", "code", "after"),
    [
        ("fail", 1, {"read.txt": "there", "other.bin": "4"}),
        ("skip", 0, {"read.txt": "there", "other.bin": "4"}),
        ("overwrite", 0, {"read.txt": "3", "other.bin": "4", "all.csv": "22"}),
        (
            "suffix",
            0,
            {"read.txt": "there", "read-1.txt": "3", "other.bin": "4", "all.csv": "1", "all-1.csv": "22"},
        ),
    ],
)
def test_conflicts_wait_for_a_decision(
    haul: Program, full: str, decision: str, code: int, after: dict[str, str]
) -> None:
    fill(haul, full, {"out/read.txt": "there"})
    path = rules(haul, COLLIDING)
    planned = haul.ok("plan", "copy", f"{full}/in/", f"{full}/out/", "--rules", path, "--job", "j")
    assert "2 objects with a destination that others have too (1 destination)" in planned.out
    assert "1 object with a destination where another object is" in planned.out
    says(haul("apply", "j"), 2, "has 3 conflicts, and nobody decided", "--on-conflict")
    done = haul("apply", "j", "--on-conflict", decision)
    assert done.code == code, (done.out, done.err)
    assert tree(haul, full) == OBJECTS | {f"out/{key}": body for key, body in after.items()}
    again = haul("apply", "j")
    assert again.code == code, (again.out, again.err)


def test_unmatched_keys_are_listed_and_nothing_is_applied(haul: Program, full: str) -> None:
    done = haul("plan", "move", f"{full}/in/", "--rules", rules(haul, RULES), "--job", "j")
    assert done.code == 1
    assert "  in/other.bin" in done.out
    says(haul("apply", "j"), 2, "no rule of job j takes 1", "unmatched.txt")
    assert tree(haul, full) == OBJECTS


def test_what_changed_since_the_plan_fails_and_is_listed(haul: Program, full: str) -> None:
    haul.ok("plan", "move", f"{full}/in/", f"{full}/out/", "--job", "j")
    haul.ok("put", "-", f"{full}/in/read.txt", stdin=b"newer")
    done = haul("apply", "j")
    assert done.code == 1
    assert "1 failed" in done.out
    assert "1 failed:\n  " in done.err
    assert tree(haul, full)["in/read.txt"] == "newer"
    assert "haul apply j" in done.out
    failed = haul.ok("plan", "show", "j", "--sql", "SELECT key FROM outcome WHERE phase = 'failed'")
    assert failed.out.split() == ["key", "in/read.txt"]


def many(haul: Program, bucket: str, count: int) -> None:
    (haul.cwd / "many").mkdir()
    for number in range(count):
        (haul.cwd / "many" / f"{number:04}").write_text(str(number))
    haul.ok("cp", "many/", f"{bucket}/in/")


def start_behind(haul: Program, gate: Gate, name: str) -> subprocess.Popen[bytes]:
    """Start applying, by way of the gate: a flag goes before the endpoint that the job remembers."""
    return haul.start("apply", name, "--endpoint-url", gate.url, "--concurrency", "4")


def measured(haul: Program, bucket: str, gate: Gate) -> int:
    """Return the pieces of a run like the one that follows; the endpoint is proved by then."""
    haul.ok("plan", "copy", f"{bucket}/in/", f"{bucket}/measured/", "--job", "measured")
    gate.expect(0, lambda: None)
    process = start_behind(haul, gate, "measured")
    assert process.wait(60) == 0
    process.communicate()
    return gate.pieces


def test_a_second_process_is_locked_out_and_told_by_whom(
    haul: Program, bucket: str, seaweedfs: Server
) -> None:
    many(haul, bucket, 40)
    port = urlsplit(seaweedfs.endpoint_url).port
    assert port is not None
    haul.ok("plan", "move", f"{bucket}/in/", f"{bucket}/out/", "--job", "j")
    second: list[Done] = []
    with Gate(port) as gate:
        pieces = measured(haul, bucket, gate)
        gate.expect(pieces // 2, lambda: second.extend((haul("apply", "j"), haul("status", "j"))))
        process = start_behind(haul, gate, "j")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    says(second[0], 2, f"job j is locked by process {process.pid} on .* \\(haul apply, since ", "wait")
    assert f"running: process {process.pid}" in second[1].out
    assert b"40 objects moved" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_and_loses_nothing(
    haul: Program, bucket: str, seaweedfs: Server, number: signal.Signals
) -> None:
    many(haul, bucket, 60)
    port = urlsplit(seaweedfs.endpoint_url).port
    assert port is not None
    haul.ok("plan", "move", f"{bucket}/in/", f"{bucket}/out/", "--job", "j")
    started: list[subprocess.Popen[bytes]] = []
    with Gate(port) as gate:
        pieces = measured(haul, bucket, gate)
        gate.expect(pieces // 2, lambda: started[0].send_signal(number))
        started.append(start_behind(haul, gate, "j"))
        out, _ = started[0].communicate(timeout=60)
    assert started[0].returncode == (-9 if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert b"haul apply j" in out
    status = haul.ok("status", "j", "--json").events[0]
    assert status["stage"] == "applying"
    assert 0 < status["left"] <= 60
    haul.ok("apply", "j")
    (haul.cwd / "back").mkdir()
    haul.ok("cp", f"{bucket}/out/", "back/")
    assert {path.name: path.read_text() for path in (haul.cwd / "back").iterdir()} == {
        f"{each:04}": str(each) for each in range(60)
    }
    assert haul("ls", "-r", f"{bucket}/in/").code == 4
    haul.ok("undo", "j")
    assert len(haul.ok("ls", "-r", "--json", f"{bucket}/in/").events) == 60


def test_several_processes_do_it_together(
    haul: Program, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(haul, bucket, 40)
    # Processes share shards, and ten lines of the manifest make one.
    monkeypatch.setattr(recording, "SHARD_ROWS", 1)
    monkeypatch.setattr(intake, "_PAGE", 10)
    (haul.cwd / "keys").write_text("".join(f"in/{number:04}\n" for number in range(40)))
    monkeypatch.chdir(haul.cwd)
    words = ["plan", "move", f"{bucket}/in/", f"{bucket}/out/", "--manifest", "keys", "--job", "j"]
    assert dispatch(words, Process(haul.environ, str(haul.cwd), io.BytesIO(), io.BytesIO())) == 0
    assert len(JobFolder.open(str(haul.cwd / ".haul" / "jobs"), "j").shard_paths()) == 4
    done = haul.ok("apply", "j", "--processes", "2", "--json").events
    assert [event["event"] for event in done] == ["object"] * 40 + ["job"]
    assert len(haul.ok("ls", "-r", "--json", f"{bucket}/out/").events) == 40


def test_a_tampered_plan_is_refused(haul: Program, full: str) -> None:
    haul.ok("plan", "delete", f"{full}/in/", "--job", "j")
    (path,) = JobFolder.open(str(haul.cwd / ".haul" / "jobs"), "j").shard_paths()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE op SET key = 'precious' WHERE id = 1")
    done = haul("apply", "j")
    assert done.code == 2
    assert "damaged" in done.err
    assert tree(haul, full) == OBJECTS


def test_no_secret_is_kept_with_a_job(haul: Program, full: str) -> None:
    haul.ok("plan", "copy", f"{full}/in/", f"{full}/out/", "--job", "j")
    haul.ok("apply", "j")
    haul.ok("report", "j")
    secret = haul.environ["AWS_SECRET_ACCESS_KEY"].encode()
    files = [path for path in (haul.cwd / ".haul").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret in path.read_bytes()]


def test_manifests_name_what_takes_part(haul: Program, full: str) -> None:
    (haul.cwd / "keys").write_text("in/read.txt\nin/gone\n")
    planned = haul.ok("plan", "copy", f"{full}/", f"{full}/out/", "--manifest", "keys", "--job", "j")
    assert "missing" in planned.out
    done = haul("apply", "j", "--json")
    assert [event["destination"] for event in done.events if event["event"] == "object"] == [
        f"{full}/out/in/read.txt"
    ]
    (failure,) = [json.loads(line) for line in done.err.splitlines()] or [{}]
    assert "in/gone" in failure.get("source", "in/gone")
