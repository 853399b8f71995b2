from __future__ import annotations

import errno
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.jobs.planning.sealed_plans import make_plan, row

from haulyard.errors import JobError
from haulyard.jobs.model import Action, Conflict
from haulyard.jobs.planning import spill as spill_module
from haulyard.jobs.planning.spill import Spill, destinations_in

if TYPE_CHECKING:
    from pathlib import Path


def test_names_that_occur_once_are_no_suspects(tmp_path: Path) -> None:
    with Spill(str(tmp_path)) as spill:
        spill.add([f"k{n}" for n in range(1_000)], [f"d{n}" for n in range(1_000)])
        suspects = spill.suspects()
    assert not suspects
    assert suspects.pick(["k1"], ["d1"]) == []


def test_a_key_that_occurs_twice_is_none_without_a_destination(tmp_path: Path) -> None:
    with Spill(str(tmp_path)) as spill:
        spill.add(["a", "a"], ["b"])
        assert not spill.suspects()


def test_a_destination_of_two_pages_is_one(tmp_path: Path) -> None:
    with Spill(str(tmp_path)) as spill:
        spill.add(["a"], ["x"])
        spill.add(["b", "c"], ["y", "x"])
        assert spill.suspects().pick(["a", "b", "c"], ["x", "y", "x"]) == [0, 2]


def test_a_destination_that_is_listed_is_one_where_both_are_in_one_store(tmp_path: Path) -> None:
    with Spill(str(tmp_path)) as spill:
        spill.add(["a", "b"], ["b", "c"])
        assert spill.suspects().pick(["a", "b"], ["b", "c"]) == [0, 1]
        assert not spill.suspects(keys=False)


def test_a_destination_that_is_present_is_one(tmp_path: Path) -> None:
    with Spill(str(tmp_path)) as spill:
        spill.add(["a", "b"], ["x", "y"])
        spill.add_present(["y", "z"])
        assert spill.suspects(keys=False).pick(["a", "b"], ["x", "y"]) == [1]


def test_few_names_never_touch_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_module, "TemporaryFile", None)
    with Spill(str(tmp_path)) as spill:
        spill.add(["a"] * 10_000, ["b"] * 10_000)
        assert spill.suspects()


def test_the_file_has_no_name_and_is_gone_when_closed(tmp_path: Path) -> None:
    spill = Spill(str(tmp_path), in_memory=10)
    spill.add([f"k{n}" for n in range(100)], ["x"])
    assert os.listdir(tmp_path) == []
    assert spill._file is not None
    file = spill._file.fileno()
    assert os.fstat(file).st_size == 101 * 8 - 8  # one destination is still in memory
    spill.close()
    spill.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


@settings(max_examples=50, deadline=None)
@given(
    pages=st.lists(
        st.tuples(st.lists(st.integers(0, 60)), st.lists(st.integers(0, 60)), st.lists(st.integers(0, 60)))
    ),
    in_memory=st.integers(1, 20),
    at_a_time=st.integers(1, 5),
)
def test_what_is_on_disk_is_compared_too(
    tmp_path_factory: pytest.TempPathFactory,
    pages: list[tuple[list[int], list[int], list[int]]],
    in_memory: int,
    at_a_time: int,
) -> None:
    named = [tuple([f"name-{n}" for n in names] for names in page) for page in pages]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill_module, "_AT_A_TIME", at_a_time)
        with Spill(str(tmp_path_factory.getbasetemp()), in_memory=in_memory) as spill:
            for keys, destinations, present in named:
                spill.add(keys, destinations)
                spill.add_present(present)
            suspects = spill.suspects()
    there = {name for keys, _, present in named for name in keys + present}
    all_destinations = [name for _, destinations, _ in named for name in destinations]
    wanted = {name for name in all_destinations if name in there or all_destinations.count(name) > 1}
    everything = [f"name-{n}" for n in range(61)]
    assert {everything[at] for at in suspects.pick(everything, [""] * 61)} == wanted


def test_the_first_and_the_last_destination_are_known(tmp_path: Path) -> None:
    with Spill(str(tmp_path)) as spill:
        assert (spill.lowest, spill.highest) == ("", "")
        spill.add(["a"], [])
        spill.add(["a"], ["m", "é"])
        spill.add(["a"], ["b", "c"])
        assert (spill.lowest, spill.highest) == ("b", "é")


def test_it_is_refilled_from_sealed_shards_at_any_stage(tmp_path: Path) -> None:
    rows = [
        row("a", "x"),
        row("b", "x", Action.ORDERED),
        row("c", "y", Action.CYCLE),
        row("d", "y", Action.SKIPPED)._replace(conflict=Conflict.SAME),
        row("e", "z", Action.UNSAFE),
        row("", "z", Action.FOLDER),
        row("w", action=Action.UNMATCHED),
        row("f", "w"),
        row("g", "alone"),
    ]
    folder = make_plan(str(tmp_path), rows)
    with Spill(folder.path) as spill:
        spill.refill(folder.shard_paths())
        suspects = spill.suspects()
        assert spill.destinations == 7
    assert [name for page in destinations_in(folder.shard_paths()) for name in page] == [*"xxyyzw", "alone"]
    names = [each.key for each in rows]
    assert [names[at] for at in suspects.pick(names, [each.destination for each in rows])] == [
        *"abcd",
        "w",
        "f",
    ]


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with (
        Spill(str(tmp_path), in_memory=1) as spill,
        pytest.raises(JobError, match="No space left on device") as caught,
    ):
        spill.add(["a"], [])
    assert "make room" in caught.value.hint


def test_writes_that_are_cut_short_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:7], at))
    with Spill(str(tmp_path), in_memory=2) as spill:
        spill.add(["a", "b"], ["b", "c"])
        assert spill.suspects().pick(["a", "b"], ["b", "c"]) == [0, 1]


def test_a_file_that_was_cut_is_told(tmp_path: Path) -> None:
    with Spill(str(tmp_path), in_memory=1) as spill:
        spill.add([], ["b"])
        assert spill._file is not None
        os.ftruncate(spill._file.fileno(), 4)
        with pytest.raises(JobError, match="cut short"):
            spill.suspects()


def test_memory_does_not_grow_with_the_number_of_names(tmp_path: Path) -> None:
    def peak(pages: int) -> int:
        tracemalloc.start()
        try:
            with Spill(str(tmp_path), in_memory=1 << 14) as spill:
                for page in range(pages):
                    names = [f"{page}-{n}" for n in range(1_000)]
                    spill.add(names, [f"to/{name}" for name in names])
                assert not spill.suspects()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(200) < 1.5 * peak(50)
