"""What undoing a job comes to, as it is told before anything starts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.jobs.applying.lab import Lab, contents, put_now, store_of

from haulyard.jobs import conduct
from haulyard.jobs.model import Verb
from haulyard.jobs.undoing.past import Survey

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

REPLACED = "it replaced another object, and the bucket keeps no versions"
COVERED = "another object of the job replaced its copy, and the bucket keeps no versions"
CHANGED = "the copy was changed or deleted since"
ALL_INTO_ONE = """
    [[rule]]
    match = '^in/(?P<name>.)'
    to = "{name}"
"""


def test_names_that_would_write_to_the_terminal_are_spelled_out() -> None:
    reason = "the bucket keeps no versions"
    told = Survey(hopeless=Counter({reason: 1}), samples={reason: ["a\x1b[2J\rb"]}).lines()
    assert told[-1].strip() == r"a\x1b[2J\x0db"


@pytest.mark.parametrize("versioned", [False, True])
async def test_copies_that_others_of_the_job_replaced_are_announced(
    quick_path: Path, *, versioned: bool
) -> None:
    objects = {"in/a1": b"1", "in/a2": b"2", "in/a3": b"3", "in/b": b"b"}
    store = store_of(objects, versioned=versioned)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/", ALL_INTO_ONE)
    await lab.apply("overwrite")
    assert contents(store) == {"out/a": b"3", "out/b": b"b"}
    survey = conduct.survey_undo(lab.folder)
    assert survey.hopeless == ({} if versioned else {REPLACED: 1, COVERED: 2})
    assert survey.count == (4 if versioned else 1)
    tally = await lab.undo()
    assert (tally.done, tally.skipped) == (survey.count, survey.hopeless.total())
    assert contents(store) == (objects if versioned else {"in/b": b"b", "out/a": b"3"})
    again = conduct.survey_undo(lab.folder)
    assert (again.count, again.hopeless, again.kept) == (0, {}, survey.hopeless)


async def test_what_was_kept_before_is_told_when_it_is_undone_again(quick_path: Path) -> None:
    store = store_of({"in/a": b"a", "in/b": b"b"})
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/")
    await lab.apply()
    put_now(store, "out/a", b"edited")
    assert conduct.survey_undo(lab.folder).kept == {}
    await lab.undo()
    survey = conduct.survey_undo(lab.folder)
    assert survey.fields()["kept_before"] == {CHANGED: 1}
    assert [line.strip() for line in survey.lines()] == ["nothing to undo", f"1  kept before: {CHANGED}"]
