"""The Store port: what every room above it knows of S3, a directory or a dictionary.

A store is one bucket, or one directory, or one dictionary. The docstrings are the contract;
`haulyard.testing.store_suite` is the same contract as tests, and every store passes it.

Rules that hold for every call:

- A key is what S3 calls a key: up to 1,024 bytes of UTF-8, no leading slash implied. A store that cannot
  hold a key faithfully refuses it with `UnsafeName`; it never writes under another name.
- Errors are those of `haulyard.errors`; nothing is turned into None or False.
- A call that was asked for something the store cannot do raises `Unsupported`; `capabilities` says so before.
- Cancelling a call leaves no write alive: when the cancellation is delivered, the write has either ended
  or is known to the store, which then keeps later writes of the same key waiting for its end.
- A write is atomic: readers see the old object or the new one, never a part of either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from haulyard.models import (
    CopyOptions,
    DeleteOptions,
    GetOptions,
    ListOptions,
    PartOptions,
    PutOptions,
    RestoreOptions,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from haulyard.models import (
        ByteRange,
        CopySource,
        DeleteItem,
        DeleteOutcome,
        ListPage,
        ObjectAcl,
        ObjectAttributes,
        ObjectHead,
        PartInfo,
        PutResult,
        UploadInfo,
        VersionPage,
    )
    from haulyard.models.body import Body, Buffer

GET = GetOptions()
PUT = PutOptions()
COPY = CopyOptions()
DELETE = DeleteOptions()
LIST = ListOptions()
PART = PartOptions()
RESTORE = RestoreOptions()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can do.

    For S3 these are what the protocol has; what an endpoint really honours is proved by
    `haulyard.stores.access` and replaces them. ``None`` means "not yet proved".
    """

    conditional_put: bool | None = False
    conditional_copy: bool | None = False
    conditional_delete: bool | None = False
    conditional_batch_delete: bool | None = False
    conditional_get: bool = True
    versions: bool = False
    tags: bool = False
    acl: bool = False
    metadata: bool = False
    checksums: bool | None = False
    restore: bool = False
    multipart: bool = False
    copy_part: bool = False
    batch_delete: bool = False
    presign: bool = False
    ordered_listing: bool | None = False
    max_put_size: int = 5 * 1024**3
    """Largest single put or copy, in bytes (S3: 5 GiB)."""
    min_part_size: int = 5 * 1024**2
    max_part_size: int = 5 * 1024**3
    max_parts: int = 10_000
    max_batch_delete: int = 1_000


class ObjectReader(Protocol):
    """An object (or a range of it) being read. Use it as an async context manager.

    ``head`` describes the whole object; ``range`` is what is really being read (``end`` is never None).
    A body that breaks half-way is resumed inside (same object by If-Match), so that callers see an error
    only when the store has given up or the object was replaced (`PreconditionFailed`).
    """

    head: ObjectHead
    range: ByteRange

    def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the bytes in order; IntegrityError if fewer or more come than were promised."""
        ...

    async def read(self) -> bytes:
        """Return all of it; for what is known to be small."""
        ...

    async def close(self) -> None:
        """Give up the rest; closing twice is harmless."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Store(Protocol):
    """One bucket, directory or dictionary of objects."""

    @property
    def name(self) -> str:
        """The store's own name for messages and job files, without secrets: ``s3://bucket``, ``file:///dir``."""
        ...

    @property
    def identity(self) -> str:
        """Equal for two stores that hold the same objects (endpoint and bucket, or real path)."""
        ...

    @property
    def service(self) -> str:
        """Equal for two stores between which `copy` works (one endpoint, one account), else different."""
        ...

    @property
    def bucket(self) -> str:
        """What `CopySource.bucket` must name to copy from this store: bucket or root."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What can be asked of this store."""
        ...

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        """Describe one object. Raises NotFound, PreconditionFailed."""
        ...

    async def get(self, key: str, options: GetOptions = GET) -> ObjectReader:
        """Open one object, or ``options.range`` of it, for reading.

        A range that starts behind the end of the object raises `StoreError` with code ``InvalidRange``; one
        that ends behind it is cut. An empty object answers a range from 0 with no bytes.
        """
        ...

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        """Write one object of at most ``capabilities.max_put_size`` bytes.

        Raises PreconditionFailed where ``if_match`` or ``if_none_match`` does not hold, IntegrityError where
        the bytes that arrived do not have ``options.checksum``.
        """
        ...

    async def delete(self, key: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        """Remove one object or version; an absent key counts as removed, whatever ``if_match`` says."""
        ...

    async def delete_many(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        """Remove any number of keys, ``max_batch_delete`` a call; outcomes in the order of ``items``.

        Errors of single keys are in their outcomes, those of a call that fails as a whole in the outcomes of
        all its keys; raised is only what failed every key.
        """
        ...

    async def copy(self, source: CopySource, key: str, options: CopyOptions = COPY) -> PutResult:
        """Copy inside the store (server-side), at most ``max_put_size`` bytes.

        Bound to ``source.etag`` where given: PreconditionFailed if the source was replaced.
        """
        ...

    def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        """Yield pages of the objects whose keys start with ``prefix``.

        In UTF-8 byte order where ``capabilities.ordered_listing``. Never ends early without an error.
        """
        ...

    def list_versions(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[VersionPage]:
        """Yield pages of versions and delete markers."""
        ...

    async def create_multipart(self, key: str, options: PutOptions = PUT) -> str:
        """Begin a multipart upload and return its id; the object's properties are given here."""
        ...

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Body, options: PartOptions = PART
    ) -> PartInfo:
        """Write part ``number`` (1 to ``max_parts``); writing a number again replaces the part."""
        ...

    async def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source: CopySource,
        source_range: ByteRange,
        options: PartOptions = PART,
    ) -> PartInfo:
        """Write part ``number`` from a range of an object of the store."""
        ...

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[PartInfo], options: PutOptions = PUT
    ) -> PutResult:
        """Make the object of ``parts`` (ascending numbers).

        Conditions and the checksum of the whole are in ``options``.
        """
        ...

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Give the upload up; an absent upload counts as given up."""
        ...

    def list_parts(self, key: str, upload_id: str) -> AsyncIterator[PartInfo]:
        """Yield the uploaded parts in order. Raises NotFound where the upload is unknown."""
        ...

    def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """Yield the uploads under way."""
        ...

    async def get_tags(self, key: str, version_id: str = "") -> dict[str, str]:
        """Return the object's tags."""
        ...

    async def set_tags(self, key: str, tags: Mapping[str, str], version_id: str = "") -> None:
        """Replace the object's tags; an empty mapping removes them."""
        ...

    async def get_acl(self, key: str, version_id: str = "") -> ObjectAcl:
        """Return owner and grants."""
        ...

    async def set_acl(self, key: str, acl: str | ObjectAcl, version_id: str = "") -> None:
        """Replace the ACL by a canned one (``private`` …) or by owner and grants."""
        ...

    async def restore(self, key: str, options: RestoreOptions = RESTORE) -> bool:
        """Ask for an archived object; False where a restore was under way or done already."""
        ...

    async def attributes(self, key: str, version_id: str = "") -> ObjectAttributes:
        """Return size, ETag, checksums and parts without reading the object."""
        ...

    async def presign(
        self, method: str, key: str, expires: int, put: PutOptions = PUT, version_id: str = ""
    ) -> str:
        """Return a URL that does ``method`` (GET, PUT, HEAD, DELETE) on ``key`` for ``expires`` seconds."""
        ...

    async def close(self) -> None:
        """Let go of connections and files; closing twice is harmless."""
        ...
