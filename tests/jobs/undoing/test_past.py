"""What undoing a job comes to, as it is told."""

from __future__ import annotations

from collections import Counter

from haulyard.jobs.undoing.past import Survey


def test_names_that_would_write_to_the_terminal_are_spelled_out() -> None:
    reason = "the bucket keeps no versions"
    told = Survey(hopeless=Counter({reason: 1}), samples={reason: ["a\x1b[2J\rb"]}).lines()
    assert told[-1].strip() == r"a\x1b[2J\x0db"
