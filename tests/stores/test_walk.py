"""A directory is listed as S3 would list it, and nothing is left out without a word."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import AccessDenied, NotFound
from haulyard.events import Warned
from haulyard.models import ObjectInfo
from haulyard.stores import walk as walk_module
from haulyard.stores.names import part_name
from haulyard.stores.pages import fold, pages
from haulyard.stores.walk import Walk, modified

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.events import Event


class Heard(list[str]):
    """The warnings that were given."""

    def __call__(self, event: Event) -> None:
        assert isinstance(event, Warned)
        self.append(event.message)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def make(root: Path, *keys: str) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(key.encode())


def keys(walk: Walk, prefix: str = "", start_after: str = "") -> list[str]:
    return [info.key for info in walk.files(prefix, start_after)]


def level(walk: Walk, prefix: str = "", start_after: str = "") -> list[str]:
    return [entry if isinstance(entry, str) else entry.key for entry in walk.level(prefix, start_after)]


def test_a_directory_sorts_as_its_name_and_a_slash(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "a/b", "a-b", "a.txt", "a0", "a/a/a", "é", "日本", "😀", "Z")
    expected = ["Z", "a-b", "a.txt", "a/a/a", "a/b", "a0", "é", "日本", "😀"]
    assert keys(Walk(str(tmp_path), heard)) == expected
    assert expected == sorted(expected, key=str.encode)
    assert level(Walk(str(tmp_path), heard)) == ["Z", "a-b", "a.txt", "a/", "a0", "é", "日本", "😀"]


@given(
    names=st.sets(
        st.lists(st.sampled_from(["a", "b", "a-", "a.", "a0", "é", "😀"]), min_size=1, max_size=3).map(
            "/".join
        )
    ),
    prefix=st.sampled_from(["", "a", "a/", "a-", "a/a", "b/", "a/b/", "nothing"]),
    start=st.sampled_from(["", "a", "a/", "a/a", "a-", "b", "é", "a/b/a0"]),
)
def test_prefix_and_start_select_what_a_plain_filter_would(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], prefix: str, start: str
) -> None:
    root = tmp_path_factory.mktemp("walk")
    # Of two names where one would have to be a file and a directory, the file is left out.
    files = {name for name in names if not any(other.startswith(name + "/") for other in names)}
    make(root, *files)
    walk = Walk(str(root), Heard())
    expected = sorted((name for name in files if name.startswith(prefix) and name > start), key=str.encode)
    assert keys(walk, prefix, start) == expected
    objects = (ObjectInfo(name, 0, walk_module.modified(root.stat())) for name in expected)
    folded = [entry if isinstance(entry, str) else entry.key for entry in fold(objects, prefix, "/")]
    assert level(walk, prefix, start) == folded


def test_a_directory_without_files_is_nothing(tmp_path: Path, heard: Heard) -> None:
    (tmp_path / "empty/deeper").mkdir(parents=True)
    walk = Walk(str(tmp_path), heard)
    assert keys(walk) == []
    assert level(walk) == []


@pytest.mark.parametrize(
    "prefix", ["../", "/", "a//", "./", "a/../a/", "nothing/", "a/b/c", ".haul/", "a\0/"]
)
def test_a_prefix_that_no_key_has_finds_nothing(tmp_path: Path, heard: Heard, prefix: str) -> None:
    make(tmp_path / "root", "a/b")
    make(tmp_path, "outside")
    walk = Walk(str(tmp_path / "root"), heard)
    assert keys(walk, prefix) == level(walk, prefix) == []


def test_no_root_is_not_an_empty_one(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "file")
    for root in ("absent", "file"):
        with pytest.raises(NotFound):
            keys(Walk(str(tmp_path / root), heard))


def test_unfinished_files_are_never_listed(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "k", part_name("k"), part_name("k", "state"))
    assert keys(Walk(str(tmp_path), heard)) == ["k"]
    assert heard == []


def test_what_is_no_file_is_told_and_left_out(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "k")
    os.mkfifo(tmp_path / "fifo")
    # A socket's path has to be short.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert keys(Walk(str(tmp_path), heard)) == ["k"]
    assert len(heard) == 2
    assert any("fifo" in line for line in heard)


def test_a_name_that_is_not_utf_8_is_told_and_left_out(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "k")
    with open(os.fsencode(tmp_path) + b"/\xff\xfe", "wb"):
        pass
    os.mkdir(os.fsencode(tmp_path) + b"/d\xff")
    assert keys(Walk(str(tmp_path), heard)) == ["k"]
    assert len(heard) == 2
    for line in heard:
        line.encode()


def test_links_are_followed_unless_told_otherwise(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path / "elsewhere", "f", "d/g")
    make(tmp_path / "root", "k")
    (tmp_path / "root/file").symlink_to(tmp_path / "elsewhere/f")
    (tmp_path / "root/tree").symlink_to(tmp_path / "elsewhere")
    assert keys(Walk(str(tmp_path / "root"), heard)) == ["file", "k", "tree/d/g", "tree/f"]
    assert heard == []
    strict = Walk(str(tmp_path / "root"), heard, follow_symlinks=False)
    assert keys(strict) == ["k"]
    assert len(heard) == 2
    assert keys(strict, "tree/") == []


def test_links_in_a_circle_end(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "a/k", "b/k")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    (tmp_path / "a/loop").symlink_to("loop")
    (tmp_path / "b/nowhere").symlink_to("absent")
    assert keys(Walk(str(tmp_path), heard)) == ["a/k", "b/k"]
    assert len(heard) == 4


def test_a_circle_through_two_links_ends(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "a/k", "b/k")
    (tmp_path / "a/to-b").symlink_to(tmp_path / "b")
    (tmp_path / "b/to-a").symlink_to(tmp_path / "a")
    assert keys(Walk(str(tmp_path), heard)) == ["a/k", "a/to-b/k", "b/k", "b/to-a/k"]
    assert len(heard) == 2


def test_a_directory_that_cannot_be_read_is_an_error(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a/k", "b/k")
    real = os.scandir

    def guarded(path: str) -> object:
        if path.endswith("/b/"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(AccessDenied) as caught:
        keys(Walk(str(tmp_path), heard))
    assert caught.value.key == "b/"


def test_what_vanishes_under_way_is_left_out(tmp_path: Path, heard: Heard) -> None:
    make(tmp_path, "a", "b/k", "c", "d")
    listing = Walk(str(tmp_path), heard).files("")
    assert next(listing).key == "a"
    (tmp_path / "b/k").unlink()
    (tmp_path / "b").rmdir()
    (tmp_path / "c").unlink()
    (tmp_path / "c").mkdir()
    assert [info.key for info in listing] == ["d"]


def test_a_file_that_cannot_be_looked_at_is_an_error(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a")
    walk = Walk(str(tmp_path), heard)
    listing = walk.files("")
    real = os.stat

    def guarded(path: str, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "stat", guarded)
    with pytest.raises(AccessDenied):
        next(listing)


def test_pages_hold_entries_and_prefixes_together() -> None:
    when = walk_module.modified(os.stat_result(range(10)))
    entries: list[ObjectInfo | str] = [ObjectInfo("a", 1, when), "b/", ObjectInfo("c", 1, when), "d/", "e/"]
    made = [([info.key for info in objects], prefixes) for objects, prefixes in pages(entries, 2)]
    assert made == [(["a"], ["b/"]), (["c"], ["d/"]), ([], ["e/"])]
    assert list(pages(iter(entries[:0]), 2)) == []


@pytest.mark.parametrize(("seconds", "year"), [(10.0**15, 9999), (-(10.0**15), 1), (0.0, 1970)])
def test_times_that_no_calendar_has_do_not_end_a_listing(seconds: float, year: int) -> None:
    status = os.stat_result((0, 0, 0, 0, 0, 0, 0, 0, seconds, 0))
    assert modified(status).year == year
