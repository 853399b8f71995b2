"""Copies are told from what is none by all that both stores state, else by reading both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import contents, put_now, thing
from tests.jobs.applying.meddling import CARELESS, CarelessStore
from tests.jobs.applying.test_copying import moving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_contents_are_read_again_where_stores_state_nothing_that_compares(quick_path: Path) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a", "in/b": b"b"})

    def conceal(name: str, key: str) -> None:
        for each in ("in/a", "out/a", "in/b", "out/b"):
            version = store._versions.current(each)
            if version is not None:
                # As of objects under SSE-KMS: an ETag that is no MD5, and no checksum.
                version.head = replace_head(version.head)

    def replace_head(head: Any) -> Any:
        return head._replace(checksums=(), encryption="aws:kms")

    store.before = store.after = conceal
    put_now(store, "out/a", b"A")
    put_now(store, "out/b", thing(b"b", 1))
    await lab.apply()
    assert contents(store) == {"in/a": b"a", "out/a": b"A", "out/b": b"b"}
    assert ("get", "out/a") in store.calls


@pytest.mark.parametrize(("verify", "said"), [("", "size only"), ("checksum", "checksum")])
async def test_a_copy_without_checksums_is_called_what_it_is(
    quick_path: Path, verify: str, said: str
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"})

    def conceal(name: str, key: str) -> None:
        for each in ("in/a", "out/a"):
            version = store._versions.current(each)
            if version is not None:
                version.head = version.head._replace(checksums=(), encryption="aws:kms")

    store.before = store.after = conceal
    await lab.apply(verify=verify)
    assert lab.details("in/a")["verified"] == said
    assert contents(store) == {"out/a": b"a"}


async def test_a_copy_of_another_size_is_none(quick_path: Path) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"}, CarelessStore, **CARELESS)

    def cut(name: str, key: str) -> None:
        version = store._versions.current("out/a")
        if name == "copy" and version is not None:
            version.head = version.head._replace(size=0)

    store.after = cut
    await lab.apply()
    assert contents(store)["in/a"] == b"a"
    assert lab.phases() == {"in/a": "failed"}
