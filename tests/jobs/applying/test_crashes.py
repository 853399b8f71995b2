"""A job that is killed, at each moment there is, and applied again, comes to what it comes to undisturbed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.jobs.applying.crashes import MortalStore, killed_at, mortal_journal
from tests.jobs.applying.lab import Lab, things
from tests.jobs.applying.scenery import RULES, beginning, end

from haulyard.jobs.model import Verb

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

POLICIES = ("fail", "skip", "overwrite", "suffix")
RETAG = """
[[rule]]
match = '^[cdq]/'
tags = { seen = "yes" }
[fallback]
action = "skip"
"""
DELETE = """
[[rule]]
match = '^[cdq]/'
[fallback]
action = "skip"
"""


def job_of(verb: Verb) -> tuple[str, str, str]:
    """Return source, destination and rules of the job of one verb."""
    if verb.writes_elsewhere:
        return "s3://b/", "s3://b/", RULES
    return "s3://b/", "", RETAG if verb is Verb.RETAG else DELETE


async def planned(directory: Path, verb: Verb) -> Path:
    """Plan the job once, for as many stores as there are moments."""
    directory.mkdir()
    await Lab(str(directory), {"b": beginning()}).planned(verb, *job_of(verb))
    return directory


def lab_at(plan: Path, directory: Path, *, versioned: bool = False) -> tuple[Lab, MortalStore]:
    """Return a lab with a copy of the plan, and a new store."""
    shutil.copytree(plan, directory)
    store = beginning(MortalStore, versioned=versioned)
    assert isinstance(store, MortalStore)
    return Lab(str(directory), {"b": store}), store


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("verb", [Verb.MOVE, Verb.COPY])
async def test_every_object_is_once_at_its_place_whenever_it_was_killed(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Verb, policy: str
) -> None:
    plan = await planned(quick_path / "plan", verb)
    undisturbed, model = lab_at(plan, quick_path / "undisturbed")
    await undisturbed.apply(policy)
    expected = end(policy, is_move=verb is Verb.MOVE)
    assert things(model) == expected
    number = 0
    while True:
        lab, store = lab_at(plan, quick_path / str(number))
        with mortal_journal(store.moment, monkeypatch):
            was_killed = await killed_at(store.moment, number, lambda lab=lab: lab.apply(policy))  # type: ignore[misc]
        await lab.apply(policy)
        assert (number, things(store)) == (number, expected)
        assert (number, lab.phases()) == (number, undisturbed.phases())
        assert not store._uploads or was_killed
        if not was_killed:
            break
        number += 1
    assert number > 50


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("verb", [Verb.DELETE, Verb.RETAG])
async def test_deleting_and_retagging_go_on_wherever_they_were_killed(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Verb, *, versioned: bool
) -> None:
    plan = await planned(quick_path / "plan", verb)
    undisturbed, model = lab_at(plan, quick_path / "undisturbed", versioned=versioned)
    await undisturbed.apply()
    number = 0
    while True:
        lab, store = lab_at(plan, quick_path / str(number), versioned=versioned)
        with mortal_journal(store.moment, monkeypatch):
            was_killed = await killed_at(store.moment, number, lambda lab=lab: lab.apply())  # type: ignore[misc]
        await lab.apply()
        assert (number, things(store)) == (number, things(model))
        assert set(lab.phases().values()) == {"done"}
        for key in lab.phases():
            assert lab.details(key).keys() >= undisturbed.details(key).keys() - {"seconds"}, (number, key)
        if not was_killed:
            break
        number += 1
    assert number > 10
