"""Nothing is written outside the root, and readers see the old file or the new one."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import AccessDenied, Conflict, NotFound, PreconditionFailed, StoreError, UnsafeName
from haulyard.stores import tree as tree_module
from haulyard.stores.names import is_part_name, part_name
from haulyard.stores.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def tree(root: Path) -> Iterator[Tree]:
    made = Tree(root)
    yield made
    made.close()


def write(tree: Tree, key: str, data: bytes = b"data", **commit: object) -> None:
    part = tree.create(key)
    os.write(part.fd, data)
    part.commit(**commit)  # type: ignore[arg-type]


def files_below(path: Path) -> set[str]:
    return {str(entry.relative_to(path)) for entry in path.rglob("*") if not entry.is_dir()}


def test_a_file_appears_under_its_name_only_when_committed(tree: Tree, root: Path) -> None:
    part = tree.create("a/b/c.txt")
    os.write(part.fd, b"whole")
    assert not (root / "a/b/c.txt").exists()
    part.commit(1_700_000_000_123_456_789)
    assert (root / "a/b/c.txt").read_bytes() == b"whole"
    assert (root / "a/b/c.txt").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert files_below(root) == {"a/b/c.txt"}


def test_a_discarded_file_leaves_the_old_one_and_nothing_else(tree: Tree, root: Path) -> None:
    write(tree, "k", b"old")
    part = tree.create("k")
    os.write(part.fd, b"new")
    part.discard()
    part.discard()
    assert (root / "k").read_bytes() == b"old"
    assert files_below(root) == {"k"}


def test_a_kept_file_is_continued_where_asked_and_emptied_otherwise(tree: Tree) -> None:
    part = tree.create("k")
    os.write(part.fd, b"half")
    part.keep()
    again = tree.create("k", keep=True)
    assert os.pread(again.fd, 10, 0) == b"half"
    again.keep()
    fresh = tree.create("k")
    assert os.fstat(fresh.fd).st_size == 0
    fresh.discard()


def test_exclusive_commit_replaces_nothing(tree: Tree, root: Path) -> None:
    write(tree, "k", b"first", exclusive=True)
    with pytest.raises(PreconditionFailed):
        write(tree, "k", b"second", exclusive=True)
    assert (root / "k").read_bytes() == b"first"
    assert files_below(root) == {"k"}


def test_a_durable_commit_is_a_commit(tree: Tree, root: Path) -> None:
    write(tree, "d/k", b"kept", durable=True)
    assert (root / "d/k").read_bytes() == b"kept"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../x",
        "a/../../x",
        ".",
        "./x",
        "a/./x",
        "a//b",
        "a/",
        "//x",
        "nul\0byte",
        "d\0/x",
        "n" * 256,
        "ü" * 128,
        "d" * 256 + "/x",
        "\udcff",
        "a/" * 512 + "x",
        part_name("k"),
    ],
)
def test_a_key_that_cannot_be_a_file_is_refused_by_name(tree: Tree, root: Path, key: str) -> None:
    for call in (tree.create, tree.open, tree.stat, tree.remove):
        with pytest.raises(UnsafeName) as caught:
            call(key)
        assert caught.value.key == key
        assert caught.value.hint
    assert not root.exists() or not files_below(root)
    assert not (root.parent / "x").exists()


@pytest.mark.parametrize(
    "key", ["n" * 255, "ü" * 127, "...", "..a", "a..", "-", "~", "a b", "\n", "é/日本/😀"]
)
def test_an_odd_key_that_can_be_a_file_is_written(tree: Tree, root: Path, key: str) -> None:
    write(tree, key)
    assert files_below(root) == {key}


def test_nothing_is_written_through_a_symbolic_link(tree: Tree, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "link").symlink_to(outside)
    for call in (tree.create, tree.remove):
        with pytest.raises(UnsafeName, match="symbolic link"):
            call("link/x")
    assert not list(outside.iterdir())


def test_a_directory_that_becomes_a_link_under_way_is_noticed_within_a_second(
    root: Path, tmp_path: Path
) -> None:
    now = 0.0
    tree = Tree(root, clock=lambda: now)
    write(tree, "d/one")
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "d").rename(root / "moved")
    (root / "d").symlink_to(outside)
    write(tree, "d/two")
    assert (root / "moved" / "two").exists()
    now = 1.0
    with pytest.raises(UnsafeName):
        tree.create("d/three")
    assert not list(outside.iterdir())


def test_a_link_with_the_name_of_the_target_is_replaced_not_followed(
    tree: Tree, root: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    root.mkdir()
    (root / "k").symlink_to(victim)
    write(tree, "k", b"new")
    assert victim.read_bytes() == b"untouched"
    assert not (root / "k").is_symlink()


def test_a_link_laid_out_under_the_hidden_name_is_not_followed(
    tree: Tree, root: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    root.mkdir()
    (root / part_name("soft")).symlink_to(victim)
    with pytest.raises(UnsafeName):
        tree.create("soft")
    os.link(victim, root / part_name("hard"))
    write(tree, "hard", b"new")
    assert victim.read_bytes() == b"untouched"


def test_reading_follows_links_only_where_asked(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/f").write_bytes(b"linked")
    root.mkdir()
    (root / "dir").symlink_to(tmp_path / "elsewhere")
    (root / "file").symlink_to(tmp_path / "elsewhere/f")
    following = Tree(root)
    for key in ("dir/f", "file"):
        fd = following.open(key)
        assert os.read(fd, 100) == b"linked"
        os.close(fd)
        assert following.stat(key).st_size == 6
    strict = Tree(root, follow_symlinks=False)
    for key in ("dir/f", "file"):
        with pytest.raises(StoreError):
            strict.open(key)
    with pytest.raises(UnsafeName):
        strict.stat("dir/f")
    with pytest.raises(NotFound):
        strict.stat("file")


def test_without_following_plain_files_are_read_all_the_same(root: Path) -> None:
    tree = Tree(root, follow_symlinks=False)
    write(tree, "d/k", b"plain")
    assert tree.stat("d/k").st_size == 5
    os.close(tree.open("d/k"))


@pytest.mark.parametrize("follow", [True, False])
def test_what_is_no_regular_file_is_not_found(root: Path, follow: bool) -> None:
    (root / "dir").mkdir(parents=True)
    os.mkfifo(root / "fifo")
    (root / "file").write_bytes(b"")
    tree = Tree(root, follow_symlinks=follow)
    for key in ("dir", "fifo", "absent", "absent/x", "file/x"):
        with pytest.raises(NotFound if key != "file/x" or follow else StoreError):
            tree.open(key)
        with pytest.raises(NotFound if key != "file/x" or follow else StoreError):
            tree.stat(key)


def test_file_and_directory_of_one_name_are_told_apart_before_a_byte_is_written(tree: Tree) -> None:
    write(tree, "a")
    with pytest.raises(UnsafeName, match="directory is needed"):
        tree.create("a/b")
    write(tree, "d/x")
    with pytest.raises(UnsafeName, match="directory of this name"):
        tree.create("d", keep=True)


def test_a_directory_made_while_the_file_grew_is_told_at_the_commit(tree: Tree, root: Path) -> None:
    part = tree.create("k")
    (root / "k").mkdir()
    with pytest.raises(UnsafeName):
        part.commit()
    assert files_below(root) == set()


def test_a_second_writer_of_the_same_key_is_refused(tree: Tree, root: Path) -> None:
    part = tree.create("k")
    with pytest.raises(Conflict):
        Tree(root).create("k")
    part.commit()
    write(Tree(root), "k", b"later")


def test_a_lock_won_on_a_file_that_was_finished_meanwhile_is_not_ours(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tree.create("k")
    os.write(first.fd, b"first")
    real = fcntl.flock

    def finish_then_lock(fd: int, how: int) -> None:
        if first.fd >= 0:
            first.commit()
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", finish_then_lock)
    again = tree.create("k")
    monkeypatch.undo()
    os.write(again.fd, b"second")
    assert (root / "k").read_bytes() == b"first"
    again.commit()
    assert (root / "k").read_bytes() == b"second"


def test_a_vanished_directory_is_made_again(tree: Tree, root: Path) -> None:
    write(tree, "d/one")
    (root / "d/one").unlink()
    (root / "d").rmdir()
    write(tree, "d/two")
    assert files_below(root) == {"d/two"}


def test_many_directories_do_not_exhaust_descriptors(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "_MAX_HELD", 4)
    parts = [tree.create(f"d{number}/k") for number in range(20)]
    for part in parts:
        os.write(part.fd, b"x")
        part.commit()
    assert len(tree._held) == 4
    assert all(tree.stat(f"d{number}/k").st_size == 1 for number in range(20))


def test_removing_leaves_directories_and_forgives_absence(tree: Tree, root: Path) -> None:
    write(tree, "d/k")
    assert tree.remove("d/k")
    assert not tree.remove("d/k")
    assert not tree.remove("absent/k")
    assert not tree.remove("d")
    assert (root / "d").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_permission_is_denied_with_a_hint(tree: Tree, root: Path) -> None:
    root.mkdir(mode=0o500)
    with pytest.raises(AccessDenied) as caught:
        tree.create("k")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StoreError, "disk is full"),
        (errno.EACCES, AccessDenied, "permission denied"),
        (errno.EROFS, AccessDenied, "read-only"),
        (errno.EMFILE, StoreError, "open files"),
        (errno.EXDEV, StoreError, os.strerror(errno.EXDEV)),
    ],
)
def test_errors_of_the_system_are_translated(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError], words: str
) -> None:
    part = tree.create("d/k")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(kind, match=words) as caught:
        part.commit()
    monkeypatch.undo()
    assert (caught.value.key, caught.value.operation, caught.value.store) == ("d/k", "put", "local")
    assert files_below(root) == set()


def test_a_name_in_another_case_is_not_overwritten_where_case_is_ignored(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def folding(
        path: str | int, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        if dir_fd is not None and isinstance(path, str):
            names = {name.casefold(): name for name in os.listdir(dir_fd)}
            path = names.get(path.casefold(), path)
        return real(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "stat", folding)
    write(tree, "Data/Report.CSV", b"old")
    part = tree.create("Data/report.csv")
    with pytest.raises(UnsafeName, match=r"Report\.CSV"):
        part.commit()
    write(tree, "Data/Report.CSV", b"new")
    monkeypatch.undo()
    assert (root / "Data/Report.CSV").read_bytes() == b"new"
    assert files_below(root) == {"Data/Report.CSV"}


def test_two_names_of_one_file_are_not_taken_for_one_name(tree: Tree, root: Path) -> None:
    write(tree, "a")
    os.link(root / "a", root / "A")
    write(tree, "a", b"new")
    assert (root / "A").read_bytes() == b"data"


def test_new_files_obey_the_umask(tree: Tree, root: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tree, "k")
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / "k").stat().st_mode) == 0o640


def test_hidden_names_are_known() -> None:
    assert is_part_name(part_name("anything"))
    assert is_part_name(part_name("anything", "state"))
    assert not is_part_name(".haul-0123456789abcdef")
    assert not is_part_name(".haul-notes.part")


def test_a_tree_that_was_removed_with_its_root_is_made_again(tree: Tree, root: Path) -> None:
    write(tree, "a/b/c.txt")
    shutil.rmtree(root)
    write(tree, "a/b/d.txt")
    assert files_below(root) == {"a/b/d.txt"}
