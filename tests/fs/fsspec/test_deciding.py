"""What is decided by: the store as it is now, no listing of before, and no error taken for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import Fault, FaultServer, error_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DENIED = Fault("ListObjectsV2", status=403, body=error_xml("AccessDenied"), attempts="all")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(buckets=["b"]) as server:
        yield server


@pytest.fixture
def here(server: FaultServer) -> HaulFileSystem:
    """Of this world nobody else's filesystem knows anything."""
    return HaulFileSystem(
        endpoint_url=server.url, key="k", secret="s", region="us-east-1", skip_instance_cache=True
    )


@pytest.fixture
def other(options: dict[str, Any]) -> HaulFileSystem:
    """Another program's filesystem on the same store."""
    return HaulFileSystem(**options, skip_instance_cache=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda fs: list(fs.walk("b")),
        lambda fs: fs.find("b"),
        lambda fs: fs.find("b", maxdepth=1),
        lambda fs: fs.glob("b/*"),
        lambda fs: fs.du("b"),
        lambda fs: fs.ls("b"),
        lambda fs: fs.exists("b/d"),
        lambda fs: fs.isdir("b/d"),
        lambda fs: fs.rm("b/d", recursive=True),
        lambda fs: fs.cp("b/d", "b/e", recursive=True),
    ],
    ids=["walk", "find", "levels", "glob", "du", "ls", "exists", "isdir", "rm", "cp"],
)
def test_what_must_not_be_listed_is_not_empty(
    server: FaultServer, here: HaulFileSystem, call: Callable[[HaulFileSystem], object]
) -> None:
    server.objects["b", "d/k"] = b"x"
    server.script(DENIED)
    with pytest.raises(PermissionError):
        call(here)


def test_a_walk_ends_where_a_directory_below_must_not_be_listed(
    server: FaultServer, here: HaulFileSystem
) -> None:
    server.objects["b", "d/e/k"] = b"x"
    denied = replace(DENIED, where=lambda request: request.parameters.get("prefix") == "d/e/")
    server.script(denied)
    told: list[OSError] = []
    assert [root for root, *_ in here.walk("b", on_error=told.append)] == ["b", "b/d", "b/d/e"]
    assert [type(error) for error in told] == [PermissionError]
    here.invalidate_cache()
    assert [root for root, *_ in here.walk("b", on_error="omit")] == ["b", "b/d", "b/d/e"]
    here.invalidate_cache()
    with pytest.raises(PermissionError):
        list(here.walk("b"))


def test_a_walk_through_what_is_not_there_is_empty(here: HaulFileSystem) -> None:
    assert [each for each in here.walk("b/nothing") if each[1] or each[2]] == []
    with pytest.raises(FileNotFoundError):
        list(here.walk("b/nothing", on_error="raise"))


# Another program changes what was listed here


def seen(fs: HaulFileSystem, place: str) -> None:
    """Let a filesystem remember what there is."""
    fs.find(place)
    fs.ls(place)
    fs.ls(place.partition("/")[0])


def test_rm_removes_what_came_after_the_listing(
    fs: HaulFileSystem, other: HaulFileSystem, place: str
) -> None:
    fs.pipe_file(f"{place}/d/a.txt", b"1")
    seen(fs, f"{place}/d")
    other.pipe_file(f"{place}/d/b.txt", b"2")
    fs.rm(f"{place}/d/*.txt")
    assert other.find(f"{place}/d") == []
    fs.pipe_file(f"{place}/d/a.txt", b"1")
    seen(fs, f"{place}/d")
    other.pipe_file(f"{place}/d/b.txt", b"2")
    fs.rm(f"{place}/d", recursive=True, maxdepth=1)
    assert other.find(f"{place}/d") == []


def test_rmdir_sees_what_came_after_the_listing(here: HaulFileSystem, server: FaultServer) -> None:
    server.objects["b", "d/"] = b""
    seen(here, "b/d")
    server.objects["b", "d/k"] = b"x"
    with pytest.raises(FileExistsError):
        here.rmdir("b/d")


@pytest.mark.parametrize("verb", ["cp", "mv"])
def test_what_became_a_directory_is_copied_into(
    fs: HaulFileSystem, other: HaulFileSystem, place: str, verb: str
) -> None:
    fs.pipe({f"{place}/from": b"1", f"{place}/to": b"2"})
    seen(fs, place)
    other.rm(f"{place}/to")
    other.pipe_file(f"{place}/to/x", b"3")
    getattr(fs, verb)(f"{place}/from", f"{place}/to")
    assert other.cat_file(f"{place}/to/from") == b"1"


def test_what_became_a_file_is_copied(fs: HaulFileSystem, other: HaulFileSystem, place: str) -> None:
    fs.pipe_file(f"{place}/d/x", b"1")
    seen(fs, place)
    other.rm(f"{place}/d", recursive=True)
    other.pipe_file(f"{place}/d", b"2")
    fs.cp_file(f"{place}/d", f"{place}/e")
    assert other.cat_file(f"{place}/e") == b"2"


def test_an_upload_goes_into_what_became_a_directory(
    fs: HaulFileSystem, other: HaulFileSystem, place: str, tmp_path: Path
) -> None:
    (tmp_path / "local").write_bytes(b"1")
    fs.pipe_file(f"{place}/to", b"2")
    seen(fs, place)
    other.rm(f"{place}/to")
    other.pipe_file(f"{place}/to/x", b"3")
    fs.put(str(tmp_path / "local"), f"{place}/to")
    assert other.cat_file(f"{place}/to/local") == b"1"


def test_what_is_gone_may_be_created(fs: HaulFileSystem, other: HaulFileSystem, place: str) -> None:
    fs.pipe({f"{place}/x": b"1", f"{place}/y": b"1"})
    seen(fs, place)
    other.rm([f"{place}/x", f"{place}/y"])
    with fs.open(f"{place}/x", "xb") as file:
        file.write(b"2")
    fs.touch(f"{place}/y", truncate=False)
    assert other.cat_file(f"{place}/x") == b"2"
    assert other.cat_file(f"{place}/y") == b""


def test_ends_are_counted_from_the_end_that_there_is(
    fs: HaulFileSystem, other: HaulFileSystem, place: str
) -> None:
    fs.pipe_file(f"{place}/x", b"0123456789")
    seen(fs, place)
    other.pipe_file(f"{place}/x", b"abc")
    assert fs.cat_file(f"{place}/x", 0, -1) == b"ab"


def test_a_file_that_was_replaced_is_read_at_the_second_opening(
    fs: HaulFileSystem, other: HaulFileSystem, place: str
) -> None:
    fs.pipe_file(f"{place}/x", b"0123456789")
    seen(fs, place)
    other.pipe_file(f"{place}/x", b"abc")
    with fs.open(f"{place}/x") as file, pytest.raises(OSError, match=r"ETag|replaced|changed"):
        file.read()
    with fs.open(f"{place}/x") as file:
        assert file.read() == b"abc"
