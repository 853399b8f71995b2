from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from haulyard.jobs.model import Action, Conflict, Verb
from haulyard.jobs.planning.prices import load_prices
from haulyard.jobs.planning.requests_needed import Asked, Way, price_of, requests_needed, seconds_for
from haulyard.jobs.planning.tally import Tally

COLD = "DEEP_ARCHIVE"


def tally(
    objects: int,
    *,
    action: Action = Action.ACT,
    conflict: Conflict = Conflict.NONE,
    large: int = 0,
    parts: int = 0,
) -> Tally:
    return Tally([[0, int(action), int(conflict), "STANDARD", objects, 0, 0, large, parts]])


def needed(tally: Tally, verb: Verb = Verb.COPY, **way: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for asked, count in requests_needed(tally, Way(verb, **way)).items():
        total[asked.kind] += count
    return dict(total)


def test_a_copy_is_two_heads_and_a_copy() -> None:
    assert needed(tally(10)) == {"HEAD": 20, "COPY": 10}


def test_a_large_copy_goes_by_parts() -> None:
    assert needed(tally(3, large=1, parts=700)) == {
        "HEAD": 6,
        "COPY": 2,
        "COPY part": 700,
        "POST": 2,
        "GET tagging": 1,
    }


def test_a_move_deletes_by_the_thousand_where_that_is_proved() -> None:
    assert needed(tally(1_001), Verb.MOVE) == {"HEAD": 2_002, "COPY": 1_001, "DELETE": 2}
    assert needed(tally(5), Verb.MOVE, batched=False) == {"HEAD": 15, "COPY": 5, "DELETE": 5}


def test_what_is_there_already_is_only_compared() -> None:
    assert needed(tally(5, conflict=Conflict.SAME), Verb.MOVE) == {"HEAD": 10, "DELETE": 1}


def test_ups_and_downs_ask_one_store() -> None:
    assert needed(tally(2), direction="up") == {"HEAD": 2, "PUT": 2}
    assert needed(tally(2), direction="down") == {"HEAD": 2, "GET": 2}
    assert needed(tally(2), direction="through") == {"HEAD": 4, "GET": 2, "PUT": 2}


def test_the_other_verbs_ask_for_what_they_do() -> None:
    assert needed(tally(2_000), Verb.DELETE) == {"DELETE": 2}
    assert needed(tally(2), Verb.RESTORE) == {"RESTORE": 2}
    assert needed(tally(2), Verb.RETAG) == {"GET tagging": 2, "PUT tagging": 2}
    assert needed(tally(2, action=Action.FOLDER)) == {"PUT": 2, "LIST": 2}


@pytest.mark.parametrize("action", [Action.UNMATCHED, Action.SKIPPED, Action.UNSAFE, Action.CYCLE])
def test_what_is_left_alone_costs_nothing(action: Action) -> None:
    assert needed(tally(2, action=action), Verb.MOVE) == {}


def test_a_copy_has_the_price_of_the_class_it_gets() -> None:
    needs = requests_needed(tally(1_000), Way(Verb.COPY), lambda _rule, _source: COLD)
    assert needs[Asked("COPY", COLD)] == 1_000
    # A HEAD of the source and one of the copy, and the copy.
    assert price_of(needs, load_prices()) == pytest.approx(0.0004 + 0.0004 + 0.05)


def test_deletes_are_free_and_restores_have_their_own_price() -> None:
    prices = load_prices()
    assert price_of(Counter({Asked("DELETE"): 10**6}), prices) == 0.0
    assert price_of(Counter({Asked("RESTORE", "GLACIER"): 1_000}), prices, "Expedited") == pytest.approx(10.0)


def test_time_is_the_longest_of_rates_and_latency() -> None:
    def seconds(reads: int, writes: int, latency: float) -> float:
        asked = [(Asked("HEAD"), reads), (Asked("COPY"), writes)]
        return seconds_for(asked, latency=latency, concurrency=10)

    assert seconds(5_500, 35_000, 0.0) == pytest.approx(10.0)
    assert seconds(55_000, 0, 0.0) == pytest.approx(10.0)
    assert seconds(500, 500, 0.1) == pytest.approx(10.0)
