"""Objects that are merged, and buckets that keep versions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.fs import HaulFileSystem
from haulyard.fs.fsspec.merging import plan
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024**2


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 10), st.integers(20, 30))
def test_the_parts_are_all_bytes_in_their_order(sizes: list[int], least: int, most: int) -> None:
    parts = plan(sizes, least, most)
    content = [(number, at) for number, size in enumerate(sizes) for at in range(size)]
    assert [
        (span.number, at) for part in parts for span in part for at in range(span.start, span.end)
    ] == content
    for part in parts[:-1]:
        assert least <= sum(span.size for span in part) <= most
    assert all(span.size for part in parts for span in part)
    # Only what is small passes through here.
    assert all(len(part) == 1 or sum(span.size for span in part) < 2 * least for part in parts)


@pytest.mark.parametrize(
    "sizes",
    [[], [0], [3], [3, 0, 4], [6 * MIB], [6 * MIB, 100, 7 * MIB, 5], [100, 12 * MIB, 4 * MIB, 4 * MIB]],
)
def test_what_is_merged_is_all_of_it(fs: HaulFileSystem, place: str, sizes: list[int]) -> None:
    contents = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    paths = [f"{place}/{number}" for number in range(len(sizes))]
    fs.pipe(dict(zip(paths, contents, strict=True)))
    fs.merge(f"{place}/all.csv", paths, metadata={"a": "b"})
    assert fs.cat_file(f"{place}/all.csv") == b"".join(contents)
    assert fs.info(f"{place}/all.csv")["ContentType"] == "text/csv"
    assert fs.metadata(f"{place}/all.csv") == {"a": "b"}
    assert [fs.cat_file(path) for path in paths] == contents


def test_nothing_is_left_of_a_merge_that_fails() -> None:
    with FaultServer(buckets=["b"]) as server:
        fs = HaulFileSystem(endpoint_url=server.url, key="k", secret="s", skip_instance_cache=True)
        for name in "xy":
            server.objects["b", name] = bytes(6 * MIB)
        with pytest.raises(FileNotFoundError):
            fs.merge("b/all", ["b/x", "b/nothing"])
        server.script(Fault("UploadPartCopy", status=403, attempts="all"))
        with pytest.raises(PermissionError):
            fs.merge("b/all", ["b/x", "b/y"])
        assert server.uploads == ()
        assert ("b", "all") not in server.objects
        fs.close()


@pytest.mark.parametrize("server", ["options", "moto_options"])
def test_a_bucket_says_whether_it_keeps_versions(
    server: str, request: pytest.FixtureRequest, bucket_name: Callable[[], str]
) -> None:
    fs = HaulFileSystem(**request.getfixturevalue(server), version_aware=True)
    fs.mkdir(bucket := bucket_name())
    assert not fs.is_bucket_versioned(bucket)
    fs.make_bucket_versioned(bucket)
    assert fs.is_bucket_versioned(f"haul://{bucket}")
    for content in (b"1", b"2"):
        fs.pipe_file(f"{bucket}/x", content)
    assert len(fs.object_version_info(f"{bucket}/x")) == 2
    fs.make_bucket_versioned(bucket, versioned=False)
    assert not fs.is_bucket_versioned(bucket)
    with pytest.raises(FileNotFoundError):
        fs.is_bucket_versioned(f"{bucket}x")
