"""Copying, moving, removing; directories and buckets; metadata, tags and URLs."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a/1", "a/b/2", "a/b/c/3", "z")


@pytest.fixture
def tree(fs: HaulFileSystem, place: str) -> str:
    fs.pipe({f"{place}/{name}": name.encode() for name in NAMES})
    return place


def _names(fs: HaulFileSystem, place: str) -> list[str]:
    return [name.removeprefix(f"{place}/") for name in fs.find(place)]


def test_a_copy_keeps_what_its_source_has(fs: HaulFileSystem, place: str) -> None:
    fs.pipe_file(f"{place}/a", b"1", content_type="text/x-a", metadata={"by": "me"})
    fs.cp(f"{place}/a", f"{place}/b")
    assert fs.cat_file(f"{place}/b") == b"1"
    assert (fs.info(f"{place}/b")["ContentType"], fs.metadata(f"{place}/b")) == ("text/x-a", {"by": "me"})
    fs.cp_file(f"{place}/a", f"{place}/c", content_type="text/x-c")
    assert fs.info(f"{place}/c")["ContentType"] == "text/x-c"
    with pytest.raises(FileNotFoundError):
        fs.cp(f"{place}/nothing", f"{place}/d")


def test_a_remembered_etag_that_is_outdated_does_not_stop_a_copy(place: str, options: dict[str, Any]) -> None:
    fs = HaulFileSystem(**options, skip_instance_cache=True)
    other = HaulFileSystem(**options, skip_instance_cache=True)
    other.pipe_file(f"{place}/a", b"old")
    fs.ls(place)
    other.pipe_file(f"{place}/a", b"newer")
    fs.cp_file(f"{place}/a", f"{place}/b")
    assert other.cat_file(f"{place}/b") == b"newer"


def test_a_tree_is_moved_whole(fs: HaulFileSystem, tree: str) -> None:
    fs.mv(f"{tree}/a", f"{tree}/moved", recursive=True)
    assert _names(fs, tree) == ["moved/1", "moved/b/2", "moved/b/c/3", "z"]
    assert fs.ls(tree) == [f"{tree}/moved", f"{tree}/z"]
    fs.mv(f"{tree}/z", f"{tree}/y")
    assert fs.cat_file(f"{tree}/y") == b"z"
    with pytest.raises(FileNotFoundError):
        fs.mv(f"{tree}/nothing", f"{tree}/x")
    fs.mv(f"{tree}/y", f"{tree}/y")
    assert fs.exists(f"{tree}/y")


def test_what_could_not_be_copied_is_not_removed() -> None:
    fault = Fault("CopyObject", key="new/2", status=403, attempts="all")
    with FaultServer(fault, buckets=["b"]) as server:
        fs = HaulFileSystem(endpoint_url=server.url, key="k", secret="s", skip_instance_cache=True)
        fs.pipe({"b/old/1": b"1", "b/old/2": b"2", "b/old/3": b"3"})
        with pytest.raises(PermissionError):
            fs.mv("b/old", "b/new", recursive=True)
        assert ("b", "old/2") in server.objects
        for name in "13":
            assert (("b", f"old/{name}") in server.objects) != (("b", f"new/{name}") in server.objects)


def test_removing_a_tree_removes_all_of_it(fs: HaulFileSystem, tree: str) -> None:
    assert sorted(fs.rm(f"{tree}/a", recursive=True)) == [f"{tree}/{name}" for name in NAMES[:3]]
    assert _names(fs, tree) == ["z"]
    assert fs.ls(tree) == [f"{tree}/z"]
    with pytest.raises(FileNotFoundError):
        fs.rm(f"{tree}/a", recursive=True)


def test_removing_says_what_it_does_not_do(fs: HaulFileSystem, tree: str) -> None:
    with pytest.raises(IsADirectoryError, match="recursive"):
        fs.rm(f"{tree}/a")
    with pytest.raises(FileNotFoundError):
        fs.rm(f"{tree}/nothing")
    with pytest.raises(FileNotFoundError):
        fs.rm("no-such-bucket-anywhere/x")
    with pytest.raises(FileNotFoundError):
        fs.rm(["no-such-bucket-anywhere/x"])
    assert _names(fs, tree) == sorted(NAMES)


def test_a_bucket_with_something_in_it_is_not_removed_by_itself(fs: HaulFileSystem, bucket: str) -> None:
    fs.touch(f"{bucket}/a")
    with pytest.raises(OSError, match="BucketNotEmpty") as caught:
        fs.rm(bucket)
    assert caught.value.errno == errno.ENOTEMPTY
    fs.rm(bucket, recursive=True)
    assert not fs.exists(bucket)


def test_lists_patterns_and_depths_are_removed(fs: HaulFileSystem, tree: str) -> None:
    fs.rm([f"{tree}/z", f"{tree}/a/1"])
    assert _names(fs, tree) == ["a/b/2", "a/b/c/3"]
    fs.rm(f"{tree}/a", recursive=True, maxdepth=2)
    assert _names(fs, tree) == ["a/b/c/3"]
    fs.rm(f"{tree}/a/b/c/*")
    assert _names(fs, tree) == []


def test_removal_goes_a_thousand_at_a_time() -> None:
    with FaultServer(buckets=["b"]) as server:
        fs = HaulFileSystem(endpoint_url=server.url, key="k", secret="s", skip_instance_cache=True)
        for number in range(2_001):
            server.objects["b", f"many/{number}"] = b""
        assert len(fs.rm("b/many", recursive=True)) == 2_001
        # The last is for the directory, which some stores go on listing.
        assert sum(each.operation == "DeleteObjects" for each in server.requests) == 4
        assert not fs.exists("b/many")


def test_a_key_that_cannot_be_deleted_is_told() -> None:
    fault = Fault("DeleteObjects", status=403, attempts="all")
    with FaultServer(fault, buckets=["b"]) as server:
        fs = HaulFileSystem(endpoint_url=server.url, key="k", secret="s", skip_instance_cache=True)
        fs.pipe({"b/1": b"1", "b/2": b"2"})
        with pytest.raises(PermissionError):
            fs.rm(["b/1", "b/2"])


def test_directories_are_buckets_or_nothing(fs: HaulFileSystem, bucket_name: Callable[[], str]) -> None:
    bucket = bucket_name()
    attempts: list[Callable[[], object]] = [
        lambda: fs.mkdir(f"{bucket}/a"),
        lambda: fs.makedirs(f"{bucket}/a"),
        lambda: fs.makedirs(bucket, exist_ok=True),
    ]
    for attempt in attempts:
        with pytest.raises(FileNotFoundError):
            attempt()
    assert not fs.exists(bucket)
    fs.mkdir(bucket)
    fs.mkdir(f"{bucket}/a/b")
    assert fs.ls(bucket) == []
    assert not fs.exists(f"{bucket}/a")
    with pytest.raises(FileExistsError):
        fs.mkdir(bucket)
    with pytest.raises(FileExistsError):
        fs.makedirs(bucket)
    fs.makedirs(bucket, exist_ok=True)
    fs.makedirs(f"{bucket}/x/y")
    fs.touch(f"{bucket}/d/file")
    with pytest.raises(FileExistsError):
        fs.rmdir(f"{bucket}/d")
    with pytest.raises(FileNotFoundError):
        fs.rmdir(f"{bucket}/nothing")
    with pytest.raises(OSError, match="NotEmpty"):
        fs.rmdir(bucket)
    fs.rm(f"{bucket}/d/file")
    fs.rmdir(bucket)
    assert not fs.exists(bucket)
    for make in (fs.mkdir, fs.makedirs):
        with pytest.raises(ValueError, match="root"):
            make("/")


def test_touch_makes_and_truncates(fs: HaulFileSystem, place: str) -> None:
    fs.touch(f"{place}/a")
    assert fs.size(f"{place}/a") == 0
    fs.pipe_file(f"{place}/a", b"123")
    with pytest.raises(ValueError, match="truncate"):
        fs.touch(f"{place}/a", truncate=False)
    assert fs.size(f"{place}/a") == 3
    fs.touch(f"{place}/a")
    assert fs.size(f"{place}/a") == 0


def test_metadata_are_set_and_the_rest_is_kept(fs: HaulFileSystem, place: str) -> None:
    path = f"{place}/a"
    fs.pipe_file(path, b"123", content_type="text/x-a", metadata={"one": "1", "two": "2"})
    fs.setxattr(path, two=None, new_name="3")
    assert fs.metadata(path) == {"one": "1", "new-name": "3"}
    assert fs.getxattr(path, "new_name") == "3"
    assert fs.getxattr(path, "nothing") is None
    assert fs.info(path)["ContentType"] == "text/x-a"
    with fs.open(path) as file:
        file.setxattr(one="changed")
        assert file.getxattr("one") == "changed"
        assert file.read() == b"123"
    with fs.open(path, "wb") as file, pytest.raises(NotImplementedError):
        file.setxattr(one="x")


def test_tags_are_replaced_and_added_to(fs: HaulFileSystem, place: str) -> None:
    fs.touch(f"{place}/a")
    fs.put_tags(f"{place}/a", {"x": "1", "y": "2"})
    fs.put_tags(f"{place}/a", {"y": "3"}, mode="m")
    assert fs.get_tags(f"{place}/a") == {"x": "1", "y": "3"}
    fs.put_tags(f"{place}/a", {"z": "4"})
    assert fs.get_tags(f"{place}/a") == {"z": "4"}
    with pytest.raises(ValueError, match="mode"):
        fs.put_tags(f"{place}/a", {}, mode="?")


def test_a_url_lets_anybody_read(fs: HaulFileSystem, place: str) -> None:
    fs.pipe_file(f"{place}/a b", b"content")
    for url in (fs.sign(f"{place}/a b", expiration=60), fs.url(f"{place}/a b", expires=60)):
        with urlopen(url) as answer:  # noqa: S310 -- http, of the test's own server
            assert answer.read() == b"content"
    with fs.open(f"{place}/a b") as file:
        assert "X-Amz-Signature" in file.url()
    with pytest.raises(ValueError, match="client_method"):
        fs.url(f"{place}/a b", client_method="list_buckets")


def test_uploads_that_nobody_completed_are_cleared(fs: HaulFileSystem, bucket: str) -> None:
    with fs.open(f"{bucket}/a", "wb", autocommit=False, block_size=5 * 1024**2) as file:
        file.write(b"x" * 12_000_000)
    assert [each["Key"] for each in fs.list_multipart_uploads(bucket)] == ["a"]
    fs.clear_multipart_uploads(bucket)
    assert fs.list_multipart_uploads(bucket) == []
    file.discard()


def test_an_acl_is_set(moto_options: dict[str, Any], bucket_name: Callable[[], str]) -> None:
    fs, bucket = HaulFileSystem(**moto_options), bucket_name()
    fs.mkdir(bucket)
    fs.pipe({f"{bucket}/d/a": b"1", f"{bucket}/d/b": b"2"})
    fs.chmod(f"{bucket}/d", "public-read", recursive=True)
    stranger = HaulFileSystem(endpoint_url=moto_options["endpoint_url"], anon=True)
    assert stranger.cat_file(f"{bucket}/d/b") == b"2"
