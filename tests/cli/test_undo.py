"""`haul undo`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import S3ServerError
from haulyard.stores.base import DELETE

if TYPE_CHECKING:
    from tests.cli.conftest import Box

    from haulyard.models import DeleteOptions, DeleteOutcome
    from haulyard.stores.memory import MemoryStore

OBJECTS = {"raw/a": b"1", "raw/b": b"22"}


@pytest.fixture(autouse=True)
def _at_home(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)


def applied(haul: Box, verb: str, *, versioned: bool = False) -> MemoryStore:
    store = haul.bucket(OBJECTS, versioned=versioned)
    places = ["s3://b/raw/", *(["s3://b/new/"] if verb in {"copy", "move"} else [])]
    assert haul("plan", verb, *places, "--job", "j").code == 0
    assert haul("apply", "j").code == 0
    return store


def test_a_move_goes_back_and_the_job_is_over(haul: Box) -> None:
    store = applied(haul, "move")
    dry = haul("undo", "j", "--dry-run")
    assert dry.code == 0
    assert "2  objects to move back" in dry.out
    assert "nothing was changed" in dry.err
    assert "new/a" in haul.contents(store)
    result = haul("undo", "j")
    assert result.code == 0, result.err
    assert result.out.startswith("j: to be taken back\n")
    assert "j: 2 objects taken back" in result.out
    assert haul.contents(store) == OBJECTS
    refused = haul("apply", "j")
    assert refused.code == 2
    assert "was undone" in refused.err
    assert haul("undo", "j").code == 0


def test_copies_that_changed_since_are_kept_and_listed_with_the_reason(haul: Box) -> None:
    store = applied(haul, "copy")
    haul.put(store, "new/a", b"edited")
    result = haul("undo", "j")
    assert result.code == 1
    assert "kept: memory://b/new/a (the copy was changed" in result.out
    assert "; 1 kept" in result.out
    assert haul.contents(store) == {**OBJECTS, "new/a": b"edited"}


def test_what_was_kept_is_kept_when_the_job_is_undone_again(haul: Box) -> None:
    store = applied(haul, "copy")
    haul.put(store, "new/a", b"edited")
    assert haul("undo", "j").code == 1
    again = haul("undo", "j")
    assert again.code == 1
    assert "1  kept before: the copy was changed" in again.out
    assert "j: nothing was left to do; 1 kept\n  kept: 1, the copy was changed" in again.out
    *_, end = haul("undo", "j", "--json").events
    assert (end["done"], list(end["kept"].values())) == (0, [1])
    assert haul("undo", "j", "--dry-run").code == 0


def test_an_undo_that_goes_on_counts_what_the_one_before_kept(
    haul: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = applied(haul, "copy")
    haul.put(store, "new/a", b"edited")
    delete = store.delete

    async def refuse(key: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        if key == "new/b":
            raise S3ServerError("for a while", status=500)
        return await delete(key, options)

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", refuse)
        patch.setattr(store, "capabilities", replace(store.capabilities, batch_delete=False))
        first = haul("undo", "j")
    assert "0 objects taken back (0 B)" in first.out
    assert "; 1 kept; 1 failed" in first.out
    result = haul("undo", "j")
    assert result.code == 1
    assert "1 object taken back" in result.out
    assert "; 1 kept\n  kept: 1, the copy was changed" in result.out


def test_what_cannot_be_undone_is_listed_before_anything_starts(haul: Box) -> None:
    applied(haul, "delete")
    result = haul("undo", "j", "--dry-run")
    assert result.code == 0
    assert "2  cannot be undone: the bucket keeps no versions" in result.out
    assert "raw/a" in result.out
    undone = haul("undo", "j")
    assert undone.code == 1
    assert undone.out.count("raw/a") == 1
    assert "kept: 2, the bucket keeps no versions" in undone.out


def test_deletions_in_a_versioned_bucket_lose_their_markers(haul: Box) -> None:
    store = applied(haul, "delete", versioned=True)
    assert haul.contents(store) == {}
    survey, *objects, end = haul("undo", "j", "--json").events
    assert (survey["event"], survey["undoable"]) == ("survey", {"delete markers to remove": 2})
    assert len(objects) == 2
    assert end["done"] == 2
    assert haul.contents(store) == OBJECTS


def test_what_was_not_applied_cannot_be_undone(haul: Box) -> None:
    haul.bucket(OBJECTS)
    assert haul("plan", "delete", "s3://b/raw/", "--job", "j").code == 0
    result = haul("undo", "j")
    assert result.code == 2
    assert "has not been applied" in result.err


def test_a_job_has_to_be_named(haul: Box) -> None:
    applied(haul, "copy")
    assert haul("undo").code == 2
    assert haul("undo", "nope").code == 2
