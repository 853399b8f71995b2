"""What a `haulyard.stores.memory.MemoryStore` holds: versions of objects, and uploads under way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from haulyard.checksums import compute
from haulyard.errors import NotFound, StoreError
from haulyard.models import ObjectHead, ObjectInfo, ObjectVersion, PartInfo
from haulyard.stores.acl import acl_of, canned_acl
from haulyard.stores.bodies import check_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from haulyard.models import Checksum, ObjectAcl, PutOptions

KIND = "memory"
DEFAULT_CHECKSUM = "CRC64NVME"  # as S3 does, whatever the client sent


@dataclass(slots=True)
class Version:
    """One version of an object, or a delete marker."""

    head: ObjectHead
    modified: datetime
    data: bytes
    acl: ObjectAcl
    tags: dict[str, str] = field(default_factory=dict)
    parts: tuple[PartInfo, ...] = ()
    is_marker: bool = False


class Versions:
    """The versions of all keys, newest last; one each unless ``kept``."""

    def __init__(self, clock: Callable[[], datetime], *, kept: bool) -> None:
        self._clock = clock
        self._kept = kept
        self._history: dict[str, list[Version]] = {}
        self._serial = count(1)

    def current(self, key: str) -> Version | None:
        """Return the object as it is now; None where there is none, or a marker on top."""
        history = self._history.get(key)
        return None if not history or history[-1].is_marker else history[-1]

    def find(self, key: str, version_id: str, operation: str) -> Version:
        """Return the current or the named version; NotFound if it is absent or a marker."""
        if version_id:
            named = (
                version for version in self._history.get(key, ()) if version.head.version_id == version_id
            )
            found = next(named, None)
        else:
            found = self.current(key)
        if found is None or found.is_marker:
            raise not_found(f"{key} {version_id}".rstrip(), operation, key)
        return found

    def add(
        self,
        key: str,
        data: bytes,
        etag: str,
        checksums: tuple[Checksum, ...],
        options: PutOptions,
        parts: tuple[PartInfo, ...] = (),
    ) -> ObjectHead:
        """Make ``data`` the current version of ``key``."""
        now = self._clock()
        head = ObjectHead(
            key,
            len(data),
            now,
            etag,
            content_type=options.content_type,
            content_encoding=options.content_encoding,
            content_disposition=options.content_disposition,
            content_language=options.content_language,
            cache_control=options.cache_control,
            expires=options.expires,
            metadata={name.lower(): value for name, value in options.metadata.items()},
            storage_class=options.storage_class or "STANDARD",
            version_id=self._new_id(),
            checksums=checksums,
            tag_count=len(options.tags),
            parts_count=len(parts),
        )
        acl = acl_of(options.acl, options.grants)
        self._push(key, Version(head, now, data, acl, dict(options.tags), parts))
        return head

    def bury(self, key: str) -> str:
        """Remove the current version: put a marker on top and return its id, or forget it if not kept."""
        if not self._kept:
            self._history.pop(key, None)
            return ""
        now = self._clock()
        head = ObjectHead(key, 0, now, "", version_id=self._new_id())
        self._push(key, Version(head, now, b"", canned_acl("private"), is_marker=True))
        return head.version_id

    def drop(self, key: str, version_id: str) -> Version | None:
        """Remove one version for good and return it; None if there was none."""
        history = self._history.get(key, [])
        for index, version in enumerate(history):
            if version.head.version_id == version_id:
                del history[index]
                if not history:
                    del self._history[key]
                return version
        return None

    def objects(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        """Yield the current objects in the order of their keys."""
        for key in self._keys(prefix, start_after):
            if version := self.current(key):
                head = version.head
                algorithms = tuple(checksum.algorithm for checksum in head.checksums)
                yield ObjectInfo(key, head.size, version.modified, head.etag, head.storage_class, algorithms)

    def all(self, prefix: str, start_after: str) -> Iterator[ObjectVersion]:
        """Yield all versions and markers, those of a key newest first."""
        for key in self._keys(prefix, start_after):
            history = self._history[key]
            for version in reversed(history):
                head = version.head
                yield ObjectVersion(
                    key,
                    head.version_id or "null",
                    version is history[-1],
                    version.is_marker,
                    head.size,
                    version.modified,
                    head.etag,
                    head.storage_class,
                )

    def _keys(self, prefix: str, start_after: str) -> list[str]:
        # Code points compare as their UTF-8 bytes do.
        return sorted(key for key in self._history if key.startswith(prefix) and key > start_after)

    def _push(self, key: str, version: Version) -> None:
        if self._kept:
            self._history.setdefault(key, []).append(version)
        else:
            self._history[key] = [version]

    def _new_id(self) -> str:
        return f"v{next(self._serial)}" if self._kept else ""


@dataclass(slots=True)
class Upload:
    """A multipart upload under way: its parts by number, with their bytes."""

    key: str
    options: PutOptions
    initiated: datetime
    parts: dict[int, tuple[PartInfo, bytes]] = field(default_factory=dict)

    def add(self, number: int, data: bytes, checksum: Checksum | None, now: datetime) -> PartInfo:
        """Write part ``number``, or write it again."""
        part = PartInfo(number, md5(data).hexdigest(), len(data), checksum, now)
        self.parts[number] = (part, data)
        return part

    def assemble(self, parts: Sequence[PartInfo], min_size: int) -> tuple[bytes, str, tuple[PartInfo, ...]]:
        """Return content, ETag and parts of the object that ``parts`` make."""
        stored = []
        for part in parts:
            found = self.parts.get(part.number)
            if found is None or found[0].etag != part.etag.strip('"'):
                raise self._invalid("InvalidPart", f"part {part.number} was not uploaded, or replaced since")
            stored.append(found)
        numbers = [part.number for part in parts]
        if not numbers or numbers != sorted(set(numbers)):
            raise self._invalid("InvalidPartOrder", "the parts are not in ascending order")
        if any(part.size < min_size for part, _ in stored[:-1]):
            raise self._invalid("EntityTooSmall", f"a part other than the last has under {min_size} bytes")
        digests = b"".join(md5(data).digest() for _, data in stored)
        etag = f"{md5(digests).hexdigest()}-{len(stored)}"
        return b"".join(data for _, data in stored), etag, tuple(part for part, _ in stored)

    def _invalid(self, code: str, reason: str) -> StoreError:
        return StoreError(
            f"{self.key}: {reason}", store=KIND, operation="complete_multipart", key=self.key, code=code
        )


def md5(data: bytes) -> hashlib._Hash:
    """Return the digest that S3's ETags are made of; it protects nothing."""
    return hashlib.md5(data, usedforsecurity=False)


def checksum_of_content(data: bytes, expected: Checksum | None, algorithm: str, key: str) -> Checksum | None:
    """Return the checksum to keep of ``data``; IntegrityError if it is not the ``expected`` one."""
    name = expected.algorithm if expected else algorithm or DEFAULT_CHECKSUM
    actual = None if name == "none" else compute(name, data)
    check_content(expected, actual, store=KIND, key=key)
    return actual


def not_found(what: str, operation: str, key: str) -> NotFound:
    """Return the error for an object, version or upload that is not there."""
    return NotFound(f"{what}: no such thing in this store", store=KIND, operation=operation, key=key)
