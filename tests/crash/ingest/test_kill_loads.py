"""A load that is killed leaves the table as it was, and the next one finds nothing in its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from tests.crash.ingest.victims import BATCHES, ROWS, SAFE, STEPS

CASES = [
    *(("upsert", step) for step in STEPS),
    *((mode, "in the insert") for mode in ("create", "append", "replace")),
    ("replace", "after the commit"),
]
AGAIN = [
    *((mode, "in the insert") for mode in ("create", "append", "replace", "upsert")),
    ("upsert", "after the merge"),
    ("upsert", "after the commit"),
]
_NEW = BATCHES * ROWS
#: Rows that were there: half of their keys come again.
_OLD = 1000


class Ended(NamedTuple):
    """How a case ended: killed or not, and what it left."""

    code: int
    directory: Path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Ended]:
    """Every case, killed at its step."""
    root = tmp_path_factory.mktemp("killed")
    places = {case: root / str(number) for number, case in enumerate(CASES)}
    for (mode, _), place in places.items():
        place.mkdir()
        if mode != "create":
            with duckdb.connect(str(place / "t.duckdb")) as connection:
                connection.execute(
                    "CREATE TABLE t AS SELECT range AS id, 'old' AS name FROM range($1::BIGINT, $2::BIGINT)",
                    [_NEW - _OLD // 2, _NEW + _OLD // 2],
                )
    codes = _run(root / "cases", [[str(place), *case] for case, place in places.items()])
    return {case: Ended(code, place) for (case, place), code in zip(places.items(), codes, strict=True)}


@pytest.fixture(scope="module")
def again(killed: dict[tuple[str, str], Ended]) -> dict[tuple[str, str], int]:
    """How the same load ends that is run once more, without a kill."""
    lines = [[str(killed[case].directory), case[0], ""] for case in AGAIN]
    return dict(zip(AGAIN, _run(killed[AGAIN[0]].directory.parent / "again", lines), strict=True))


def _run(path: Path, lines: list[list[str]]) -> list[int]:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    subprocess.run([sys.executable, "-m", "tests.crash.ingest.victims", str(path)], check=True)
    return [int(line) for line in Path(f"{path}.ended").read_text().splitlines()]


def _states(ended: Ended) -> tuple[list[tuple[str, int]], int]:
    """Return how many old and new rows there are, and how many files are remembered."""
    with duckdb.connect(str(ended.directory / "t.duckdb")) as connection:
        names = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert names <= {"t", "sources"}
        if "t" not in names:
            return [], 0
        counts = connection.execute(
            "SELECT left(name, 3), count(*) FROM t GROUP BY ALL ORDER BY 1"
        ).fetchall()
        known = connection.execute("FROM haulyard.sources").fetchall() if "sources" in names else []
        return counts, len(known)


def _expected(mode: str, *, loaded: bool) -> tuple[list[tuple[str, int]], int]:
    if not loaded:
        return ([] if mode == "create" else [("old", _OLD)]), 0
    old = {"append": _OLD, "upsert": _OLD // 2}.get(mode, 0)
    return [*([("old", old)] if old else []), ("new", _NEW)][::-1], 1


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_load_that_is_killed_is_there_in_full_or_not_at_all(
    killed: dict[tuple[str, str], Ended], case: tuple[str, str]
) -> None:
    mode, step = case
    assert killed[case].code == -signal.SIGKILL
    counts, known = _states(killed[case])
    assert (sorted(counts), known) == (sorted(_expected(mode, loaded=step in SAFE)[0]), int(step in SAFE))


@pytest.mark.parametrize("case", AGAIN, ids=" ".join)
def test_the_same_load_again_comes_to_the_same_as_without_a_kill(
    killed: dict[tuple[str, str], Ended], again: dict[tuple[str, str], int], case: tuple[str, str]
) -> None:
    mode, _ = case
    assert again[case] == 0
    counts, known = _states(killed[case])
    assert (sorted(counts), known) == (sorted(_expected(mode, loaded=True)[0]), 1)
    assert os.listdir(killed[case].directory) == ["t.duckdb"]
