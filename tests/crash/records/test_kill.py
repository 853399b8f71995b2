"""SIGKILL at random moments of `haul process`, over and over, until it ends by itself: no record is lost.

The witness is the API's own log. `make soak` kills twenty times a run; HAUL_SOAK_SEED repeats one.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.e2e.conftest import Program, bare_environment
from tests.records.working import csv_of, ids

from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from haulyard.testing.api import Call

#: Repeats a soak; read here, before the settings of whoever runs the tests are taken away.
SEED = os.environ.get("HAUL_SOAK_SEED", "")
COUNT = 1500
#: Every so many records one is poison: `id % POISON == 3`.
POISON = 500
#: What was answered so long before a kill may be sent again, in seconds; twice that on a busy machine.
_UNCOMMITTED = 0.1
_SLACK = 0.15
#: What was sent before a kill may be read so long after it.
_ON_ITS_WAY = 0.1
#: Of an answer; a call that was read so long before a kill may not have been answered by then.
_DELAY = 0.01


@dataclass
class Killed:
    """A job that is killed and begun again, and what the API saw of it."""

    haul: Program
    api: ApiServer
    chance: random.Random
    words: list[str]
    total: int
    """How many calls it takes."""
    kills: list[float] = field(default_factory=list)

    def to_the_end(self, kills: int) -> int:
        """Kill it so often, evenly over its calls, then let it end; return its exit code."""
        for number in range(kills):
            self.begin_and_kill(self._due(number, kills))
        return self.haul(*self.words).code

    def begin_and_kill(self, calls: int) -> None:
        """Begin it, and kill it once the API has seen so many calls more."""
        process = self.haul.start(*self.words)
        try:
            self.api.wait_for(timeout=60, count=len(self.api.calls) + calls)
            time.sleep(self.chance.random() * 0.01)  # not to wait for something, but for a random moment
        finally:
            process.kill()
            self.kills.append(time.monotonic())
            _, said = process.communicate()
        assert process.returncode == -9, said.decode()

    def _due(self, number: int, kills: int) -> int:
        share = self.total // (kills + 1)
        return 1 if number == 0 else self.chance.randrange(max(1, share // 4), share)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    return Program(cwd, bare_environment(tmp_path))


def is_poison(call: Call) -> bool:
    return any(each % POISON == 3 for each in ids(call))


def plain(cwd: Path) -> list[str]:
    (cwd / "in.csv").write_bytes(csv_of(COUNT))
    return ["in.csv"]


def packed(cwd: Path) -> list[str]:
    (cwd / "in.csv.gz").write_bytes(gzip.compress(csv_of(COUNT)))
    return ["in.csv.gz"]


def parquet(cwd: Path) -> list[str]:
    table = pa.table({"id": list(range(COUNT)), "name": [f"n{each}" for each in range(COUNT)]})
    pq.write_table(table, cwd / "in.parquet", row_group_size=200)
    return ["in.parquet"]


def several(cwd: Path) -> list[str]:
    return [*plain(cwd), "--records-per-call", "7"]


def many(cwd: Path) -> list[str]:
    directory = cwd / "in"
    directory.mkdir()
    for number in range(0, COUNT, 25):
        (directory / f"{number:05}.csv").write_bytes(csv_of(25, first=number))
    return ["in/"]


def transformed(cwd: Path) -> list[str]:
    (cwd / "shape.py").write_text(
        "def shape(record):\n"
        "    number = int(record['id'])\n"
        "    if number % 10 == 1:\n"
        "        return None\n"
        "    return [{'id': number, 'part': part} for part in range(1 + number % 3)]\n"
    )
    return [*plain(cwd), "--transform", "shape:shape"]


def answers(cwd: Path) -> list[str]:
    return [*plain(cwd), "--save-responses", "answers"]


CASES: dict[str, Callable[[Path], list[str]]] = {
    each.__name__: each for each in (plain, packed, parquet, several, many, transformed, answers)
}


def _killed(program: Program, api: ApiServer, case: str, seed: int) -> Killed:
    words = ["process", *CASES[case](program.cwd), "--to", api.url, "--job", "j", "--rate-limit-calls", "0"]
    # Slowly enough that a kill meets it anywhere.
    words += ["--max-in-flight", "4" if case == "several" else "16", "--batch-size", "100"]
    return Killed(program, api, random.Random(seed), words, COUNT // (7 if case == "several" else 1))


def _check(killed: Killed, case: str) -> None:
    """Compare what the API saw, and the dead letters, with what there was."""
    haul, calls = killed.haul, killed.api.calls
    letters = [json.loads(line) for line in haul.ok("process", "--dead-letters", "j").out.splitlines()]
    wanted = {each for each in range(COUNT) if case != "transformed" or each % 10 != 1}
    poison = {each for each in wanted if each % POISON == 3}
    arrived = {number for call in calls if call.delivered for number in ids(call)}
    assert arrived == wanted - poison
    assert {int(each["record"]["id"]) for each in letters} == poison
    # Of a record of which several are made, each has its own.
    assert len(letters) == sum(1 + each % 3 if case == "transformed" else 1 for each in poison)
    _check_keys(calls)
    _check_repetitions(killed, calls)
    if case == "answers":
        _check_answers(haul.cwd / "answers", wanted - poison)


def _check_keys(calls: tuple[Call, ...]) -> None:
    """The same key means the same call."""
    bodies: dict[str, bytes] = {}
    keys: dict[bytes, str] = {}
    for call in calls:
        assert bodies.setdefault(call.key, call.body) == call.body
        assert keys.setdefault(call.body, call.key) == call.key


def _check_repetitions(killed: Killed, calls: tuple[Call, ...]) -> None:
    """What was delivered again was in flight at a kill, or answered right before it."""
    times: dict[int | str, list[float]] = {}
    for call in calls:
        if call.delivered:
            for number in ids(call):
                # Of a record of which a transform makes several, all are sent again until all have ended.
                name = f"{number} {call.json().get('part', '')}" if b"part" in call.body else number
                times.setdefault(name, []).append(call.time)
    excused = _UNCOMMITTED + _SLACK + _DELAY
    late = [
        (name, first)
        for name, moments in times.items()
        for first, _ in pairwise(moments)
        if not any(-_ON_ITS_WAY < kill - first < excused for kill in killed.kills)
    ]
    assert late == []


def _check_answers(directory: Path, wanted: set[int]) -> None:
    kept = [json.loads(line) for path in directory.iterdir() for line in path.read_bytes().splitlines()]
    counted = Counter((each["offset"], each["row"]) for each in kept)
    assert (len(counted), set(counted.values())) == (len(wanted), {1})


@pytest.mark.parametrize("case", list(CASES))
def test_killed_over_and_over_no_record_is_lost(program: Program, case: str) -> None:
    with ApiServer(Rule(422, where=is_poison, delay=_DELAY), Rule(delay=_DELAY)) as api:
        killed = _killed(program, api, case, seed=len(case))
        assert killed.to_the_end(3) == 1
        _check(killed, case)


@pytest.mark.soak
@pytest.mark.parametrize("case", list(CASES))
def test_soak_killed_twenty_times(
    program: Program, case: str, record_property: Callable[[str, object], None]
) -> None:
    seed = int(SEED or random.SystemRandom().randrange(1 << 32))
    record_property("HAUL_SOAK_SEED", seed)
    with ApiServer(Rule(422, where=is_poison, delay=_DELAY), Rule(delay=_DELAY)) as api:
        killed = _killed(program, api, case, seed)
        assert killed.to_the_end(20) == 1
        _check(killed, case)


def test_sending_dead_letters_again_survives_kills_too(program: Program) -> None:
    poison = Rule(422, where=lambda call: ids(call)[0] % 2 == 0, delay=_DELAY)
    with ApiServer(poison, Rule(delay=_DELAY)) as api:
        killed = _killed(program, api, "plain", seed=1)
        assert program(*killed.words).code == 1
        api.script(Rule(422, where=is_poison, delay=_DELAY), Rule(delay=_DELAY))
        # 3, 503 and 1003 are poison: they were delivered before.
        first = {number for call in api.calls if call.delivered for number in ids(call)}
        before = len(api.calls)
        words = ["process", "--retry-failed", "j", "--rate-limit-calls", "0", "--max-in-flight", "16"]
        again = Killed(program, api, random.Random(2), words, COUNT // 2)
        assert again.to_the_end(3) == 0
        assert {number for call in api.calls if call.delivered for number in ids(call)} == set(range(COUNT))
        # Nothing else was sent, and each with its key of old.
        assert not {number for call in api.calls[before:] for number in ids(call)} & first
        _check_keys(api.calls)
        _check_repetitions(again, api.calls[before:])
        assert program.ok("process", "--dead-letters", "j").out == ""
        status = json.loads(program.ok("status", "j", "--json").out.splitlines()[-1])
        assert (status["delivered"], status["failed"]) == (COUNT, 0)


def test_no_kill_makes_the_rate_higher_than_its_limit(program: Program) -> None:
    limit = 100
    with ApiServer() as api:
        killed = _killed(program, api, "plain", seed=3)
        killed.words[-2:] = ["--limit", "250"]
        killed.words[killed.words.index("--rate-limit-calls") + 1] = str(limit)
        for calls in (1, 40, 80):
            killed.begin_and_kill(calls)
        assert program(*killed.words).code == 0
        assert len(api.calls) >= 250
        assert api.windows(1.0) <= limit
        # Begun again, it waits for one period.
        for kill in killed.kills:
            assert min(call.time for call in api.calls if call.time > kill + _ON_ITS_WAY) - kill >= 1.0
