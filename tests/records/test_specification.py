"""What a records job is to do."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from haulyard.errors import JobError
from haulyard.records.specification import Specification

FULL = Specification(
    source="s3://b/in/",
    to="https://api.example.com/${TENANT}",
    manifest="/lists/keys.txt",
    recursive=True,
    raw=True,
    filters=((True, "*.csv"), (False, "x")),
    format="csv",
    compression="gzip",
    encoding="latin-1",
    delimiter=";",
    quote="'",
    escape="\\",
    columns=("a", "b"),
    types="infer",
    grid=65_536,
    fields=("b",),
    renames={"z": "y", "b": "c"},
    transform="mine:clean",
    sample=0.25,
    method="PUT",
    headers=(("Authorization", "Bearer ${TOKEN}"),),
    body="template",
    template="{{*}}",
    records_per_call=10,
    success="ok",
    save_responses="s3://b/out/",
    responses_format="parquet",
    ends={"region": "eu-west-1", "endpoint_url": ""},
    created=1.5,
    release="0.1",
    uid="abc",
)


def kept(specification: Specification) -> Specification:
    """Return it as a job's folder gives it back: pairs of an object in the order of their names."""
    return Specification.from_json(json.loads(json.dumps(specification.to_json(), sort_keys=True)))


def test_it_comes_back_as_it_was() -> None:
    again = kept(FULL)
    assert again == FULL
    assert again.patterns == FULL.patterns
    assert kept(Specification("s", "t")) == Specification("s", "t")


def test_the_same_is_the_same_job_also_once_it_was_kept() -> None:
    assert FULL.name().startswith("process-b-in-")
    assert kept(FULL).name() == FULL.name()
    assert kept(FULL).is_same(FULL)
    assert FULL.is_same(replace(FULL, renames={"b": "c", "z": "y"}))


@pytest.mark.parametrize("name", ["created", "release", "uid", "grid"])
def test_when_and_by_what_and_how_finely_makes_no_other_job(name: str) -> None:
    values: dict[str, Any] = {"created": 9.0, "release": "9", "uid": "z", "grid": 16_384}
    assert replace(FULL, **{name: values[name]}).is_same(FULL)


@pytest.mark.parametrize(
    "name", [each.name for each in fields(FULL) if each.name not in {"created", "release", "uid", "grid"}]
)
def test_everything_else_does(name: str) -> None:
    default = getattr(Specification("s3://other/", "https://other.example.com/"), name)
    assert not replace(FULL, **{name: default}).is_same(FULL)


def test_a_job_of_another_kind_is_refused() -> None:
    with pytest.raises(JobError, match="no job of haul process"):
        Specification.from_json({"verb": "copy", "source": "s3://b/"})


def test_fields_of_a_later_release_are_refused_and_those_of_an_earlier_one_do() -> None:
    content = FULL.to_json()
    with pytest.raises(JobError, match="does not know: more, other"):
        Specification.from_json({**content, "other": 1, "more": 2})
    for name in ("filters", "headers", "columns", "success"):
        del content[name]
    assert Specification.from_json(content) == replace(FULL, filters=(), headers=(), columns=(), success="")


@pytest.mark.parametrize("name", ["source", "to"])
def test_a_job_without_its_ends_is_damaged(name: str) -> None:
    content = FULL.to_json()
    del content[name]
    with pytest.raises(JobError, match="what goes where"):
        Specification.from_json(content)
