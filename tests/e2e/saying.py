"""What a command may say when it fails: one line, and one more that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Done


def says(done: Done, code: int, pattern: str, hint: str = "") -> None:
    """Check that ``done`` failed with ``code`` and exactly that line, and that hint if any."""
    lines = done.err.splitlines()
    assert done.code == code, (done.code, done.err)
    assert re.search(pattern, lines[0]), done.err
    assert all(line.startswith("  ") for line in lines[1:]), done.err
    assert len(lines) <= 2, done.err
    assert done.out == ""
    if hint:
        assert re.search(hint, lines[1]), done.err
