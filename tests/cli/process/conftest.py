"""`haul process`, with an API to call and people to send."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.process.running import PEOPLE

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Box


@pytest.fixture(autouse=True)
def _at_home(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    haul.bucket({"in/people.csv": PEOPLE})


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An API that takes everything."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def picky() -> Iterator[ApiServer]:
    """An API that takes no Bob."""
    with ApiServer(Rule(422, contains="Bob")) as server:
        yield server
