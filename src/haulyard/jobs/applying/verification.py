"""Is what lies at the destination the object that was to be copied? Told from what both stores state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.checksums import etag_is_md5, hasher
from haulyard.errors import IntegrityError
from haulyard.models import GetOptions
from haulyard.transfer.compare import same_content
from haulyard.transfer.evidence import known_checksums

if TYPE_CHECKING:
    from haulyard.models import ObjectHead, PutOptions
    from haulyard.stores.base import Store

CHECKSUM: Final = "checksum"
SIZE_ONLY: Final = "size only"
_READ_BY: Final = "CRC64NVME"

#: Properties that a copy keeps, and that HEAD shows.
_KEPT: Final = (
    "content_type",
    "content_encoding",
    "content_disposition",
    "content_language",
    "cache_control",
)


def compare(source: ObjectHead, copy: ObjectHead) -> bool | None:
    """Return whether both have the same content; None where what is stated does not tell.

    Equal MD5s in ETags are of equal contents. Different ones prove nothing: some stores make ETags that only
    look like MD5s.
    """
    if source.size != copy.size:
        return False
    verdict = same_content(source.checksums, copy.checksums)
    if verdict is None and same_content(known_checksums(source), known_checksums(copy)):
        return True
    return verdict


def etags_differ(source: ObjectHead, copy: ObjectHead) -> bool:
    """Return whether both ETags look like MD5s, and are different."""
    return etag_is_md5(source) and etag_is_md5(copy) and source.etag != copy.etag


async def reads_equal(source: Store, head: ObjectHead, destination: Store, copy: ObjectHead) -> bool:
    """Read both objects and compare their contents; bound to the versions that were described."""
    return await _digest(source, head) == await _digest(destination, copy)


async def _digest(store: Store, head: ObjectHead) -> bytes:
    state = hasher(_READ_BY)
    options = GetOptions(if_match=head.etag, version_id=head.version_id)
    async with await store.get(head.key, options) as reader:
        async for chunk in reader.chunks():
            state.update(chunk)
    return state.digest()


def differs(names: tuple[str, str], copy: ObjectHead, problem: str) -> IntegrityError:
    """Return the error for a copy that is none."""
    return IntegrityError(
        f"the copy {names[1]} of {names[0]} {problem}",
        operation="verify",
        key=copy.key,
        hint="the source was not touched; apply the job again",
    )


def other_properties(expected: PutOptions, copy: ObjectHead) -> str:
    """Compare what a HEAD of the copy shows with what it was to get; return what is missing or different.

    Names of metadata are compared in lower case, as HTTP has them. ``""`` where all of it is there.
    """
    for name in _KEPT:
        wanted, found = getattr(expected, name), getattr(copy, name)
        if wanted and wanted != found:
            return f"{name.replace('_', ' ')} {found!r} instead of {wanted!r}"
    for name, value in expected.metadata.items():
        found = copy.metadata.get(name.lower())
        if found != value:
            return f"metadata {name}={found!r} instead of {value!r}"
    return ""


def lost(names: tuple[str, str], problem: str, copy: ObjectHead) -> IntegrityError:
    """Return the error for a copy that did not get the properties that it was to get."""
    return IntegrityError(
        f"the copy {names[1]} of {names[0]} has {problem}",
        operation="verify",
        key=copy.key,
        hint="the source was not touched; the destination's store may not keep all properties",
    )
