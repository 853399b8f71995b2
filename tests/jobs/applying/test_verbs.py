"""What is no copy: objects deleted and retagged, folders made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import Lab, contents, put_now, store_of, thing, things
from tests.jobs.applying.meddling import MeddledStore
from tests.jobs.applying.test_slices import failing, lab_of, nothing

from haulyard.errors import S3ServerError
from haulyard.jobs.model import Verb

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_deleting_keeps_what_changed(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a", "in/b": b"b", "in/c": b"c"}, Verb.DELETE)
    put_now(store, "in/b", b"newer")
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (2, 1)
    assert contents(store) == {"in/b": b"newer"}
    assert lab.errors() == {"in/b": "SourceChanged"}


async def test_deleting_notes_the_marker(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a", "in/b": b"b"}, Verb.DELETE, versioned=True)
    await lab.apply()
    assert contents(store) == {}
    assert all(lab.details(key)["marker"] for key in ("in/a", "in/b"))


async def test_a_marker_that_is_older_than_the_job_is_somebody_elses(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a", "in/b": b"b"}, Verb.DELETE, versioned=True)
    store._clock = lambda: store._versions._history["in/b"][0].modified
    store._versions._clock = store._clock
    store._versions.bury("in/a")

    async def absent(key: str, *_rest: Any) -> Any:
        # As S3 says of a key that is not there where a condition is asked for.
        return (await MeddledStore.delete(store, key))._replace(is_marker=False, marker_version_id="")

    store.delete_many = lambda items: _each(absent, items)  # type: ignore[method-assign]
    await lab.apply()
    assert "marker" not in lab.details("in/a")


async def _each(delete: Any, items: Any) -> list[Any]:
    return [await delete(item.key) for item in items]


async def test_retagging_keeps_the_old_tags(quick_path: Path) -> None:
    rules = """
        [[rule]]
        match = '.'
        tags = { new = "yes" }
        remove_tags = ["t"]
    """
    lab, store = await lab_of(quick_path, {"in/a": b"a"}, Verb.RETAG, rules)
    assert await store.get_tags("in/a") == {"t": "0"}
    await lab.apply()
    assert await store.get_tags("in/a") == {"new": "yes"}
    assert lab.details("in/a")["old_tags"] == {"t": "0"}


@pytest.mark.parametrize("verb", [Verb.RETAG, Verb.COPY])
async def test_an_object_without_room_for_another_tag_does_not_keep_the_others_waiting(
    quick_path: Path, verb: Verb
) -> None:
    full = thing(b"b")._replace(tags={str(number): "x" for number in range(10)})
    store = store_of({"in/a": b"a", "in/b": full})
    lab = Lab(str(quick_path), {"b": store})
    there = "s3://b/out/" if verb is Verb.COPY else ""
    await lab.planned(verb, "s3://b/in/", there, properties={"tags": {"new": "yes"}})
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (1, 1)
    assert lab.errors() == {"in/b": "StoreError"}
    assert things(store)["in/b"] == full


RETAG = """
    [[rule]]
    match = '.'
    tags = { new = "yes" }
"""


async def retag_that_failed(path: Path) -> tuple[Lab, MeddledStore]:
    store = store_of({"in/a": b"a"}, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(path), {"b": store})
    await lab.planned(Verb.RETAG, "s3://b/in/", "", RETAG)
    store.before = failing(S3ServerError("for a while", status=500), "set_tags")
    await lab.apply()
    store.before = nothing
    return lab, store


async def test_tags_that_somebody_set_meanwhile_are_kept(quick_path: Path) -> None:
    lab, store = await retag_that_failed(quick_path)
    await store.set_tags("in/a", {"somebody": "else"})
    await lab.apply()
    assert await store.get_tags("in/a") == {"somebody": "else"}
    assert lab.errors() == {"in/a": "SourceChanged"}


async def test_an_object_that_came_meanwhile_is_not_tagged(quick_path: Path) -> None:
    lab, store = await retag_that_failed(quick_path)
    put_now(store, "in/a", thing(b"newer"))
    await lab.apply()
    assert things(store) == {"in/a": thing(b"newer")}


async def test_tags_are_set_by_the_next_run(quick_path: Path) -> None:
    lab, store = await retag_that_failed(quick_path)
    await lab.apply()
    assert await store.get_tags("in/a") == {"t": "0", "new": "yes"}
    assert lab.phases() == {"in/a": "done"}


async def test_tags_that_are_there_already_are_left_alone(quick_path: Path) -> None:
    objects = {"in/a": thing(b"a")._replace(tags={"new": "yes"})}
    store = store_of(objects, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.RETAG, "s3://b/in/", "", RETAG)
    assert (await lab.apply()).skipped == 1
    assert lab.phases() == {"in/a": "skipped"}
    assert "set_tags" not in {name for name, _ in store.calls}


FOLDERS = """
    [[rule]]
    match = '^in/'
    skip = true
    [folders]
    create = ["raw/", "archive/2025/"]
"""


async def test_folders_are_made_and_seen_in_a_listing(quick_path: Path) -> None:
    store = store_of({"in/a": b"a", "raw/placeholder.txt": b"there before"}, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.COPY, "s3://b/in/", "s3://b/", FOLDERS)
    await lab.apply()
    assert contents(store) == {
        "in/a": b"a",
        "raw/placeholder.txt": b"there before",
        "archive/2025/placeholder.txt": b"",
    }
    assert lab.details("raw/placeholder.txt").get("made") is False
    assert "made" not in lab.details("archive/2025/placeholder.txt")


async def test_a_folder_that_no_listing_shows_is_reported(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of({"in/a": b"a"}, kind=MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.COPY, "s3://b/in/", "s3://b/", FOLDERS)
    monkeypatch.setattr(type(store._versions), "objects", lambda *_: iter(()))
    await lab.apply()
    assert set(lab.errors().values()) == {"IntegrityError"}
