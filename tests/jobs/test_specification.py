"""What job.json keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from haulyard.config import resolve
from haulyard.config.ends import ENDS, ends_of
from haulyard.errors import JobError
from haulyard.jobs.model import Verb
from haulyard.jobs.specification import Specification

FULL = Specification(
    Verb.MOVE,
    "s3://b/in/",
    "s3://b/out/",
    rules="[[rule]]",
    rules_name="my.toml",
    filters=((True, "*.csv"), (False, "*")),
    properties={"storage_class": "STANDARD_IA"},
    remove_tags=("old",),
    ends={"endpoint_url": "http://127.0.0.1:9"},
    created=1.5,
    release="1.0",
)


def test_a_specification_comes_back_from_json() -> None:
    import json

    assert Specification.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL
    assert FULL.patterns[0].include


@pytest.mark.parametrize(
    "change",
    [{"verb": Verb.COPY}, {"rules": ""}, {"source": "s3://c/"}, {"ends": {}}, {"filters": ()}, {"days": 3}],
)
def test_what_is_asked_makes_the_name(change: dict[str, object]) -> None:
    assert replace(FULL, **change).name() != FULL.name()  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"created": 2.5}, {"release": "2"}, {"rules_name": "other.toml"}])
def test_when_and_by_what_it_is_asked_does_not(change: dict[str, object]) -> None:
    assert replace(FULL, **change).name() == FULL.name()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"), [({"kind": "records"}, "no bulk job"), ({"newer": 1}, "newer")]
)
def test_what_is_not_understood_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(JobError, match=message):
        Specification.from_json(FULL.to_json() | change)


def test_the_ends_are_remembered_without_secrets(tmp_path: object) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "5ec3e7key"}
    ends = ends_of(resolve({"endpoint_url": "http://127.0.0.1:9"}, environ, str(tmp_path)))
    assert ends.keys() == set(ENDS)
    assert ends["endpoint_url"] == "http://127.0.0.1:9"
    assert "5ec3e7key" not in repr(ends)
