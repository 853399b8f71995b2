"""What callers ask of stores, one value for each kind of call.

Every field has the default "do not ask"; a store that cannot do what was asked says so
(`haulyard.errors.Unsupported`) rather than ignoring it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from haulyard.models.objects import ByteRange, Checksum


class Secret:
    """Bytes that never show themselves: not in ``repr``, not in an error, not in JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the bytes; call this only where they are put on the wire."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Encryption:
    """Server-side encryption.

    ``mode`` is ``AES256`` (SSE-S3), ``aws:kms``, ``aws:kms:dsse`` or ``SSE-C``. ``customer_key`` is the 32
    bytes of an SSE-C key; it goes with every read and write of the object.
    """

    mode: str
    kms_key_id: str = ""
    kms_context: str = ""
    bucket_key: bool | None = None
    customer_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class GetOptions:
    """How to read (GET or HEAD) one object."""

    range: ByteRange | None = None
    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None
    version_id: str = ""
    part_number: int = 0
    encryption: Encryption | None = None
    want_checksum: bool = True


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How to write one object, in one piece or in parts.

    ``checksum`` is the content's, computed beforehand; ``checksum_algorithm`` asks the store's client to
    compute it (``""`` leaves it to the client's default, ``"none"`` sends none). ``if_none_match="*"``
    creates only. ``acl`` is a canned ACL, ``grants`` maps ``x-amz-grant-*`` suffixes (``read``,
    ``full-control`` …) to grantees.
    """

    content_type: str = ""
    content_encoding: str = ""
    content_disposition: str = ""
    content_language: str = ""
    cache_control: str = ""
    expires: str = ""
    website_redirect: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    acl: str = ""
    grants: Mapping[str, str] = field(default_factory=dict)
    encryption: Encryption | None = None
    checksum: Checksum | None = None
    checksum_algorithm: str = ""
    checksum_kind: str = ""
    if_match: str = ""
    if_none_match: str = ""


@dataclass(frozen=True, slots=True)
class CopySource:
    """What to copy from: an object of the same kind of store, maybe in another bucket."""

    bucket: str
    key: str
    version_id: str = ""
    etag: str = ""
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How to copy inside the store.

    ``replace_metadata`` False keeps content type, metadata and the like of the source (``put`` then gives
    only storage class, ACL, encryption and conditions on the destination), True takes all from ``put``.
    ``replace_tags`` likewise. The copy is bound to ``CopySource.etag`` where that is given.
    """

    put: PutOptions = field(default_factory=PutOptions)
    replace_metadata: bool = False
    replace_tags: bool = False


@dataclass(frozen=True, slots=True)
class PartOptions:
    """How to write one part; an SSE-C upload needs its key with each of them."""

    checksum: Checksum | None = None
    checksum_algorithm: str = ""
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete one object; ``if_match`` needs `Capabilities.conditional_delete`."""

    version_id: str = ""
    if_match: str = ""
    bypass_governance: bool = False


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """One key of a batch delete; ``if_match`` needs `Capabilities.conditional_batch_delete`."""

    key: str
    version_id: str = ""
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How to list.

    ``delimiter`` folds what lies below it into prefixes; ``start_after`` is a key (exclusive);
    ``page_size`` is at most 1,000 on S3.
    """

    delimiter: str = ""
    start_after: str = ""
    page_size: int = 1000
    fetch_owner: bool = False


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How to bring an archived object back: for ``days`` (None for Intelligent-Tiering), at which tier.

    ``tier`` is ``Standard``, ``Bulk`` or ``Expedited``.
    """

    days: int | None = 1
    tier: str = "Standard"
    version_id: str = ""
