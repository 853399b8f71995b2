"""cp and mv over stores in memory: what needs no process to be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.models import PutOptions

if TYPE_CHECKING:
    from tests.cli.conftest import Box

    from haulyard.stores.memory import MemoryStore


def keys(box: Box, store: MemoryStore) -> list[str]:
    async def listed() -> list[str]:
        return [info.key async for page in store.list() for info in page.objects]

    return box.await_(listed())


@pytest.mark.parametrize("change", ["--storage-class=STANDARD_IA", "--content-type=text/x", "--metadata=a=b"])
def test_an_object_may_be_copied_onto_itself_to_change_it(haul: Box, change: str) -> None:
    store = haul.bucket({"k": b"x"})
    flag, _, value = change.partition("=")
    assert haul("cp", "s3://b/k", "s3://b/k", flag, value).code == 0
    head = haul.await_(store.head("k"))
    assert {head.storage_class, head.content_type, *head.metadata.values()} & {"STANDARD_IA", "text/x", "b"}


@pytest.mark.parametrize(
    ("flags", "kept"),
    [((), True), (("--metadata-directive", "REPLACE"), False), (("--content-language", "de"), False)],
)
def test_properties_are_replaced_all_or_none(haul: Box, flags: tuple[str, ...], kept: bool) -> None:
    store = haul.bucket({})
    haul.put(store, "k", b"x", PutOptions(cache_control="no-cache", tags={"a": "b"}))
    assert haul("cp", "s3://b/k", "s3://b/l", *flags).code == 0
    assert haul.await_(store.head("l")).cache_control == ("no-cache" if kept else "")
    assert haul.await_(store.get_tags("l")) == {"a": "b"}


def test_tags_are_replaced_by_themselves(haul: Box) -> None:
    store = haul.bucket({})
    haul.put(store, "k", b"x", PutOptions(cache_control="no-cache", tags={"a": "b"}))
    assert haul("cp", "s3://b/k", "s3://b/l", "--tag", "c=d").code == 0
    assert haul.await_(store.get_tags("l")) == {"c": "d"}
    assert haul.await_(store.head("l")).cache_control == "no-cache"


def test_a_directive_wins_over_what_is_given(haul: Box) -> None:
    store = haul.bucket({})
    haul.put(store, "k", b"x", PutOptions(cache_control="no-cache"))
    words = ("cp", "s3://b/k", "s3://b/l", "--content-type", "text/x", "--metadata-directive", "COPY")
    assert haul(*words).code == 0
    assert haul.await_(store.head("l")).cache_control == "no-cache"


def test_a_manifest_with_versions_is_not_moved(haul: Box) -> None:
    store = haul.bucket({}, versioned=True)
    version = haul.await_(store.put("k", b"1")).version_id
    haul.await_(store.put("k", b"2"))
    (haul.cwd / "list.csv").write_text(f"b,k,{version}\n")
    moved = haul("mv", "s3://b/", "s3://b/to/", "--manifest", str(haul.cwd / "list.csv"))
    assert moved.code == 1
    assert "a version cannot be moved" in moved.err
    assert keys(haul, store) == ["k"]
    copied = haul("cp", "s3://b/", "s3://b/to/", "--manifest", str(haul.cwd / "list.csv"))
    assert copied.code == 0, copied.err
    assert haul.await_(haul.await_(store.get("to/k")).read()) == b"1"


def test_sources_of_two_buckets_are_copied_one_after_the_other(haul: Box) -> None:
    haul.bucket({"a": b"1", "d/b": b"2"}, "one")
    haul.bucket({"c": b"3"}, "two")
    result = haul("cp", "s3://one/a", "s3://two/c", "s3://one/d/", f"{haul.cwd}/out/")
    assert (result.code, len(result.out.splitlines())) == (0, 3)
    assert sorted(path.name for path in (haul.cwd / "out").iterdir()) == ["a", "b", "c"]


def test_what_the_filters_leave_is_said_to_be_nothing(haul: Box) -> None:
    haul.bucket({"a": b"1"})
    result = haul("cp", "s3://b/", f"{haul.cwd}/out/", "--include", "*.gz")
    assert (result.code, result.out) == (0, "")
    assert "nothing was selected" in result.err
