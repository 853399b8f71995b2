"""Are two objects the same, byte for byte? By their checksums where these compare, else by reading again."""

from __future__ import annotations

from binascii import unhexlify
from typing import TYPE_CHECKING, Final

from haulyard.checksums import checksum_of, etag_is_md5, hasher
from haulyard.models import GetOptions
from haulyard.transfer.compare import same_content

if TYPE_CHECKING:
    from haulyard.models import Checksum, Encryption, ObjectHead
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item

#: Computed where an object has to be read: what the other side states, in this order, else the first.
_PREFERRED: Final = ("CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1", "MD5")


class ContentComparer:
    """Compares objects of equal size; call it with an item of each side.

    Costs a HEAD on each side. Bytes are read where the stores state no checksums of one kind: of the side
    that states none of the other's, of both where neither states one of its whole content.
    """

    def __init__(
        self,
        source: Store,
        destination: Store,
        *,
        source_encryption: Encryption | None = None,
        destination_encryption: Encryption | None = None,
    ) -> None:
        self._source = _Witness(source, source_encryption)
        self._destination = _Witness(destination, destination_encryption)

    async def __call__(self, source: Item, destination: Item) -> bool:
        """Return whether both have the same content.

        Raises:
            StoreError: One of them is gone, may not be read or was replaced meanwhile.
        """
        one = await self._source.head(source.key, source.version_id)
        other = await self._destination.head(destination.key)
        known_of_one, known_of_other = known_checksums(one), known_checksums(other)
        verdict = same_content(known_of_one, known_of_other)
        if verdict is not None:
            return verdict
        algorithm = _algorithm((*known_of_one, *known_of_other))
        computed = await self._source.checksum(one, known_of_one, algorithm, source.version_id)
        return computed == await self._destination.checksum(other, known_of_other, algorithm)


class _Witness:
    """Describes and reads the objects of one side."""

    def __init__(self, store: Store, encryption: Encryption | None) -> None:
        self._store = store
        self._encryption = encryption

    async def head(self, key: str, version_id: str = "") -> ObjectHead:
        return await self._store.head(key, GetOptions(version_id=version_id, encryption=self._encryption))

    async def checksum(
        self, head: ObjectHead, known: tuple[Checksum, ...], algorithm: str, version_id: str = ""
    ) -> Checksum:
        """Return the checksum that is known, or that of the bytes."""
        for each in known:
            if each.algorithm == algorithm and each.kind == "FULL_OBJECT":
                return each
        state = hasher(algorithm)
        options = GetOptions(if_match=head.etag, version_id=version_id, encryption=self._encryption)
        async with await self._store.get(head.key, options) as reader:
            async for chunk in reader.chunks():
                state.update(chunk)
        return checksum_of(algorithm, state.digest())


def known_checksums(head: ObjectHead) -> tuple[Checksum, ...]:
    """Return what a store states of an object's content, its ETag included where that is an MD5."""
    if not etag_is_md5(head):
        return head.checksums
    return (*head.checksums, checksum_of("MD5", unhexlify(head.etag)))


def _algorithm(known: tuple[Checksum, ...]) -> str:
    stated = {each.algorithm for each in known if each.kind == "FULL_OBJECT"}
    return next((each for each in _PREFERRED if each in stated), _PREFERRED[0])
