"""Listing and describing: files, directories, buckets, versions, and what is remembered of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.fs import HaulFileSystem
from haulyard.fs.fsspec import listing
from haulyard.testing.faults import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from haulyard.stores.s3 import S3Store

NAMES = ("a/1.txt", "a/2.csv", "a/b/3.txt", "a.txt", "c/d/e/4.txt")


@pytest.fixture
def tree(fs: HaulFileSystem, place: str) -> str:
    fs.pipe({f"{place}/{name}": name.encode() for name in NAMES})
    return place


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(buckets=["b"]) as server:
        yield server


def _on(server: FaultServer, **options: Any) -> HaulFileSystem:
    return HaulFileSystem(
        endpoint_url=server.url, key="k", secret="s", region="us-east-1", skip_instance_cache=True, **options
    )


def test_ls_shows_one_level(fs: HaulFileSystem, tree: str) -> None:
    assert fs.ls(tree) == [f"{tree}/{name}" for name in ("a", "a.txt", "c")]
    assert fs.ls(f"haul://{tree}/a/") == [f"{tree}/a/{name}" for name in ("1.txt", "2.csv", "b")]
    assert fs.ls(f"{tree}/a.txt") == [f"{tree}/a.txt"]
    kinds = {each["name"]: each["type"] for each in fs.ls(tree, detail=True)}
    assert kinds == {f"{tree}/a": "directory", f"{tree}/a.txt": "file", f"{tree}/c": "directory"}
    for missing in (f"{tree}/nothing", "no-such-bucket-anywhere"):
        with pytest.raises(FileNotFoundError):
            fs.ls(missing)


def test_the_root_holds_the_buckets(fs: HaulFileSystem, bucket: str) -> None:
    assert bucket in fs.ls("")
    assert fs.info("")["type"] == "directory"
    assert fs.info(bucket)["type"] == "directory"
    assert fs.find(bucket) == fs.ls(bucket) == []
    assert fs.isdir(bucket)
    assert not fs.isfile(bucket)
    assert fs.exists("/")
    for refused in (fs.find, lambda path: list(fs.walk(path)), lambda _path: fs.glob("*")):
        with pytest.raises(ValueError, match="all buckets"):
            refused("")


def test_info_tells_what_is_known_of_a_file(fs: HaulFileSystem, tree: str) -> None:
    info = fs.info(f"/{tree}/a/1.txt")
    assert (info["name"], info["size"], info["type"]) == (f"{tree}/a/1.txt", 7, "file")
    assert info["ContentType"] == "text/plain"
    assert datetime.now(UTC) - info["LastModified"] < timedelta(minutes=5)
    assert fs.modified(f"{tree}/a/1.txt") == fs.created(f"{tree}/a/1.txt") == info["mtime"]
    with pytest.raises(IsADirectoryError):
        fs.modified(f"{tree}/a")
    listed = fs.ls(f"{tree}/a/1.txt", detail=True)[0]
    assert {name: listed[name] for name in ("Key", "Size", "ETag")} == {
        name: info[name] for name in ("Key", "Size", "ETag")
    }


def test_is_it_a_file_or_a_directory(fs: HaulFileSystem, tree: str) -> None:
    for _ in range(2):
        assert fs.isfile(f"{tree}/a.txt")
        assert not fs.isdir(f"{tree}/a.txt")
        assert fs.isdir(f"{tree}/a")
        assert fs.isdir(f"{tree}/c/d/")
        assert not fs.isfile(f"{tree}/a")
        assert not fs.isfile(tree)
        assert fs.isdir(tree)
        assert not fs.exists(f"{tree}/a/1")
        assert not fs.isdir("no-such-bucket-anywhere/a")
        fs.ls(f"{tree}")


def test_find_shows_all_levels(fs: HaulFileSystem, tree: str) -> None:
    assert fs.find(tree) == sorted(f"{tree}/{name}" for name in NAMES)
    assert fs.find(f"{tree}/c", withdirs=True) == [
        f"{tree}/{name}" for name in ("c", "c/d", "c/d/e", "c/d/e/4.txt")
    ]
    assert fs.find(tree, maxdepth=1, withdirs=True) == [
        tree,
        *(f"{tree}/{name}" for name in ("a", "a.txt", "c")),
    ]
    assert fs.find(tree, maxdepth=2) == [f"{tree}/{name}" for name in ("a.txt", "a/1.txt", "a/2.csv")]
    assert fs.find(tree, prefix="a") == sorted(f"{tree}/{name}" for name in NAMES if name[0] == "a")
    assert fs.find(f"{tree}/a.txt") == [f"{tree}/a.txt"]
    assert fs.find(f"{tree}/nothing") == []
    assert fs.find(tree, detail=True)[f"{tree}/a/b/3.txt"]["size"] == 9


def test_walk_glob_and_du_follow_from_it(fs: HaulFileSystem, tree: str) -> None:
    assert [(root, sorted(dirs), sorted(files)) for root, dirs, files in fs.walk(f"{tree}/a")] == [
        (f"{tree}/a", ["b"], ["1.txt", "2.csv"]),
        (f"{tree}/a/b", [], ["3.txt"]),
    ]
    bottom_up = [root for root, _, _ in fs.walk(f"{tree}/c", topdown=False)]
    assert bottom_up == [f"{tree}/c/d/e", f"{tree}/c/d", f"{tree}/c"]
    assert fs.glob(f"{tree}/*.txt") == [f"{tree}/a.txt"]
    texts = ("a.txt", "a/1.txt", "a/b/3.txt", "c/d/e/4.txt")
    assert fs.glob(f"{tree}/**/*.txt") == [f"{tree}/{name}" for name in texts]
    assert fs.glob(f"{tree}/a/[12].*") == [f"{tree}/a/1.txt", f"{tree}/a/2.csv"]
    assert fs.du(f"{tree}/a") == 23
    assert fs.du(f"{tree}/a", total=False)[f"{tree}/a/2.csv"] == 7
    assert fs.du(f"{tree}/nothing") == 0
    assert fs.expand_path(f"{tree}/a/*.csv") == [f"{tree}/a/2.csv"]


def test_a_marker_stands_for_a_directory(
    moto_options: dict[str, Any], bucket_name: Callable[[], str]
) -> None:
    fs, bucket = HaulFileSystem(**moto_options), bucket_name()
    fs.mkdir(bucket)
    fs.touch(f"{bucket}/empty/")
    fs.touch(f"{bucket}/full/")
    fs.touch(f"{bucket}/full/file")
    assert fs.isdir(f"{bucket}/empty")
    assert fs.ls(f"{bucket}/empty") == []
    assert fs.ls(f"{bucket}/full") == [f"{bucket}/full/file"]
    assert fs.find(bucket) == [f"{bucket}/full/file"]
    assert f"{bucket}/empty" in fs.find(bucket, withdirs=True)
    fs.rmdir(f"{bucket}/empty")
    assert not fs.exists(f"{bucket}/empty")
    fs.rm(f"{bucket}/full", recursive=True)
    assert not fs.exists(f"{bucket}/full")


def test_a_file_and_a_directory_may_have_one_name(
    moto_options: dict[str, Any], bucket_name: Callable[[], str]
) -> None:
    fs, bucket = HaulFileSystem(**moto_options), bucket_name()
    fs.mkdir(bucket)
    fs.pipe({f"{bucket}/both": b"1", f"{bucket}/both/inner": b"2", f"{bucket}/a//b": b"3"})
    for _ in range(2):
        assert fs.info(f"{bucket}/both")["type"] == "file"
        assert fs.ls(f"{bucket}/both") == [f"{bucket}/both/inner"]
        fs.ls(bucket)
    assert fs.cat_file(f"{bucket}/a//b") == b"3"
    assert f"{bucket}/a//b" in fs.find(bucket)


def test_ones_own_writes_are_seen_at_once(fs: HaulFileSystem, tree: str) -> None:
    fs.find(tree)
    assert fs.ls(f"{tree}/a/b") == [f"{tree}/a/b/3.txt"]
    fs.pipe_file(f"{tree}/a/b/new", b"12345")
    assert fs.ls(f"{tree}/a/b") == [f"{tree}/a/b/3.txt", f"{tree}/a/b/new"]
    assert fs.info(f"{tree}/a/b/new")["size"] == 5
    with fs.open(f"{tree}/a/b/new", "wb") as file:
        file.write(b"1")
    assert fs.info(f"{tree}/a/b/new")["size"] == 1
    fs.cp(f"{tree}/a/b/new", f"{tree}/a/b/copy")
    assert f"{tree}/a/b/copy" in fs.ls(f"{tree}/a/b")
    fs.mv(f"{tree}/a/b/copy", f"{tree}/a/moved")
    assert f"{tree}/a/b/copy" not in fs.ls(f"{tree}/a/b")
    assert f"{tree}/a/moved" in fs.ls(f"{tree}/a")
    fs.rm_file(f"{tree}/a/moved")
    assert f"{tree}/a/moved" not in fs.ls(f"{tree}/a")


def test_listings_are_remembered_until_they_are_refreshed_or_forgotten(server: FaultServer) -> None:
    fs, other = _on(server, listings_expiry_time=None), _on(server)
    other.pipe_file("b/d/one", b"1")
    assert fs.ls("b/d") == ["b/d/one"]
    other.pipe_file("b/d/two", b"2")
    before = len(server.requests)
    assert fs.ls("b/d") == ["b/d/one"]
    assert len(server.requests) == before
    assert fs.exists("b/d/two")
    assert len(fs.ls("b/d", refresh=True)) == 2
    other.pipe_file("b/d/three", b"3")
    fs.invalidate_cache("b/d")
    assert len(fs.ls("b/d")) == 3
    uncached = _on(server, use_listings_cache=False)
    assert len(uncached.ls("b/d")) == 3
    other.rm_file("b/d/three")
    assert len(uncached.ls("b/d")) == 2


def test_what_is_handed_out_may_be_changed(fs: HaulFileSystem, tree: str) -> None:
    for _ in range(2):
        for entry in (fs.ls(f"{tree}/a", detail=True)[0], fs.info(f"{tree}/a/1.txt")):
            assert entry["type"] == "file"
            entry.clear()


def test_checksums_and_keys_change_with_the_content(fs: HaulFileSystem, tree: str) -> None:
    before = fs.checksum(f"{tree}/a.txt"), fs.ukey(f"{tree}/a.txt")
    assert before == (fs.checksum(f"{tree}/a.txt"), fs.ukey(f"{tree}/a.txt"))
    fs.pipe_file(f"{tree}/a.txt", b"other")
    assert fs.checksum(f"{tree}/a.txt") != before[0]
    assert fs.ukey(f"{tree}/a.txt") != before[1]


def test_versions_are_listed_and_read(
    moto_options: dict[str, Any], bucket_name: Callable[[], str], versioned: Callable[[str], None]
) -> None:
    fs, bucket = HaulFileSystem(version_aware=True, **moto_options), bucket_name()
    fs.mkdir(bucket)
    versioned(bucket)
    path = f"{bucket}/d/file"
    first, second = (fs.pipe_file(path, data)["VersionId"] for data in (b"1", b"22"))
    assert [each["VersionId"] for each in fs.object_version_info(path)] == [second, first]
    assert fs.ls(f"{bucket}/d", versions=True) == [f"{path}?versionId={each}" for each in (second, first)]
    assert fs.ls(f"{bucket}/d") == [path]
    assert fs.cat_file(f"{path}?versionId={first}") == fs.cat_file(path, version_id=first) == b"1"
    assert fs.info(path)["VersionId"] == second
    assert fs.info(f"{path}?versionId={first}")["size"] == 1
    with fs.open(path, version_id=first) as file:
        assert (file.version_id, file.read()) == (first, b"1")
    with fs.open(path, "wb") as file:
        file.write(b"333")
    assert file.version_id == fs.info(path)["VersionId"]
    fs.rm_file(f"{path}?versionId={first}")
    assert len(fs.object_version_info(path)) == 2
    unaware = HaulFileSystem(**moto_options)
    with pytest.raises(ValueError, match="version_aware"):
        unaware.open(path, version_id=second)
    fs.rm(bucket, recursive=True)
    assert not fs.exists(bucket)


@pytest.mark.parametrize("ordered", [True, None])
def test_a_store_that_takes_its_time_is_asked_for_several_pages_at_once(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, *, ordered: bool | None
) -> None:
    monkeypatch.setattr(listing, "_NEAR", 0.0)
    names = sorted(f"b/d{number % 7}/{number:04}" for number in range(3_500))
    for name in names:
        server.objects["b", name[2:]] = b""
    fs = _on(server)

    async def proved(bucket: str, *_: object, **__: object) -> S3Store:
        store = fs._store(bucket)
        store.capabilities = replace(store.capabilities, ordered_listing=ordered)
        return store

    monkeypatch.setattr(fs, "_proved", proved)
    assert fs.find("b") == names
    assert fs.find("b", prefix="d3/") == [name for name in names if name.startswith("b/d3/")]
