from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError, JobError
from haulyard.journal.folder import JobFolder, list_jobs
from haulyard.journal.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

_SPECIFICATION = {"verb": "move", "filters": ((True, "*.jpg"),), "rules": "é \ud83d", "days": None, 'q"': 1.5}


@pytest.fixture
def jobs(tmp_path: Path) -> str:
    return str(tmp_path / "jobs")


@pytest.fixture
def folder(jobs: str) -> JobFolder:
    return JobFolder.create(jobs, "photos", _SPECIFICATION)


def test_a_job_is_found_again_with_the_same_specification(jobs: str, folder: JobFolder) -> None:
    again = JobFolder.open(jobs, "photos")
    assert again.specification == folder.specification == {**_SPECIFICATION, "filters": [[True, "*.jpg"]]}
    assert (again.name, again.path) == ("photos", os.path.join(jobs, "photos"))
    assert JobFolder.exists(jobs, "photos")
    assert list_jobs(jobs) == ["photos"]


def test_a_relative_directory_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert JobFolder.create("jobs", "a", {}).path == str(tmp_path / "jobs" / "a")


@pytest.mark.usefixtures("folder")
def test_a_job_is_not_made_twice(jobs: str) -> None:
    with pytest.raises(JobError, match="there is a job photos already") as caught:
        JobFolder.create(jobs, "photos", {})
    assert "--new" in caught.value.hint
    assert JobFolder.open(jobs, "photos").specification["verb"] == "move"


def test_a_job_whose_making_was_interrupted_is_none_and_can_be_made(jobs: str) -> None:
    os.makedirs(os.path.join(jobs, "photos", "shards"))
    assert list_jobs(jobs) == []
    assert not JobFolder.exists(jobs, "photos")
    JobFolder.create(jobs, "photos", {})
    assert list_jobs(jobs) == ["photos"]


@pytest.mark.usefixtures("folder")
def test_a_mistyped_name_gets_a_suggestion(jobs: str) -> None:
    with pytest.raises(JobError, match="there is no job fotos") as caught:
        JobFolder.open(jobs, "fotos")
    assert caught.value.hint == "did you mean photos? haul status lists all"


def test_what_is_no_job_is_not_listed(jobs: str, folder: JobFolder) -> None:
    os.makedirs(os.path.join(jobs, "other"))
    os.makedirs(os.path.join(jobs, ".hidden"))
    with open(os.path.join(jobs, "file"), "w") as file:
        file.write("x")
    assert list_jobs(jobs) == [folder.name]
    assert list_jobs(os.path.join(jobs, "absent")) == []


def test_a_directory_that_cannot_be_made_is_an_error_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept in") as caught:
        JobFolder.create(str(tmp_path / "file"), "a", {})
    assert "HAUL_JOB_DIR" in caught.value.hint


def test_documents_are_replaced_as_a_whole(folder: JobFolder) -> None:
    assert folder.read("state") is None
    folder.write("state", {"stage": "planning", "n": 1})
    folder.write("state", {"stage": "planned"})
    assert folder.read("state") == {"stage": "planned"}
    assert sorted(os.listdir(folder.path)) == ["job.json", "shards", "state.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"planned", b"applied"),
        lambda text: text.replace(b'"n": 1', b'"n": 1.0'),
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: b"null",
        lambda text: b'{"content": [], "sha256": ""}',
        lambda text: b"\xff" + text,
    ],
    ids=["a value", "a type", "half of it", "nothing", "null", "no object", "no UTF-8"],
)
def test_an_edited_or_torn_document_is_refused(folder: JobFolder, change: object) -> None:
    folder.write("state", {"stage": "planned", "n": 1})
    path = os.path.join(folder.path, "state.json")
    with open(path, "rb") as file:
        text = file.read()
    assert callable(change)
    with open(path, "wb") as file:
        file.write(change(text))
    with pytest.raises(JobError, match=r"state\.json is damaged") as caught:
        folder.read("state")
    assert caught.value.hint


def test_another_layout_of_the_same_content_is_good(folder: JobFolder) -> None:
    folder.write("state", {"stage": "planned", "n": 1})
    path = os.path.join(folder.path, "state.json")
    with open(path) as file:
        document = json.load(file)
    with open(path, "w") as file:
        json.dump(document, file, sort_keys=True)
    assert folder.read("state") == {"stage": "planned", "n": 1}


def test_a_damaged_specification_is_refused_but_listed(jobs: str, folder: JobFolder) -> None:
    with open(os.path.join(folder.path, "job.json"), "r+") as file:
        file.truncate(20)
    assert list_jobs(jobs) == ["photos"]
    with pytest.raises(JobError, match=r"job\.json is damaged"):
        JobFolder.open(jobs, "photos")


def test_a_full_disk_leaves_the_document_as_it_was(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("state", {"stage": "planned"})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobError, match="No space left on device") as caught:
        folder.write("state", {"stage": "applying"})
    assert "make room" in caught.value.hint
    assert folder.read("state") == {"stage": "planned"}
    assert sorted(os.listdir(folder.path)) == ["job.json", "shards", "state.json"]


def test_content_and_name_are_synced_in_that_order(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def note_replace(source: str, target: str) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    folder.write("state", {})
    assert done == [f".state.json.{os.getpid()}", "rename", "photos"]


def test_shards_come_in_order_and_those_whose_order_matters_last(folder: JobFolder) -> None:
    for name in (
        "ordered-00000.db",
        "00010.db",
        "100000.db",
        "00002.db",
        "00003.db.part",
        "00002.db-wal",
        "00002.db.lock",
    ):
        with open(os.path.join(folder.shards, name), "w"):
            pass
    assert [os.path.basename(path) for path in folder.shard_paths()] == [
        "00002.db",
        "00010.db",
        "100000.db",
        "ordered-00000.db",
    ]


def test_a_job_without_shards_has_none(folder: JobFolder) -> None:
    os.rmdir(folder.shards)
    assert folder.shard_paths() == []


def test_a_locked_job_says_by_whom_and_is_free_afterwards(folder: JobFolder) -> None:
    assert folder.holder() is None
    with folder.lock("haul apply photos"):
        holder = folder.holder()
        assert holder
        assert (holder.pid, holder.command) == (os.getpid(), "haul apply photos")
        with (
            pytest.raises(JobError, match="job photos is locked by process"),
            folder.lock("haul undo photos"),
        ):
            pass
    assert folder.holder() is None


def test_a_removed_job_is_gone_and_can_be_made_again(jobs: str, folder: JobFolder) -> None:
    folder.remove()
    assert os.listdir(jobs) == []
    JobFolder.create(jobs, "photos", {}).remove()
    assert list_jobs(jobs) == []


def test_what_a_killed_removal_left_is_removed_by_the_next(jobs: str, folder: JobFolder) -> None:
    os.makedirs(os.path.join(jobs, ".photos.removed", "shards"))
    assert list_jobs(jobs) == ["photos"]
    folder.remove()
    assert os.listdir(jobs) == []


def test_a_job_in_use_is_not_removed(jobs: str, folder: JobFolder) -> None:
    with folder.lock("haul apply photos"), pytest.raises(JobError, match="locked by"):
        folder.remove()
    shard = os.path.join(folder.shards, "00000.db")
    with open(shard, "w"):
        pass
    with (
        Lock.acquire(shard + ".lock", command="haul apply", what=shard),
        pytest.raises(JobError, match="in use"),
    ):
        folder.remove()
    assert list_jobs(jobs) == ["photos"]
