"""The parts of the documentation that are made from the code are as the code is."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
from tests.docs import pages

if TYPE_CHECKING:
    from types import ModuleType


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", pages.DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_PAGES = sorted({page for page, _ in _generate().PARTS})


@pytest.mark.parametrize("page", _PAGES)
def test_what_is_made_from_the_code_is_up_to_date(page: str) -> None:
    text = (pages.DOCS / page).read_text(encoding="utf-8")
    assert text == _generate().filled(page, text), f"run: python docs/generate.py, and look at {page}"
