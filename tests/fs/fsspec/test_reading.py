"""Reading: whole objects, ranges, many ranges at once, files of this machine."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.callbacks import Callback

from haulyard.errors import NotFound
from haulyard.fs import HaulFileSystem
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from pathlib import Path

DATA = random.Random(7).randbytes(300_000)


@pytest.fixture
def path(fs: HaulFileSystem, place: str) -> str:
    fs.pipe_file(f"{place}/data.bin", DATA)
    return f"{place}/data.bin"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        (5, None),
        (None, 5),
        (1, -1),
        (-5, None),
        (-5, -2),
        (None, -299_990),
        (10, 10),
        (20, 10),
        (299_999, 400_000),
        (300_000, 300_010),
        (-400_000, None),
    ],
)
def test_a_range_is_what_a_slice_is(
    fs: HaulFileSystem, path: str, start: int | None, end: int | None
) -> None:
    assert fs.cat_file(path, start, end) == DATA[start:end]


def test_nothing_is_read_of_an_empty_object(fs: HaulFileSystem, place: str) -> None:
    fs.touch(f"{place}/empty")
    assert fs.cat_file(f"{place}/empty") == b""
    assert fs.cat_file(f"{place}/empty", 0, 10) == b""
    assert fs.cat_file(f"{place}/empty", -3) == b""


def test_a_large_object_is_read_in_ranges(fs: HaulFileSystem, place: str) -> None:
    data = random.Random(1).randbytes(17 * 1024**2)
    fs.pipe_file(f"{place}/large", data)
    assert fs.cat_file(f"{place}/large") == data
    assert fs.cat_file(f"{place}/large", 3) == data[3:]


def test_many_ranges_come_in_the_order_in_which_they_were_asked_for(fs: HaulFileSystem, path: str) -> None:
    draw = random.Random(3)
    starts: list[Any] = [draw.randrange(len(DATA)) for _ in range(200)]
    ends: list[Any] = [start + draw.randrange(3_000) for start in starts]
    starts += [None, 7, -10, 100]
    ends += [10, None, None, 50]
    found = fs.cat_ranges([path] * len(starts), starts, ends)
    assert found == [DATA[start:end] for start, end in zip(starts, ends, strict=True)]
    assert fs.cat_ranges([path] * 2, 3, 9) == [DATA[3:9]] * 2


def test_neighbouring_ranges_are_fetched_together() -> None:
    with FaultServer(buckets=["b"]) as server:
        fs = _on(server)
        fs.pipe_file("b/k", DATA)
        before = len(server.requests)
        starts = list(range(0, 100_000, 1_000))
        found = fs.cat_ranges(["b/k"] * len(starts), starts, [start + 500 for start in starts])
        assert found == [DATA[start : start + 500] for start in starts]
        assert len(server.requests) - before == 1
        fs.cat_ranges(["b/k"] * 3, [0, 1_000, 2_000], [500, 1_500, 2_500], max_gap=100)
        assert len(server.requests) - before == 4


def test_a_range_that_cannot_be_read_is_an_error_in_its_place(fs: HaulFileSystem, path: str) -> None:
    missing = f"{path}.gone"
    found = fs.cat_ranges([path, missing], [0, 0], [3, 3])
    assert found[0] == DATA[:3]
    assert isinstance(found[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([path, missing], [0, 0], [3, 3], on_error="raise")


def test_ranges_are_of_one_content_while_it_is_replaced() -> None:
    replaced = Fault(
        "GetObject", key="k", where=lambda request: "200000" in request.headers["range"], change_etag=True
    )
    with FaultServer(replaced, buckets=["b"]) as server:
        fs = _on(server)
        fs.pipe_file("b/k", DATA)
        found = fs.cat_ranges(["b/k"] * 2, [0, 200_000], [10, 200_010])
        content = server.objects["b", "k"]
        assert found == [content[:10], content[200_000:200_010]]


def test_ranges_that_are_never_of_one_content_are_errors() -> None:
    other = {"etag": '"other"', "content-range": f"bytes 200000-200009/{len(DATA)}"}
    torn = Fault(
        "GetObject",
        attempts="all",
        where=lambda request: "200000" in request.headers["range"],
        status=206,
        headers=other,
        body=b"n" * 10,
    )
    with FaultServer(torn, buckets=["b"]) as server:
        fs = _on(server)
        fs.pipe_file("b/k", DATA)
        found = fs.cat_ranges(["b/k"] * 2, [0, 200_000], [10, 200_010])
    assert [getattr(each, "errno", None) for each in found] == [errno.EBUSY] * 2


def test_errors_are_those_of_files_and_keep_their_cause(fs: HaulFileSystem, bucket: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fs.cat_file(f"{bucket}/nothing")
    assert isinstance(caught.value.__cause__, NotFound)
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(FileNotFoundError):
        fs.ls("no-such-bucket-anywhere")
    with pytest.raises(ValueError, match="names no object"):
        fs.cat_file(bucket)


def test_who_may_not_gets_a_permission_error(options: dict[str, Any], place: str) -> None:
    stranger = HaulFileSystem(**{**options, "secret": "wrong"})
    with pytest.raises(PermissionError):
        stranger.ls(place)


def test_cat_returns_what_its_arguments_ask_for(fs: HaulFileSystem, place: str) -> None:
    fs.pipe({f"{place}/d/a": b"1", f"{place}/d/b": b"2"})
    a, b, gone = f"{place}/d/a", f"{place}/d/b", f"{place}/d/c"
    assert fs.cat(a) == b"1"
    assert fs.cat([a]) == {a: b"1"}
    assert fs.cat(f"{place}/d/*") == {a: b"1", b: b"2"}
    assert fs.cat(f"{place}/d", recursive=True) == {a: b"1", b: b"2"}
    with pytest.raises(FileNotFoundError):
        fs.cat([a, gone])
    assert fs.cat([a, gone], on_error="omit") == {a: b"1"}
    assert isinstance(fs.cat([a, gone], on_error="return")[gone], FileNotFoundError)


@pytest.mark.parametrize("size", [0, 100, 18 * 1024**2])
def test_a_file_comes_and_goes_with_its_bytes_counted(
    fs: HaulFileSystem, place: str, tmp_path: Path, size: int
) -> None:
    source = tmp_path / "source"
    source.write_bytes(random.Random(size).randbytes(size))
    sent, received = Callback(), Callback()
    fs.put_file(str(source), f"{place}/file", callback=sent)
    fs.get_file(f"{place}/file", str(tmp_path / "back"), callback=received)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert [(each.size, each.value) for each in (sent, received)] == [(size, size)] * 2


def test_a_download_that_fails_leaves_no_file(fs: HaulFileSystem, place: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fs.get_file(f"{place}/nothing", str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def _on(server: FaultServer) -> HaulFileSystem:
    return HaulFileSystem(
        endpoint_url=server.url, key="k", secret="s", region="us-east-1", skip_instance_cache=True
    )
