"""Beginning a job of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, JobError
from haulyard.journal import creating
from haulyard.journal.folder import JobFolder, list_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.journal.creating import Created

FIRST = {"kind": "records", "source": "s3://b/a"}


def create(
    where: Path, specification: Any = FIRST, *, new: bool = False, acted: bool = False, name: str = "j"
) -> Created:
    return creating.create(
        str(where),
        name,
        specification,
        is_same=lambda there: bool(there["source"] == specification["source"]),
        has_acted=lambda _: acted,
        new=new,
    )


def test_a_job_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = create(tmp_path / "jobs")
    assert (made.existed, made.kept_as, made.folder.specification) == (False, "", FIRST)
    again = create(tmp_path / "jobs")
    assert (again.existed, again.folder.path) == (True, made.folder.path)


@pytest.mark.parametrize(
    ("there", "what"),
    [
        ({**FIRST, "source": "s3://b/other"}, "process s3://b/other"),
        ({"verb": "copy", "source": "s3://b/a"}, "copy s3://b/a"),
    ],
)
def test_another_job_of_the_name_is_refused_and_told(tmp_path: Path, there: Any, what: str) -> None:
    JobFolder.create(str(tmp_path), "j", there)
    with pytest.raises(JobError, match=f"job j is another one: {what}"):
        create(tmp_path)
    assert JobFolder.open(str(tmp_path), "j").specification == there


def test_a_new_one_takes_the_place_of_one_that_has_done_nothing(tmp_path: Path) -> None:
    create(tmp_path, {**FIRST, "source": "s3://b/other"})
    made = create(tmp_path, new=True)
    assert (made.existed, made.kept_as, made.folder.specification) == (False, "", FIRST)
    assert list_jobs(str(tmp_path)) == ["j"]
    assert create(tmp_path, new=True, name="k").kept_as == ""


def test_one_that_has_done_something_is_kept_under_another_name(tmp_path: Path) -> None:
    create(tmp_path)
    for number in (1, 2):
        made = create(tmp_path, new=True, acted=True)
        assert made.kept_as == f"j-{number}"
    assert list_jobs(str(tmp_path)) == ["j", "j-1", "j-2"]


@pytest.mark.parametrize("acted", [False, True])
def test_one_that_somebody_works_on_stays_where_it_is(tmp_path: Path, acted: bool) -> None:
    made = create(tmp_path)
    with made.folder.lock("haul process"), pytest.raises(JobError):
        create(tmp_path, new=True, acted=acted)
    assert list_jobs(str(tmp_path)) == ["j"]


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        create(tmp_path, name="a/b")
