"""Both faces have the same names, parameters and results; only what is awaited differs."""

from __future__ import annotations

import inspect
import re

import pytest

from haulyard import AsyncClient, Client


def public(face: type) -> dict[str, object]:
    return {
        name: value
        for name, value in inspect.getmembers(face)
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }


ASYNC, BLOCKING = public(AsyncClient), public(Client)
METHODS = [name for name, value in ASYNC.items() if inspect.isfunction(value)]


def plain(annotation: object) -> str:
    """Return an annotation as the blocking face writes it."""
    text = str(annotation).replace("builtins.", "")
    return re.sub(r"\bAsyncIterator\b", "Iterator", text)


def test_both_have_the_same_names() -> None:
    assert ASYNC.keys() == BLOCKING.keys()


@pytest.mark.parametrize("name", METHODS)
def test_both_take_the_same_and_return_the_same(name: str) -> None:
    one, other = inspect.signature(getattr(AsyncClient, name)), inspect.signature(getattr(Client, name))
    assert [str(each) for each in one.parameters.values()] == [
        str(each) for each in other.parameters.values()
    ]
    if name != "open":  # which returns files of another kind
        assert plain(one.return_annotation) == plain(other.return_annotation)


def test_both_are_made_alike() -> None:
    assert inspect.signature(AsyncClient.__init__) == inspect.signature(Client.__init__)


@pytest.mark.parametrize("name", METHODS)
def test_the_blocking_face_waits_for_nothing_that_it_returns(name: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(Client, name))
    assert not inspect.isasyncgenfunction(getattr(Client, name))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_described(name: str) -> None:
    text = inspect.getdoc(getattr(AsyncClient, name)) or ""
    assert text
    short = inspect.getdoc(getattr(Client, name)) or ""
    assert f"`AsyncClient.{name}`" in short or name == "close"
