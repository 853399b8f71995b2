"""Which files are finished, and in which order they go."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from haulyard.spool.finished import Identity, Lookout
from haulyard.spool.writers import has_writer, written
from haulyard.transfer.filters import ACCEPT_ALL, Filter, Pattern

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def names(lookout: Lookout) -> list[str]:
    return [one.name for one in lookout.look(set(), {}).ready]


def test_unfinished_hidden_linked_and_nested_files_are_passed_over(tmp_path: Path, directory: int) -> None:
    for name in ("a.xml", ".hidden", "b.active", "c.part", "d.tmp"):
        (tmp_path / name).write_text("x")
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "e.xml").write_text("x")
    (tmp_path / "link.xml").symlink_to("a.xml")
    os.mkfifo(tmp_path / "pipe.xml")
    sight = Lookout(directory, ACCEPT_ALL, 0.0).look(set(), {})
    assert [one.name for one in sight.ready] == ["a.xml"]
    assert sight.links == ["link.xml"]
    assert (sight.files, sight.bytes) == (1, 1)


def test_patterns_choose(tmp_path: Path, directory: int) -> None:
    for name in ("a.xml", "b.json"):
        (tmp_path / name).write_text("x")
    wanted = Filter([Pattern(include=True, text="*.json")])
    assert names(Lookout(directory, wanted, 0.0)) == ["b.json"]


def test_the_oldest_by_name_go_first_and_among_equals_the_oldest_by_time(
    tmp_path: Path, directory: int
) -> None:
    for at, name in enumerate(("20250102_000000.xml", "20250101_000000-1.xml", "20250101_000000.xml")):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (2e9 - at, 2e9 - at))
    assert names(Lookout(directory, ACCEPT_ALL, 0.0)) == [
        "20250101_000000.xml",
        "20250101_000000-1.xml",
        "20250102_000000.xml",
    ]


def test_a_file_is_finished_when_it_was_left_alone_for_long_enough(tmp_path: Path, directory: int) -> None:
    (tmp_path / "a.xml").write_text("x")
    # A time of modification that was set tells nothing: the change itself is seen.
    os.utime(tmp_path / "a.xml", (1, 1))
    touched = (tmp_path / "a.xml").stat().st_ctime
    sight = Lookout(directory, ACCEPT_ALL, 5.0, clock=lambda: touched + 2).look(set(), {})
    assert (sight.ready, sight.files, sight.young, round(sight.due or 0)) == ([], 1, 1, 3)
    assert names(Lookout(directory, ACCEPT_ALL, 5.0, clock=lambda: touched + 5.1)) == ["a.xml"]


def test_a_file_from_the_future_is_finished_when_it_was_seen_unchanged_for_long_enough(
    tmp_path: Path, directory: int
) -> None:
    (tmp_path / "a.xml").write_text("x")
    now = [100.0]
    lookout = Lookout(directory, ACCEPT_ALL, 5.0, clock=lambda: 0.0, monotonic=lambda: now[0])
    assert names(lookout) == []
    now[0] += 3
    (tmp_path / "a.xml").write_text("xy")
    assert names(lookout) == []
    now[0] += 4.9
    assert names(lookout) == []
    now[0] += 0.2
    assert names(lookout) == ["a.xml"]


def test_what_is_kept_is_found_again_only_when_it_is_another_file(tmp_path: Path, directory: int) -> None:
    (tmp_path / "a.xml").write_text("x")
    lookout = Lookout(directory, ACCEPT_ALL, 0.0)
    kept = {"a.xml": Identity.of((tmp_path / "a.xml").stat())}
    assert lookout.look(set(), kept).files == 0
    (tmp_path / "a.xml").write_text("xy")
    assert [one.name for one in lookout.look(set(), kept).ready] == ["a.xml"]
    assert lookout.look(set(), kept, is_thorough=False).files == 0


def test_what_is_busy_counts_and_is_not_returned(tmp_path: Path, directory: int) -> None:
    (tmp_path / "a.xml").write_text("x")
    sight = Lookout(directory, ACCEPT_ALL, 0.0).look({"a.xml"}, {})
    assert (sight.ready, sight.files) == ([], 1)


def test_a_writer_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("x")
    with path.open("rb") as reader:
        assert has_writer(reader.fileno()) is False
        with path.open("ab"):
            assert has_writer(reader.fileno()) is True
        assert has_writer(reader.fileno()) is False


def test_a_writer_is_seen_where_there_are_no_leases(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("x")
    status = path.stat()
    file = (status.st_dev, status.st_ino)
    with path.open("rb"):
        assert written({file}) == set()
    with path.open("ab"):
        assert written({file, (0, 0)}) == {file}
    assert written(set()) == set()


def test_leases_that_are_not_to_be_had_say_nothing() -> None:
    # Only regular files have them.
    ends = os.pipe()
    try:
        assert has_writer(ends[0]) is None
    finally:
        for end in ends:
            os.close(end)
