"""What a filesystem says of its files and directories, and what became of many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from haulyard.fs.cache import CacheStats
    from haulyard.models import Checksum

T = TypeVar("T")


class NodeInfo(NamedTuple):
    """A file or a directory.

    ``path`` is relative to the provider's root, without slashes at its ends; the root's is ``""``. ``size``
    is in bytes, 0 for a directory; ``modified`` an aware UTC time, None where nobody said: of a directory
    without a marker, and of a file that was just written. ``etag`` is opaque.

    A listing tells neither ``content_type`` (it is None then, as of a directory: nothing is guessed from the
    name, for the stored type may be another) nor ``metadata``, ``version_id``, ``checksums`` and
    ``encryption``, which are empty; `S3Provider.get_node_info` tells them.
    """

    path: str
    is_dir: bool = False
    size: int = 0
    modified: datetime | None = None
    etag: str = ""
    storage_class: str = ""
    content_type: str | None = None
    metadata: Mapping[str, str] = {}
    version_id: str = ""
    checksums: tuple[Checksum, ...] = ()
    encryption: str = ""

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """The path of the directory that it lies in."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class NewNode:
    """A node to be created: an empty file, or a directory.

    ``content_type`` is guessed from the path unless given; a directory has none of the last three.
    """

    path: str
    is_dir: bool = False
    content_type: str = ""
    metadata: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one item of a batch: its value, or the error that kept it from having one."""

    path: str
    value: T | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.error is None

    def unwrap(self) -> T:
        """Return the value.

        Raises:
            Exception: The error, where there is one instead.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # what has no error has the value of its call


class StorageStats(NamedTuple):
    """What lies below the provider's root: files, their bytes as stored, and both by storage class.

    ``markers`` are the objects that stand for directories.
    """

    files: int
    bytes: int
    markers: int
    by_class: Mapping[str, tuple[int, int]]


class Relocated(NamedTuple):
    """What was copied or moved: to which path, how many files and bytes.

    ``job`` is the name of a directory's job, ``""`` for a file; ``etag`` and ``version_id`` are the file's.
    """

    path: str
    files: int
    bytes: int
    job: str = ""
    etag: str = ""
    version_id: str = ""


class FileVersion(NamedTuple):
    """A version of a file, or the marker of its deletion (``is_marker``, size 0)."""

    path: str
    version_id: str
    is_latest: bool
    is_marker: bool
    size: int
    modified: datetime
    etag: str = ""
    storage_class: str = "STANDARD"


class Cleaned(NamedTuple):
    """What `cleanup` did: entries of the cache forgotten, unfinished uploads given up (their paths)."""

    entries: int
    uploads: tuple[str, ...] = ()


class OperationStats(NamedTuple):
    """How often a method was called and failed, and how many seconds half, 95 % and 99 % did not exceed."""

    calls: int
    errors: int
    p50: float
    p95: float
    p99: float


class RequestFailed(NamedTuple):
    """A request that S3 answered with an error, with what AWS's support asks for."""

    operation: str
    key: str
    status: int
    code: str
    request_id: str


class ProviderMetrics(NamedTuple):
    """What a provider did so far.

    ``operations`` are its methods, ``errors`` the errors that they raised by their classes. ``requests`` are
    those to S3 by operation; ``failed`` the last of them that were answered with an error, newest last.
    ``retries`` and ``throttled`` count attempts that were made again, and answers that asked to slow down.
    """

    operations: Mapping[str, OperationStats]
    errors: Mapping[str, int]
    requests: Mapping[str, OperationStats]
    failed: tuple[RequestFailed, ...]
    retries: int
    throttled: int
    bytes_sent: int
    bytes_received: int
    cache: CacheStats
