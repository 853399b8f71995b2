"""Taken back is exactly what was done, whatever a store left half done and objects had that were there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.jobs.applying.lab import Lab, Thing, contents, put_now, store_of, thing, things
from tests.jobs.applying.meddling import MeddledStore

from haulyard.errors import S3ServerError
from haulyard.jobs.model import Verb

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("verb", [Verb.COPY, Verb.MOVE])
async def test_a_version_that_the_store_was_about_to_remove_is_removed(quick_path: Path, verb: Verb) -> None:
    """SeaweedFS makes the older one current first, and ends there if the process that asked is killed."""
    objects = {"in/a": b"a", "out/a": b"old"}
    store = store_of(objects, kind=MeddledStore, versioned=True)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(verb, "s3://b/in/", "s3://b/out/")
    await lab.apply("overwrite")

    def half(name: str, key: str) -> None:
        if name in {"delete", "delete_many"} and key == "out/a":
            versions = store._versions._history[key]
            versions.insert(0, versions.pop())
            raise S3ServerError("who asked is gone", status=500)

    store.before = half
    assert (await lab.undo()).failed == 1
    assert contents(store) == objects
    store.before = lambda _name, _key: None
    tally = await lab.undo()
    assert (tally.done, tally.skipped, tally.failed) == (1, 0, 0)
    assert contents(store) == objects
    assert [version.data for version in store._versions._history["out/a"]] == [b"old"]


async def test_a_copy_below_somebody_elses_object_is_kept_also_by_the_next_undo(quick_path: Path) -> None:
    store = store_of({"in/a": b"a", "out/a": b"old"}, kind=MeddledStore, versioned=True)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.COPY, "s3://b/in/", "s3://b/out/")
    await lab.apply("overwrite")

    def refuse(name: str, _key: str) -> None:
        if name in {"delete", "delete_many"}:
            raise S3ServerError("for a while", status=500)

    store.before = refuse
    assert (await lab.undo()).failed == 1
    store.before = lambda _name, _key: None
    put_now(store, "out/a", b"somebody's")
    assert (await lab.undo()).skipped == 1
    assert [version.data for version in store._versions._history["out/a"]] == [b"old", b"a", b"somebody's"]


async def test_an_object_goes_back_into_the_storage_class_that_it_was_in(quick_path: Path) -> None:
    """Copies are STANDARD unless something else is said."""
    objects = {"in/a": thing(b"a")._replace(storage_class="STANDARD_IA"), "in/b": thing(b"b")}
    store = store_of(objects)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/")
    await lab.apply()
    await lab.undo()
    assert things(store) == objects


ONE = thing(b"a")


@pytest.mark.parametrize(
    "there",
    [
        ONE._replace(tags={**ONE.tags, "more": "tags"}),
        ONE._replace(metadata={**ONE.metadata, "more": "metadata"}),
    ],
)
@pytest.mark.parametrize("source", [ONE, ONE._replace(metadata={}, tags={})])
async def test_what_was_at_its_destination_already_comes_back_without_what_that_has_besides(
    quick_path: Path, source: Thing, there: Thing
) -> None:
    objects = {"in/a": source, "out/a": there}
    store = store_of(objects)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/")
    await lab.apply()
    assert things(store) == {"out/a": there}
    await lab.undo()
    assert things(store) == objects
