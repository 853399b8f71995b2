"""What is to be moved: the values between choosing (sources, filters, compare) and doing (upload …)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from haulyard.models import ObjectInfo
    from haulyard.stores.base import Store


class Item(NamedTuple):
    """One object of the source store; for a local source ``key`` is the path below the store's root.

    ``size`` in bytes and ``modified`` in POSIX seconds are -1 and 0.0 where the source did not say (a
    manifest of bare keys); ``etag`` is the store's own.
    """

    key: str
    size: int = -1
    modified: float = 0.0
    etag: str = ""
    version_id: str = ""
    storage_class: str = ""

    @classmethod
    def from_info(cls, info: ObjectInfo) -> Item:
        """Make an item of one line of a listing."""
        return cls(info.key, info.size, info.last_modified.timestamp(), info.etag, "", info.storage_class)


class Job(NamedTuple):
    """An item and the key (or path below the root) that it gets in the destination store."""

    item: Item
    destination: str


def prefix_of(store: Store) -> str:
    """Return what makes a full name of a key of ``store``: ``s3://bucket/``, or the path of a directory."""
    return store.name.removeprefix("file://").rstrip("/") + "/"


class Summary(NamedTuple):
    """What became of a run of jobs: counts, bytes and seconds; ``interrupted`` where it was stopped early."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.done or self.skipped or self.failed or self.interrupted)
