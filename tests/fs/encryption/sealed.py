"""Objects that were sealed, as a store would hold them, and what an attacker makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.config import Settings
from haulyard.fs.encryption import ClientSideEncryption, Encrypter
from haulyard.models import ObjectHead, Secret
from haulyard.stores.assemble import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

KEY = Secret(bytes(range(32)))


class Held(NamedTuple):
    """An object of a store: its bytes and its metadata."""

    body: bytes
    metadata: Mapping[str, str]

    @property
    def head(self) -> ObjectHead:
        return ObjectHead("dir/key", len(self.body), None, "etag", metadata=self.metadata)

    async def chunks(self, size: int = 70_000) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), size):
            yield self.body[start : start + size]

    def with_metadata(self, **changes: str) -> Held:
        """Return the object with entries of its metadata replaced; ``x_amz_c`` is ``x-amz-c``."""
        renamed = {name.replace("_", "-"): value for name, value in changes.items()}
        return self._replace(metadata={**self.metadata, **renamed})

    def without(self, *names: str) -> Held:
        return self._replace(
            metadata={name: value for name, value in self.metadata.items() if name not in names}
        )


def encrypter(wanted: ClientSideEncryption | None = None) -> Encrypter:
    return Encrypter(wanted or ClientSideEncryption(wrapping_key=KEY), Connection(Settings()))


async def hold(content: bytes, wanted: ClientSideEncryption | None = None) -> Held:
    sealed = await encrypter(wanted).seal_bytes(content)
    return Held(bytes(sealed.body), sealed.metadata)


async def plain(held: Held, wanted: ClientSideEncryption | None = None) -> bytes:
    unsealed = encrypter(wanted).unseal(held.head, held.chunks(), bucket="bucket")
    return b"".join([chunk async for chunk in unsealed])
