"""Jobs under their locks: what has to be decided, and right, before anything happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.jobs.applying.lab import Lab, contents, put_now, store_of
from tests.jobs.applying.meddling import MeddledStore

from haulyard.errors import JobError, S3PermissionError
from haulyard.events import Warned
from haulyard.jobs import conduct
from haulyard.jobs.model import Verb
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def lab_of(path: Path, objects: dict[str, bytes], rules: str = "") -> tuple[Lab, MeddledStore]:
    store = store_of(objects, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/", rules)
    store.calls.clear()
    return lab, store


async def test_conflicts_wait_for_a_decision(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a", "out/a": b"old"})
    with pytest.raises(JobError, match="nobody decided") as refused:
        await lab.apply()
    assert "--on-conflict" in refused.value.hint
    assert store.calls == []
    await lab.apply("skip")
    assert contents(store) == {"in/a": b"a", "out/a": b"old"}


async def test_a_decision_is_remembered(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a", "out/a": b"old", "in/b": b"b"})
    lab.stopped = lambda: True
    await lab.apply("overwrite")
    lab.stopped = lambda: False
    await lab.apply()
    assert contents(store) == {"out/a": b"a", "out/b": b"b"}


async def test_a_decision_that_is_none_is_refused(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    with pytest.raises(JobError, match="perhaps"):
        await lab.apply("perhaps")
    assert store.calls == []


async def test_keys_that_no_rule_takes_are_refused(tmp_path: Path) -> None:
    rules = """
        [[rule]]
        match = '^in/a$'
        to = "a"
    """
    lab, store = await lab_of(tmp_path, {"in/a": b"a", "in/b": b"b"}, rules)
    with pytest.raises(JobError, match="no rule"):
        await lab.apply()
    assert store.calls == []


async def test_what_is_denied_is_said_before_the_first_change(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    lab.denied.add("DeleteObject")
    with pytest.raises(S3PermissionError, match="DeleteObject") as denied:
        await lab.apply()
    assert "nothing was changed" in denied.value.hint
    assert store.calls == []
    assert (lab.folder.read("state") or {})["stage"] == "planned"


async def test_rights_that_a_verb_does_not_need_may_be_missing(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    lab.denied.add("PutObjectAcl")
    await lab.apply()
    assert contents(store) == {"out/a": b"a"}


async def test_an_unfinished_plan_is_not_applied(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    lab.folder.write("state", {"stage": "listed"})
    with pytest.raises(JobError, match="not finished"):
        await lab.apply()
    assert store.calls == []


async def test_what_was_undone_is_not_applied(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    await lab.apply()
    await lab.undo()
    with pytest.raises(JobError, match="undone"):
        await lab.apply()
    assert contents(store) == {"in/a": b"a"}


async def test_what_was_not_applied_is_not_undone(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    with pytest.raises(JobError, match="nothing to undo"):
        await lab.undo()
    with pytest.raises(JobError, match="nothing to undo"):
        conduct.survey_undo(lab.folder)
    assert store.calls == []


@pytest.mark.parametrize("work", ["apply", "undo"])
async def test_a_job_that_somebody_works_on_is_left_to_them(tmp_path: Path, work: str) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    with lab.folder.lock("haul something"), pytest.raises(JobError, match="haul something"):
        await (lab.apply() if work == "apply" else lab.undo())
    assert store.calls == []


async def test_a_stopped_undo_goes_on_later(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {f"in/{number:02}": b"x" for number in range(40)})
    await lab.apply()
    lab.stopped = lambda: "returned" in lab.count()
    assert (await lab.undo()).interrupted
    assert (lab.folder.read("state") or {})["stage"] == "undoing"
    lab.stopped = lambda: False
    await lab.undo()
    assert contents(store).keys() == {f"in/{number:02}" for number in range(40)}
    assert (lab.folder.read("state") or {})["stage"] == "undone"


async def test_the_same_command_means_the_same_job(tmp_path: Path) -> None:
    specification = Specification(Verb.MOVE, "s3://b/in/", "s3://b/out/")
    made, was_there, _ = conduct.create(str(tmp_path), specification)
    again, is_there, _ = conduct.create(str(tmp_path), specification)
    assert (was_there, is_there) == (False, True)
    assert made.path == again.path
    other = Specification(Verb.COPY, "s3://b/in/", "s3://b/out/")
    assert conduct.create(str(tmp_path), other)[0].path != made.path
    with pytest.raises(JobError, match="another one"):
        conduct.create(str(tmp_path), other, made.name)
    renewed, is_old, kept_as = conduct.create(str(tmp_path), other, made.name, new=True)
    assert (renewed.specification["verb"], is_old, kept_as) == ("copy", False, "")


async def test_a_job_that_did_something_is_kept_when_another_takes_its_name(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a"})
    await lab.apply()
    name = lab.folder.name
    directory = lab.folder.path.removesuffix(f"/{name}")
    made = conduct.create(directory, Specification(Verb.MOVE, "s3://b/x/"), name, new=True)
    assert made.kept_as == f"{name}-1"
    kept = JobFolder.open(directory, made.kept_as)
    assert conduct.survey_undo(kept).count == 1
    assert contents(store).keys() == {"out/a"}
    made.folder.write("state", {"stage": "applied"})
    again = conduct.create(directory, Specification(Verb.COPY, "s3://b/x/"), name, new=True)
    assert again.kept_as == f"{name}-2"


async def test_undoing_tells_beforehand_what_cannot_be_undone(tmp_path: Path) -> None:
    lab, store = await lab_of(tmp_path, {"in/a": b"a", "in/b": b"b", "out/a": b"old"})
    await lab.apply("overwrite")
    survey = conduct.survey_undo(lab.folder)
    assert survey.count == 1
    assert survey.samples == {"it replaced another object, and the bucket keeps no versions": ["in/a"]}
    assert any("cannot be undone" in line for line in survey.lines())
    await lab.undo()
    assert contents(store) == {"in/b": b"b", "out/a": b"a"}
    assert survey.fields()["undoable"] == {"objects to move back": 1}


async def test_two_jobs_with_the_same_keys_lose_nothing(tmp_path: Path) -> None:
    import anyio

    objects = {f"in/{number:02}": str(number).encode() for number in range(30)}
    store = store_of(objects, kind=MeddledStore)
    labs = [Lab(str(tmp_path / name), {"b": store}) for name in ("one", "two")]
    for lab in labs:
        await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/")
    async with anyio.create_task_group() as group:
        for lab in labs:
            group.start_soon(lab.apply)
    assert contents(store) == {f"out/{key[3:]}": data for key, data in objects.items()}
    for key in objects:
        made = [lab.details(key) for lab in labs if lab.phases().get(key) == "done"]
        assert [each.get("made", True) for each in made].count(True) == 1
    put_now(store, "still", b"works")


async def test_files_that_cannot_be_objects_are_told_while_planning(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "ok.txt").touch()
    os.close(os.open(bytes(files) + b"/bad\xff.txt", os.O_CREAT | os.O_WRONLY))
    lab = Lab(str(tmp_path), {"b": store_of({})})
    await lab.planned(Verb.COPY, f"{files}/", "s3://b/out/")
    warned = [event.message for event in lab.events if isinstance(event, Warned)]
    assert len(warned) == 1
    assert "not UTF-8" in warned[0]
