"""A file leaves only if it is still the very one that was uploaded."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError, SpoolError
from haulyard.spool import letting_go
from haulyard.spool.finished import Identity
from haulyard.spool.letting_go import Leaving, LettingGo, free_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    return path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_(stack: ExitStack, spool: Path, after: str = "delete", move_to: str = "") -> LettingGo:
    directory = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, directory)
    opened = LettingGo(str(spool), directory, after, move_to)  # type: ignore[arg-type]
    stack.callback(opened.close)
    return opened


def leaving(stack: ExitStack, spool: Path, name: str = "a.xml", content: str = "content") -> Leaving:
    (spool / name).write_text(content)
    descriptor = os.open(spool / name, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    return Leaving(name, descriptor, Identity.of(os.fstat(descriptor)))


def test_a_file_is_deleted(stack: ExitStack, spool: Path) -> None:
    assert open_(stack, spool)([leaving(stack, spool), leaving(stack, spool, "b.xml")]) == ["left", "left"]
    assert os.listdir(spool) == [".haul-ship"]
    assert os.listdir(spool / ".haul-ship/going") == []


def test_a_file_is_kept(stack: ExitStack, spool: Path) -> None:
    assert open_(stack, spool, "keep")([leaving(stack, spool)]) == ["kept"]
    assert (spool / "a.xml").read_text() == "content"


@pytest.mark.parametrize("after", ["delete", "keep"])
def test_a_file_that_was_appended_to_stays(stack: ExitStack, spool: Path, after: str) -> None:
    one = leaving(stack, spool)
    with (spool / "a.xml").open("a") as file:
        file.write("more")
    assert open_(stack, spool, after)([one]) == ["changed"]
    assert (spool / "a.xml").read_text() == "contentmore"


@pytest.mark.parametrize("after", ["delete", "keep"])
def test_a_file_that_was_replaced_stays(stack: ExitStack, spool: Path, after: str) -> None:
    one = leaving(stack, spool)
    (spool / "new").write_text("content")
    (spool / "new").rename(spool / "a.xml")
    assert open_(stack, spool, after)([one]) == ["changed"]
    assert (spool / "a.xml").read_text() == "content"


def test_a_link_that_took_the_place_of_a_file_stays(stack: ExitStack, spool: Path) -> None:
    one = leaving(stack, spool)
    (spool / "a.xml").rename(spool / "b.xml")
    (spool / "a.xml").symlink_to("b.xml")
    assert open_(stack, spool)([one]) == ["changed"]
    assert sorted(os.listdir(spool)) == [".haul-ship", "a.xml", "b.xml"]


def test_a_file_that_somebody_has_open_for_writing_gets_its_name_back(stack: ExitStack, spool: Path) -> None:
    one = leaving(stack, spool)
    with (spool / "a.xml").open("a") as writer:
        assert open_(stack, spool)([one]) == ["changed"]
        writer.write("more")
    assert (spool / "a.xml").read_text() == "contentmore"


def test_without_leases_the_writers_are_looked_for_elsewhere(
    stack: ExitStack, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letting_go, "has_writer", lambda descriptor: None)
    one, other = leaving(stack, spool), leaving(stack, spool, "b.xml")
    with (spool / "a.xml").open("a"):
        assert open_(stack, spool)([one, other]) == ["changed", "left"]
    assert (spool / "a.xml").read_text() == "content"


def test_what_is_written_between_the_look_and_the_removal_is_not_lost(
    stack: ExitStack, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = leaving(stack, spool)
    rename = os.rename

    def write_first(source: str, target: str, **more: int) -> None:
        with (spool / "a.xml").open("a") as file:
            file.write("more")
        rename(source, target, **more)

    opened = open_(stack, spool)
    monkeypatch.setattr(os, "rename", write_first)
    assert opened([one]) == ["changed"]
    assert (spool / "a.xml").read_text() == "contentmore"


def test_a_file_that_is_gone_by_itself_has_left(stack: ExitStack, spool: Path) -> None:
    one = leaving(stack, spool)
    (spool / "a.xml").unlink()
    assert open_(stack, spool)([one]) == ["left"]


def test_a_file_is_moved_and_overwrites_nothing(stack: ExitStack, spool: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    opened = open_(stack, spool, "move", str(done))
    assert opened([leaving(stack, spool, content="one")]) == ["left"]
    assert opened([leaving(stack, spool, content="two")]) == ["left"]
    assert {path.name: path.read_text() for path in done.iterdir()} == {"a.xml": "one", "a-1.xml": "two"}


def test_a_file_is_moved_to_another_filesystem(
    stack: ExitStack, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def refuse(source: str, target: str, **more: int) -> None:
        if source.endswith("going/a.xml"):
            raise OSError(18, "Invalid cross-device link")
        rename(source, target, **more)

    done = tmp_path / "done"
    opened, one = open_(stack, spool, "move", str(done)), leaving(stack, spool)
    monkeypatch.setattr(os, "rename", refuse)
    assert opened([one]) == ["left"]
    assert [path.name for path in done.iterdir()] == ["a.xml"]
    assert (done / "a.xml").read_text() == "content"
    assert os.listdir(spool / ".haul-ship/going") == []


def test_a_directory_that_cannot_be_moved_to_is_refused(stack: ExitStack, spool: Path) -> None:
    (spool / "file").write_text("")
    for target in (spool, spool / "file" / "below"):
        with pytest.raises(ConfigError):
            open_(stack, spool, "move", str(target))


def test_what_a_kill_left_half_way_gets_its_name_back_and_replaces_nothing(
    stack: ExitStack, spool: Path
) -> None:
    opened = open_(stack, spool)
    (spool / ".haul-ship/going/a.xml").write_text("old")
    (spool / "a.xml").write_text("new")
    assert opened.recover() == ["a-1.xml"]
    assert (spool / "a.xml").read_text() == "new"
    assert (spool / "a-1.xml").read_text() == "old"
    assert opened.recover() == []


def test_what_cannot_be_removed_is_an_error_and_has_its_name_back(
    stack: ExitStack, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, one = open_(stack, spool), leaving(stack, spool)
    unlink = os.unlink
    refusing = [True]

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if refusing:
            refusing.pop()
            raise PermissionError(1, "Operation not permitted")
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    (fate,) = opened([one])
    assert isinstance(fate, SpoolError)
    assert "Operation not permitted" in str(fate)
    assert (spool / "a.xml").read_text() == "content"


def test_a_free_name_is_one_that_nothing_has(tmp_path: Path) -> None:
    (tmp_path / "a.xml").symlink_to("nowhere")
    assert free_name(str(tmp_path), "a.xml") == "a-1.xml"
