"""No row is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.rows import ELSEWHERE, ROWS

HERE = Path(__file__).parent
MARKED = re.compile(r'pytest\.mark\.row\("([^"]+)"\)')


def test_every_row_has_a_test_and_every_mark_a_row() -> None:
    marked = {name for path in HERE.glob("test_*.py") for name in MARKED.findall(path.read_text())}
    assert marked == ROWS.keys()


def test_what_is_tested_elsewhere_is_there() -> None:
    root = HERE.parent.parent
    assert [path for path in ELSEWHERE.values() if not (root / path).exists()] == []
