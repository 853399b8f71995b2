"""The face without an event loop: the same names and signatures, and the same behaviour."""

from __future__ import annotations

import inspect
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import Conflict, HaulError, NotFound, S3PreconditionFailed
from haulyard.fs import NewNode, S3Provider, SyncS3Provider, updating

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fs.provider.conftest import Config

    from haulyard.testing.faults import FaultServer

MIB = 1024 * 1024


def public(face: type) -> dict[str, object]:
    return {
        name: value
        for name, value in inspect.getmembers(face)
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }


ASYNC, SYNC = public(S3Provider), public(SyncS3Provider)
METHODS = [name for name, value in ASYNC.items() if inspect.isfunction(value)]


def plain(text: object) -> str:
    """Return a parameter or annotation as the face without an event loop writes it."""
    return re.sub(r"\bAsync(?=Iter)", "", re.sub(r"Awaitable\[(\w+)\]", r"\1", str(text)))


def test_both_have_the_same_names() -> None:
    assert ASYNC.keys() == SYNC.keys()


def test_they_have_all_methods_that_a_provider_is_known_by() -> None:
    known = """
    initialize close create_node delete_node get_node_info list_directory read_file write_file
    exists copy_node move_node get_metadata set_metadata get_storage_stats cleanup stream_read
    stream_write batch_create batch_delete batch_read batch_write calculate_checksum
    generate_presigned_url generate_presigned_upload_url generate_presigned_post list_versions
    read_version restore_version get_object_tags set_object_tags get_acl set_acl with_retry refresh
    update metrics
    """
    assert set(known.split()) <= ASYNC.keys()


@pytest.mark.parametrize("name", METHODS)
def test_both_take_the_same_and_return_the_same(name: str) -> None:
    one, other = (
        inspect.signature(getattr(S3Provider, name)),
        inspect.signature(getattr(SyncS3Provider, name)),
    )
    assert [plain(each) for each in one.parameters.values()] == [
        str(each) for each in other.parameters.values()
    ]
    assert plain(one.return_annotation) == str(other.return_annotation)


def test_both_are_made_alike() -> None:
    assert inspect.signature(S3Provider.__init__) == inspect.signature(SyncS3Provider.__init__)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_described(name: str) -> None:
    assert inspect.getdoc(getattr(S3Provider, name))
    short = inspect.getdoc(getattr(SyncS3Provider, name)) or ""
    assert f"`S3Provider.{name}`" in short


@pytest.fixture
def files(on_faults: Config) -> Iterator[SyncS3Provider]:
    with SyncS3Provider(on_faults()) as files:
        yield files


def test_it_does_what_the_other_does(files: SyncS3Provider) -> None:
    node = files.write_file("a/b.txt", b"hello")
    assert files.read_file("a/b.txt", range=(0, 2)) == b"he"
    assert [each.path for each in files.list_directory("a")] == ["a/b.txt"]
    assert [each.path for each in files.scan()] == ["a/b.txt"]
    assert files.exists("a")
    assert files.get_node_info("a/b.txt").etag == node.etag
    assert files.create_node(NewNode("empty")).size == 0
    files.set_metadata("a/b.txt", {"k": "v"})
    assert files.get_metadata("a/b.txt") == {"k": "v"}
    files.set_object_tags("a/b.txt", {"t": "1"})
    assert files.get_object_tags("a/b.txt") == {"t": "1"}
    assert files.copy_node("a/b.txt", "c").bytes == 5
    assert files.move_node("a", "d").files == 1
    assert files.update("counter", lambda old: old + b"x").size == 1
    assert [each.unwrap() for each in files.batch_read(["c", "counter"])] == [b"hello", b"x"]
    assert all(each.ok for each in files.batch_write([("e", b"1"), ("f", b"2")]))
    assert all(each.ok for each in files.batch_delete(["e", "f"]))
    assert files.generate_presigned_url("c").method == "GET"
    assert files.get_storage_stats().files == 4
    files.refresh()
    assert files.metrics.operations["read_file"].calls == 1
    files.delete_node("d", recursive=True)
    with pytest.raises(NotFound):
        files.list_directory("d")
    with pytest.raises(S3PreconditionFailed):
        files.write_file("c", b"", if_absent=True)


def test_streams_go_through_a_piece_at_a_time(files: SyncS3Provider) -> None:
    threads = set()

    def pieces() -> Iterator[bytes]:
        for number in range(20):
            threads.add(threading.current_thread())
            yield bytes([number]) * MIB

    assert files.stream_write("large", pieces()).size == 20 * MIB
    assert threads == {threading.current_thread()}
    content = b"".join(bytes([number]) * MIB for number in range(20))
    assert b"".join(files.stream_read("large")) == content
    some = files.stream_read("large", chunk_size=1000)
    assert next(some) == bytes(1000)
    some.close()  # type: ignore[attr-defined]  # it is a generator
    assert files.read_file("large", range=(0, 1)) == b"\0"


def test_a_stream_that_raises_leaves_nothing(files: SyncS3Provider, faults: FaultServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(9 * MIB)
        raise ValueError("the source failed")

    with pytest.raises(ValueError, match="the source failed"):
        files.stream_write("a", pieces())
    assert list(faults.objects) == []
    assert faults.uploads == ()


def test_a_stream_stops_where_the_store_refuses_it(on_faults: Config) -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield bytes(1000)

    with SyncS3Provider(on_faults(max_file_size=5000)) as files, pytest.raises(HaulError):
        files.stream_write("a", pieces())
    assert len(taken) < 12


def test_what_fails_for_a_moment_is_called_again_in_this_thread(
    files: SyncS3Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "_RETRY_BASE", 0.0005)
    calls: list[Any] = []

    def shaky(path: str) -> bool:
        calls.append(threading.current_thread())
        if len(calls) < 3:
            raise Conflict("not now")
        return files.exists(path)

    assert files.with_retry(shaky, "nothing") is False
    assert calls == [threading.current_thread()] * 3


def test_it_cannot_be_used_once_it_is_closed(on_faults: Config) -> None:
    files = SyncS3Provider(on_faults())
    files.write_file("a", b"x")
    files.close()
    files.close()
    with pytest.raises(HaulError, match="closed"):
        files.read_file("a")
