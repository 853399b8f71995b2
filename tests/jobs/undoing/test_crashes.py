"""Undoing that is killed, at each moment there is, and undone again, leaves what was there before the job.

So does undoing a job that was itself killed, at each moment there is.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.jobs.applying.crashes import MortalStore, killed_at, mortal_journal
from tests.jobs.applying.lab import Lab, things
from tests.jobs.applying.scenery import beginning
from tests.jobs.applying.test_crashes import job_of

from haulyard.jobs.model import Verb

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

#: Verb, what was decided, whether versions are kept: jobs that can be undone wholly.
JOBS = [
    (Verb.MOVE, "suffix", True),
    (Verb.MOVE, "overwrite", True),
    (Verb.MOVE, "suffix", False),
    (Verb.COPY, "suffix", False),
    (Verb.COPY, "overwrite", True),
    (Verb.DELETE, "", True),
    (Verb.RETAG, "", False),
]
#: Without versions this is the one thing that cannot be put back.
IN_PLACE = "p/i"


async def planned(directory: Path, verb: Verb, *, versioned: bool) -> Path:
    directory.mkdir()
    await Lab(str(directory), {"b": beginning(versioned=versioned)}).planned(verb, *job_of(verb))
    return directory


def lab_at(plan: Path, directory: Path, *, versioned: bool) -> tuple[Lab, MortalStore]:
    shutil.copytree(plan, directory)
    store = beginning(MortalStore, versioned=versioned)
    assert isinstance(store, MortalStore)
    return Lab(str(directory), {"b": store}), store


def seen(store: MortalStore, verb: Verb, *, versioned: bool) -> dict[str, object]:
    return {
        key: each
        for key, each in things(store).items()
        if versioned or not verb.writes_elsewhere or key != IN_PLACE
    }


@pytest.mark.parametrize(("verb", "policy", "versioned"), JOBS)
async def test_what_was_there_comes_back_whenever_undoing_was_killed(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Verb, policy: str, *, versioned: bool
) -> None:
    plan = await planned(quick_path / "plan", verb, versioned=versioned)
    number = 0
    while True:
        lab, store = lab_at(plan, quick_path / str(number), versioned=versioned)
        before = seen(store, verb, versioned=versioned)
        await lab.apply(policy)
        assert seen(store, verb, versioned=versioned) != before
        with mortal_journal(store.moment, monkeypatch):
            was_killed = await killed_at(store.moment, number, lambda lab=lab: lab.undo())  # type: ignore[misc]
        await lab.undo()
        assert (number, seen(store, verb, versioned=versioned)) == (number, before)
        phases = {key: phase for key, phase in lab.phases().items() if versioned or key != IN_PLACE}
        assert (number, set(phases.values())) == (number, {"undone"}), phases
        if not was_killed:
            break
        number += 1
    assert number > 10


@pytest.mark.parametrize(("verb", "policy", "versioned"), JOBS)
async def test_a_job_that_was_killed_is_undone_without_a_trace(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Verb, policy: str, *, versioned: bool
) -> None:
    plan = await planned(quick_path / "plan", verb, versioned=versioned)
    number = 0
    while True:
        lab, store = lab_at(plan, quick_path / str(number), versioned=versioned)
        before = seen(store, verb, versioned=versioned)
        with mortal_journal(store.moment, monkeypatch):
            was_killed = await killed_at(store.moment, number, lambda lab=lab: lab.apply(policy))  # type: ignore[misc]
        if (lab.folder.read("state") or {})["stage"] != "planned":
            await lab.undo()
        assert (number, seen(store, verb, versioned=versioned)) == (number, before)
        if not was_killed:
            break
        number += 1
    assert number > 10
