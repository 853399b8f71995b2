"""`haul plan`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from haulyard.cli.stop import Stop
from haulyard.models import PutOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Box

RULES = """
[[rule]]
name = "daily"
match = '_(?P<day>\\d{8})\\.csv$'
dates = { day = { group = "day", format = "%Y%m%d" } }
to = "by-day/{day:%Y/%m/%d}/{name}"
"""
SKIP = '[fallback]\naction = "skip"\n'
DAYS = {"raw/a_20250101.csv": b"1", "raw/b_20250102.csv": b"22"}


def rules(haul: Box, text: str = RULES) -> str:
    path = haul.cwd / "rules.toml"
    path.write_text(text)
    return str(path)


def job_dir(haul: Box) -> Path:
    return haul.cwd / ".haul" / "jobs"


def jobs(haul: Box) -> list[str]:
    return sorted(path.name for path in job_dir(haul).iterdir()) if job_dir(haul).exists() else []


@pytest.fixture(autouse=True)
def _at_home(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)


def test_a_plan_says_what_would_be_done_and_does_nothing(haul: Box) -> None:
    store = haul.bucket(DAYS)
    result = haul("plan", "move", "s3://b/raw/", "--rules", rules(haul), "--job", "days")
    assert result.code == 0, result.err
    assert result.out.startswith("days: move s3://b/raw/\n")
    assert "rule 'daily'        2    3 B" in result.out
    assert "haul apply days" in result.out
    assert "haul plan show days" in result.err
    assert haul.contents(store) == DAYS


def test_the_same_command_is_the_same_job_and_shows_its_plan(haul: Box) -> None:
    haul.bucket(DAYS)
    first = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/")
    (name,) = jobs(haul)
    assert name.startswith("copy-b-raw-")
    haul.bucket({})
    assert haul("plan", "copy", "s3://b/raw/", "s3://b/copies/").out == first.out
    assert jobs(haul) == [name]
    again = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--new")
    assert again.code == 4
    assert jobs(haul) == []


def test_another_job_of_the_name_is_left_alone(haul: Box) -> None:
    haul.bucket(DAYS)
    assert haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--job", "j").code == 0
    refused = haul("plan", "delete", "s3://b/raw/", "--job", "j")
    assert refused.code == 2
    assert "job j is another one: copy s3://b/raw/" in refused.err
    assert haul("plan", "delete", "s3://b/raw/", "--job", "j", "--new").code == 0


def test_programs_get_one_object(haul: Box) -> None:
    haul.bucket(DAYS)
    (event,) = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--json").events
    assert (event["event"], event["objects"], event["bytes"]) == ("plan", 2, 3)


def test_keys_that_no_rule_takes_are_told_and_end_in_1(haul: Box) -> None:
    haul.bucket({**DAYS, "raw/notes.txt": b"x"})
    result = haul("plan", "move", "s3://b/raw/", "--rules", rules(haul), "--job", "j")
    assert result.code == 1
    assert "  raw/notes.txt" in result.out
    assert (job_dir(haul) / "j" / "unmatched.txt").read_text() == "raw/notes.txt\n"
    assert str(job_dir(haul) / "j" / "unmatched.txt") in result.err
    assert haul("apply", "j").code == 2
    assert haul("plan", "move", "s3://b/raw/", "--rules", rules(haul, RULES + SKIP)).code == 0


def test_every_mistake_in_the_rules_is_told_with_its_line(haul: Box) -> None:
    haul.bucket(DAYS)
    path = rules(haul, '[[rule]]\nmatch = "("\nto = "{nope}"\n[[rule]]\nglob = "*"\nto = "{yaer}"\n')
    result = haul("plan", "move", "s3://b/raw/", "--rules", path)
    assert result.code == 2
    told = result.err.splitlines()
    assert f"{path}:2: " in told[0]
    assert any(f"{path}:6: " in line for line in told)
    assert jobs(haul) == []
    events = haul("plan", "move", "s3://b/raw/", "--rules", path, "--json").err.splitlines()
    assert {json.loads(line)["event"] for line in events} == {"error"}


def test_rules_that_do_not_fit_the_verb_are_refused(haul: Box) -> None:
    haul.bucket(DAYS)
    result = haul("plan", "delete", "s3://b/raw/", "--rules", rules(haul))
    assert result.code == 2
    assert jobs(haul) == []


def test_a_source_with_nothing_under_it_leaves_no_job(haul: Box) -> None:
    haul.bucket({})
    assert haul("plan", "copy", "s3://b/nothing/", "s3://b/copies/").code == 4
    assert haul("plan", "copy", "s3://nobucket/", "s3://b/copies/").code == 4
    assert jobs(haul) == []


def test_an_interrupted_plan_goes_on_with_the_same_command(
    haul: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    haul.bucket(DAYS)
    with monkeypatch.context() as patch:
        patch.setattr(Stop, "is_requested", lambda _: True)
        stopped = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--job", "j")
    assert stopped.code == 130
    assert "the same command goes on" in stopped.out
    assert haul("apply", "j").code == 2
    done = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--job", "j")
    assert done.code == 0
    assert "listed        2    3 B" in done.out


def test_properties_are_kept_with_the_job(haul: Box) -> None:
    haul.bucket(DAYS)
    words = ["--storage-class", "standard_ia", "--metadata", "a=b", "--tag", "c=d", "--sse-kms-key-id", "k"]
    assert haul("plan", "copy", "s3://b/raw/", "s3://b/c/", "--job", "j", "--acl", "keep", *words).code == 0
    content = json.loads((job_dir(haul) / "j" / "job.json").read_text())["content"]
    assert content["properties"] == {
        "storage_class": "STANDARD_IA",
        "acl": "keep",
        "sse": "aws:kms",
        "sse_kms_key_id": "k",
        "metadata": {"a": "b"},
        "tags": {"c": "d"},
    }


def test_acceleration_inside_s3_is_said_to_be_left_out(haul: Box) -> None:
    haul.bucket(DAYS)
    result = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--accelerate", "--job", "j")
    assert "--accelerate is left out" in result.err
    (haul.cwd / "up").mkdir()
    (haul.cwd / "up" / "f").write_bytes(b"x")
    up = haul("plan", "copy", "up/", "s3://b/up/", "--accelerate", "--job", "up")
    assert "--accelerate" not in up.err
    assert json.loads((job_dir(haul) / "up" / "job.json").read_text())["content"]["accelerate"] is True


def test_prices_may_be_others(haul: Box) -> None:
    haul.bucket(DAYS)
    (haul.cwd / "prices.toml").write_text('source = "ours"\n[class.STANDARD]\nwrite = 1000.0\n')
    result = haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--prices", "prices.toml")
    # Two copies, and the listing.
    assert "3.00 USD for these requests (ours)" in result.out


def test_a_key_is_explained_by_its_name_or_by_what_it_is(haul: Box) -> None:
    text = '[[rule]]\nname = "big"\nglob = "*"\nlarger = "1B"\nto = "big/{name}"\n' + SKIP
    store = haul.bucket({"raw/big": b"22"})
    haul.put(store, "raw/small", b"1", PutOptions())
    path = rules(haul, text)
    unknown = haul("plan", "--explain", "raw/big", "--rules", path)
    assert unknown.code == 0
    assert unknown.out.startswith("raw/big (skipped)\n")
    assert "its size is not known" in unknown.out
    known = haul("plan", "move", "s3://b/", "--explain", "s3://b/raw/big", "--rules", path)
    assert known.out.startswith("raw/big -> big/big\n")
    whole = haul("plan", "move", "s3://b/", "s3://b/new/", "--explain", "raw/big", "--rules", path)
    assert whole.out.startswith("raw/big -> new/big/big\n")
    small = haul("plan", "move", "s3://b/", "--explain", "raw/small", "--rules", path, "--json")
    assert small.events[0]["action"] == "skipped"
    assert haul("plan", "move", "s3://b/", "--explain", "nope", "--rules", path).code == 4
    assert jobs(haul) == []


def test_a_plan_is_shown_and_asked(haul: Box) -> None:
    haul.bucket({f"raw/{number:02}": b"x" for number in range(25)})
    haul("plan", "copy", "s3://b/raw/", "s3://b/copies/", "--job", "first")
    shown = haul("plan", "show", "first")
    assert shown.code == 0
    assert "copies/19" in shown.out
    assert "copies/20" not in shown.out
    assert "the first 20 of 25" in shown.err
    asked = haul("plan", "show", "first", "--sql", "SELECT count(*) AS n, action FROM plan GROUP BY 2")
    assert asked.out == "n   action\n25  act\n"
    rows = haul(
        "plan", "show", "first", "--sql", "SELECT key FROM plan WHERE key > 'raw/22'", "--json"
    ).events
    assert rows == [{"event": "row", "key": "raw/23"}, {"event": "row", "key": "raw/24"}]
    wrong = haul("plan", "show", "first", "--sql", "DELETE FROM plan")
    assert wrong.code == 2
    assert haul("plan", "show", "frist").code == 2
    assert "did you mean first" in haul("plan", "show", "frist").err


def test_a_plan_is_exported(haul: Box) -> None:
    haul.bucket(DAYS)
    haul("plan", "delete", "s3://b/raw/", "--job", "j")
    assert haul("plan", "export", "j", "--format", "s3-batch").raw == (
        b"b,raw/a_20250101.csv\nb,raw/b_20250102.csv\n"
    )
    written = haul("plan", "export", "j", "plan.csv")
    assert written.code == 0
    assert "2 rows written to plan.csv" in written.err
    assert (haul.cwd / "plan.csv").read_text().startswith("shard,id,action")
    pytest.importorskip("pyarrow")
    assert haul("plan", "export", "j", "-", "--format", "parquet").raw.startswith(b"PAR1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "what is to be planned"),
        (["move"], "move of what"),
        (["move", "s3://b/raw/"], "move where to"),
        (["movee", "s3://b/raw/"], "invalid choice"),
        (["move", "s3://b/raw/", "s3://b/x", "--rules", "RULES"], "one name, and rules make many"),
        (["move", "-", "s3://b/x/"], "is a stream"),
        (["move", "raw/", "--rules", "RULES"], "both ends are local"),
        (["move", "raw/", "other/"], "both ends are local"),
        (["delete", "raw/"], "is a local path"),
        (["delete", "s3://b/raw/", "s3://b/x/"], "one argument too many"),
        (["delete", "s3://b/raw/", "--storage-class", "GLACIER"], "--storage-class means nothing"),
        (["delete", "s3://b/raw/", "--include", "*", "--tier", "bulk"], "--tier means nothing"),
        (["retag", "s3://b/raw/"], "which tags"),
        (["retag", "s3://b/raw/", "--tag", "a=b", "--remove-tag", "a"], "both name a"),
        (["retag", "s3://b/raw/", "--tag", "a"], "is not KEY=VALUE"),
        (["restore", "s3://b/raw/", "--days", "0"], "at least 1"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--acl", "publik-read"], "did you mean public-read"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--storage-class", "GLACIER_IRR"], "did you mean GLACIER_IR"),
        (
            ["copy", "s3://b/raw/", "s3://b/x/", "--sse", "AES256", "--sse-kms-key-id", "k"],
            "does not go with",
        ),
        (["copy", "s3://b/raw/", "s3://b/x/", "--manifest", "-"], "reads its manifest again"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--flatten", "--rules", "RULES"], "--flatten"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--rules", "none.toml"], "cannot be read"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--prices", "none.toml"], "cannot be read"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--job", "a/b"], "a/b"),
        (["copy", "s3://b/raw/", "s3://b/raw/"], "both source and destination"),
        (["copy", "s3://b/raw", "s3://b/x/", "--exclude", ""], "empty pattern"),
        (["copy", "s3://b/raw/?versionId=1", "s3://b/x/"], ""),
        (["copy", "s3://b/raw/", "s3://b/x/", "--sql", "SELECT 1"], "--sql means nothing"),
        (["copy", "s3://b/raw/", "s3://b/x/", "--format", "csv"], "--format means nothing"),
        (["--explain", "k"], "needs rules"),
        (["show", "--explain", "k", "--rules", "RULES"], "does not go with show"),
        (["move", "--explain", "k", "--rules", "RULES"], "move of what"),
        (["show"], "there are no jobs"),
        (["show", "j", "k"], "one argument too many"),
        (["show", "j", "--new"], "--new means nothing"),
        (["export", "j", "--rules", "RULES"], "--rules means nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_no_job(haul: Box, words: list[str], said: str) -> None:
    haul.bucket(DAYS)
    (haul.cwd / "raw").mkdir()
    path = rules(haul)
    result = haul("plan", *[path if word == "RULES" else word for word in words])
    assert result.code in ({2} if said else {2, 4}), result.err
    assert said in result.err
    assert jobs(haul) == []
