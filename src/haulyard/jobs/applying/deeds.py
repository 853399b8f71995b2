"""What is done with one object where nothing is copied: tags, archives, placeholders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.errors import ConfigError, HaulError, IntegrityError, NotFound, S3ArchivedError, SourceChanged
from haulyard.jobs.applying.copied import LeftAlone
from haulyard.jobs.model import ARCHIVES
from haulyard.models import GetOptions, ListOptions, PutOptions, RestoreOptions
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.jobs.applying.wanted import Wishes
    from haulyard.jobs.model import Operation
    from haulyard.models import ObjectHead
    from haulyard.stores.base import Store

_TIERING = "INTELLIGENT_TIERING"


def check_readable(store: Store, head: ObjectHead) -> None:
    """Refuse an object that has to be restored first.

    Raises:
        S3ArchivedError: It is archived, and not restored.
    """
    if (
        not (head.storage_class in ARCHIVES or head.archive_status)
        or 'ongoing-request="false"' in head.restore
    ):
        return
    raise S3ArchivedError(
        f"{prefix_of(store)}{head.key} is archived ({head.archive_status or head.storage_class})",
        operation="copy",
        bucket=store.bucket,
        key=head.key,
        hint="restore it (haul plan restore, haul restore), and apply the job again when that is done",
    )


async def check_unchanged(store: Store, operation: Operation) -> None:
    """Raise SourceChanged unless the object is what was planned."""
    # Compared here: some stores do not understand an If-Match.
    head = await store.head(operation.key, GetOptions(version_id=operation.version))
    if operation.etag and head.etag != operation.etag:
        raise SourceChanged(
            f"{prefix_of(store)}{operation.key} was replaced since the plan was made; it is kept as it is",
            operation="apply",
            key=operation.key,
            hint="haul plan --new lists again what is to be done",
        )


async def etag_now(store: Store, operation: Operation) -> str | None:
    """Return the ETag of an object that was planned without one; None where it is not there.

    An inventory may say no more of it than its size and its time, and of what is not there nothing at all.

    Raises:
        LeftAlone: It was not there when the plan was made, and is not there now.
        SourceChanged: It is not what was planned.
    """
    head = await _look(store, operation.key)
    if head is None:
        if operation.size < 0:
            raise LeftAlone("is not there")
        return None
    written = int(head.last_modified.timestamp()) if head.last_modified else 0
    if head.size != operation.size or 0 < operation.modified < written:
        raise SourceChanged(
            f"{prefix_of(store)}{operation.key} is not what the manifest says, or was missing by then; "
            "it is kept as it is",
            operation="apply",
            key=operation.key,
            hint="haul plan --new lists again what is to be done",
        )
    return head.etag


async def tags_before_and_after(store: Store, operation: Operation, wishes: Wishes) -> dict[str, Any]:
    """Return the tags that an object has and those that it is to get, as the journal keeps them.

    Raises:
        LeftAlone: They are the same.
        SourceChanged: The object is not what was planned.
        StoreError: It would have too many.
    """
    await check_unchanged(store, operation)
    old = dict(await store.get_tags(operation.key, operation.version))
    new = wishes.tags_after(operation, old)
    if new == old:
        raise LeftAlone("has these tags already")
    return {"old_tags": old, "new_tags": new}


async def are_set(store: Store, operation: Operation, details: Mapping[str, Any]) -> bool:
    """Return whether an object has its new tags, where an earlier run wrote down both.

    Raises:
        SourceChanged: It has neither the old nor the new ones, or is not what was planned.
    """
    await check_unchanged(store, operation)
    now = dict(await store.get_tags(operation.key, operation.version))
    if now not in (details["old_tags"], details["new_tags"]):
        raise SourceChanged(
            f"the tags of {prefix_of(store)}{operation.key} were changed meanwhile; they are kept",
            operation="apply",
            key=operation.key,
            hint="haul plan --new lists again what is to be done",
        )
    return bool(now == details["new_tags"])


async def restore(store: Store, operation: Operation, days: int | None, tier: str) -> None:
    """Ask for an archived object.

    Raises:
        LeftAlone: It is not archived, or was asked for already.
    """
    storage_class, archived = operation.storage_class, operation.storage_class in ARCHIVES
    if storage_class in {"", _TIERING}:
        head = await store.head(operation.key, GetOptions(version_id=operation.version))
        storage_class = head.storage_class
        archived = storage_class in ARCHIVES or bool(head.archive_status)
    if not archived:
        raise LeftAlone(f"{storage_class} is not archived")
    # What Intelligent-Tiering brings back stays, and a number of days is refused.
    wanted = RestoreOptions(None if storage_class == _TIERING else days or 1, tier, operation.version)
    if not await store.restore(operation.key, wanted):
        raise LeftAlone("restored, or under way, already")


async def place_folder(store: Store, key: str, *, ours_since: float) -> dict[str, Any]:
    """Write a placeholder, unless there is one, and see that a listing shows it.

    An empty one that is not older than ``ours_since`` (POSIX seconds) was written by an earlier run.

    Raises:
        IntegrityError: The listing does not.
    """
    details: dict[str, Any] = {"size": 0}
    there = await _look(store, key)
    if there is None:
        honoured = store.capabilities.conditional_put
        result = await store.put(key, b"", PutOptions(if_none_match="" if honoured is False else "*"))
        details |= {"etag": result.etag, "version": result.version_id}
    elif there.size == 0 and there.last_modified and there.last_modified.timestamp() >= ours_since:
        details |= {"etag": there.etag, "version": there.version_id}
    else:
        details["made"] = False
    async for page in store.list(key, ListOptions(page_size=1)):
        if any(info.key == key for info in page.objects):
            return details
    raise IntegrityError(
        f"{prefix_of(store)}{key} was written, and a listing does not show it",
        operation="apply",
        key=key,
        hint="apply the job again; if it stays so, ask whoever runs the store",
    )


async def _look(store: Store, key: str) -> ObjectHead | None:
    try:
        return await store.head(key)
    except NotFound:
        return None


class Markers:
    """Finds the delete marker of an object whose deletion did not say which one it left.

    Asks nothing more once it is seen that the bucket keeps no versions. Markers that are older than ``since``
    (POSIX seconds) are somebody else's.
    """

    def __init__(self, store: Store, since: float) -> None:
        self._store = store
        self._since = since
        self._may_be = store.capabilities.versions

    async def of(self, key: str) -> str:
        """Return the version id of the latest delete marker, ``""`` where there is none."""
        if not self._may_be:
            return ""
        try:
            return await self._find(key)
        except HaulError:
            # Listing versions is a right of its own; without it nothing more is known.
            self._may_be = False
            return ""

    async def _find(self, key: str) -> str:
        async for page in self._store.list_versions(key, ListOptions(page_size=10)):
            for version in page.versions:
                if version.key == key and version.is_marker and version.is_latest:
                    is_young = version.last_modified.timestamp() >= self._since
                    return version.version_id if is_young else ""
            if page.versions and page.versions[0].key == key:
                continue
            break
        self._may_be = False
        return ""


def check_days(days: int | None) -> None:
    """Refuse a number of days that no store takes.

    Raises:
        ConfigError: It is less than one.
    """
    if days is not None and days < 1:
        raise ConfigError("--days is at least 1", hint="write --days 7")
