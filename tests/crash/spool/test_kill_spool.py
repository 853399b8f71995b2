"""SIGKILL of `haul spool` at every step, whole writes and half ones, and the power failing there.

No event that was acknowledged is lost, none is in a file twice, and no name is given again (`events`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.crash.spool.events import Feed, SpoolRounds
from tests.crash.spool.steps import kill_at

if TYPE_CHECKING:
    from tests.crash.spool.program import Haul

MOMENTS = ("before", "half", "power")
FEEDS = {
    "json": Feed("json"),
    "xml": Feed("xml"),
    "xml gzip": Feed("xml", "gzip"),
    "json zstd": Feed("json", "zstd"),
}
#: From one step to the next that is tried; where that begins differs.
_STRIDE = 23


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", FEEDS)
def test_no_acknowledged_event_is_lost(haul: Haul, name: str, moment: str) -> None:
    start = 1 + (list(FEEDS).index(name) + 5 * MOMENTS.index(moment)) % _STRIDE
    assert kill_at(SpoolRounds(haul, FEEDS[name]).kill, moment, start, _STRIDE) > 1


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", FEEDS)
def test_at_every_step(haul: Haul, name: str, moment: str) -> None:
    assert kill_at(SpoolRounds(haul, FEEDS[name]).kill, moment, 1, 1) > 20
