from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute
from haulyard.errors import NotFound
from haulyard.models import Checksum, PutOptions
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.evidence import ContentComparer, known_checksums
from haulyard.transfer.items import Item

if TYPE_CHECKING:
    from haulyard.models import GetOptions, ObjectHead
    from haulyard.stores.memory import MemoryReader

pytestmark = pytest.mark.anyio


class Store(MemoryStore):
    """Counts what is read, and states the checksums that it is told to."""

    def __init__(self, *, states: tuple[Checksum, ...] | None = None, etag: str | None = None) -> None:
        super().__init__(versioned=True)
        self.reads = 0
        self._states = states
        self._etag = etag

    async def head(self, key: str, options: GetOptions | None = None) -> ObjectHead:
        head = await super().head(key, options) if options else await super().head(key)
        return head._replace(
            checksums=head.checksums if self._states is None else self._states,
            etag=head.etag if self._etag is None else self._etag,
        )

    async def get(self, key: str, options: GetOptions | None = None) -> MemoryReader:
        self.reads += 1
        return await super().get(key)


async def same(one: Store, other: Store, contents: tuple[bytes, bytes], algorithm: str = "CRC64NVME") -> bool:
    options = PutOptions(checksum_algorithm=algorithm)
    await one.put("a", contents[0], options)
    await other.put("b", contents[1], options)
    return await ContentComparer(one, other)(Item("a"), Item("b"))


@pytest.mark.parametrize(("contents", "expected"), [((b"x", b"x"), True), ((b"x", b"y"), False)])
async def test_checksums_that_both_sides_state_are_enough(
    contents: tuple[bytes, bytes], *, expected: bool
) -> None:
    one, other = Store(), Store()
    assert await same(one, other, contents) is expected
    assert (one.reads, other.reads) == (0, 0)


@pytest.mark.parametrize(("contents", "expected"), [((b"x", b"x"), True), ((b"x", b"y"), False)])
async def test_the_side_that_states_nothing_is_read(contents: tuple[bytes, bytes], *, expected: bool) -> None:
    local, remote = Store(states=(), etag="1f-2e-3d"), Store(etag="opaque")
    assert await same(local, remote, contents) is expected
    assert (local.reads, remote.reads) == (1, 0)


async def test_an_etag_that_is_an_md5_is_a_checksum() -> None:
    local, remote = Store(states=(), etag="1f-2e-3d"), Store(states=())
    assert await same(local, remote, (b"x", b"x"))
    assert (local.reads, remote.reads) == (1, 0)
    head = await remote.head("b")
    assert known_checksums(head) == (compute("MD5", b"x"),)
    assert known_checksums(head._replace(encryption="aws:kms")) == ()
    assert known_checksums(head._replace(etag=head.etag + "-2")) == ()


async def test_where_neither_side_states_anything_both_are_read() -> None:
    one, other = Store(states=(), etag="1f-2e"), Store(states=(), etag="opaque")
    assert await same(one, other, (b"x" * 3_000_000, b"x" * 3_000_000))
    assert (one.reads, other.reads) == (1, 1)


async def test_composite_checksums_of_other_part_sizes_prove_nothing() -> None:
    one = Store(states=(Checksum("SHA256", "AAAA-2", "COMPOSITE"),), etag="a" * 32 + "-2")
    other = Store(states=(Checksum("SHA256", "BBBB-3", "COMPOSITE"),), etag="b" * 32 + "-3")
    assert await same(one, other, (b"x", b"x"))
    assert (one.reads, other.reads) == (1, 1)


async def test_an_old_version_is_compared_as_such() -> None:
    one, other = Store(), Store()
    old = await one.put("a", b"old")
    await one.put("a", b"new")
    await other.put("b", b"old")
    compare = ContentComparer(one, other)
    assert await compare(Item("a", version_id=old.version_id), Item("b"))
    assert not await compare(Item("a"), Item("b"))


async def test_what_is_gone_is_an_error() -> None:
    one, other = Store(), Store()
    await one.put("a", b"x")
    with pytest.raises(NotFound):
        await ContentComparer(one, other)(Item("a"), Item("b"))
