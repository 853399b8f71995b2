"""Both faces of a job have the same names, parameters and results; only what is awaited differs."""

from __future__ import annotations

import inspect

import pytest

from haulyard.jobs.async_job import AsyncJob
from haulyard.jobs.job import Job


def public(face: type) -> dict[str, object]:
    return {
        name: value
        for name, value in inspect.getmembers(face)
        if not name.startswith("_") and (callable(value) or isinstance(value, property))
    }


ASYNC, BLOCKING = public(AsyncJob), public(Job)
METHODS = [name for name, value in ASYNC.items() if callable(value)]


def plain(text: object) -> str:
    """Return an annotation as the blocking face writes it."""
    return str(text).replace("AsyncClient", "Client")


def test_both_have_the_same_names() -> None:
    assert ASYNC.keys() == BLOCKING.keys()


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_both_take_the_same_and_return_the_same(name: str) -> None:
    one, other = inspect.signature(getattr(AsyncJob, name)), inspect.signature(getattr(Job, name))
    assert [plain(each) for each in one.parameters.values()] == list(map(str, other.parameters.values()))
    assert one.return_annotation == other.return_annotation


@pytest.mark.parametrize("name", METHODS)
def test_the_blocking_face_says_where_its_original_is(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(AsyncJob, name))
    assert not inspect.iscoroutinefunction(getattr(Job, name))
    assert f"`AsyncJob.{name}`" in (inspect.getdoc(getattr(Job, name)) or "")
