"""Every link of the documentation leads somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.docs import pages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in pages.links(page):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        other = page if not name else page.parent / name
        if not other.exists() or (anchor and anchor not in pages.anchors(other)):
            broken.append(target)
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [pages.ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        for target in pages.links(page):
            other = (page.parent / target.partition("#")[0]).resolve()
            if "://" not in target and other.suffix == ".md" and other.exists() and other not in reached:
                ahead.append(other)
    assert [pages.name_of(page) for page in pages.pages() if page not in reached] == []
