"""Finds the objects that a source argument selects, a page at a time.

Pages rather than single objects: a hop through an asynchronous generator for each of a million keys costs
more than everything else that is done with them here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import ConfigError, HaulError, NotFound
from haulyard.models import ListOptions, ObjectInfo
from haulyard.transfer.filters import ACCEPT_ALL
from haulyard.transfer.items import Item, prefix_of
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from haulyard.models import ObjectVersion
    from haulyard.stores.base import Store
    from haulyard.transfer.filters import Filter
    from haulyard.transfer.selection import Selection


#: Objects that are asked for at a time.
_HEADS: Final = 32
_NEVER: Final = datetime.fromtimestamp(0, UTC)


class Found(NamedTuple):
    """An object, and its path relative to the source (``""`` for the marker of the source itself)."""

    item: Item
    relative: str


async def find(
    store: Store, selection: Selection, filters: Filter = ACCEPT_ALL, *, version_id: str = ""
) -> AsyncIterator[list[Found]]:
    """Yield pages of the selected objects that ``filters`` accept, in the store's order.

    A single object is not asked for: its item has no size, and whoever reads it learns whether it exists
    (`explain_missing` then says more). ``version_id`` is for a single object.

    Raises:
        NotFound: A tree without an object, or a wildcard that matches none (before filtering).
        ConfigError: ``version_id`` for anything else than a single object.
    """
    if selection.kind == "object":
        found = Found(Item(selection.key, version_id=version_id), selection.key[len(selection.base) :])
        if filters.accepts(found.relative):
            yield [found]
        return
    _check_listed(selection, version_id)
    selected = selection.predicate()
    cut = len(selection.base)
    accepts = filters.accepts
    empty = True
    async for page in store.list(selection.prefix):
        objects: Iterable[ObjectInfo] = page.objects
        if selection.kind == "wildcard":
            objects = [info for info in objects if selected(info.key)]
        if not objects:
            continue
        empty = False
        found_here = [
            Found(Item.from_info(info), relative) for info in objects if accepts(relative := info.key[cut:])
        ]
        if found_here:
            yield found_here
    if empty:
        raise nothing_there(store, selection)


async def find_versions(
    store: Store, selection: Selection, filters: Filter = ACCEPT_ALL
) -> AsyncIterator[list[Found]]:
    """Yield pages of all versions and delete markers of the selected objects; each has its version id.

    Raises:
        NotFound: There is no version at all.
    """
    _check_listed(selection, "")
    selected = selection.predicate()
    whole_key = selection.key if selection.kind == "object" else None
    cut = len(selection.base)
    empty = True
    async for page in store.list_versions(selection.prefix):
        versions = [
            version
            for version in page.versions
            if (selected(version.key) if whole_key is None else version.key == whole_key)
        ]
        if not versions:
            continue
        empty = False
        found = [Found(_item_of(version), version.key[cut:]) for version in versions]
        if accepted := [each for each in found if filters.accepts(each.relative)]:
            yield accepted
    if empty:
        raise nothing_there(store, selection)


async def described(store: Store, pages: AsyncIterator[list[Found]]) -> AsyncGenerator[list[ObjectInfo]]:
    """Ask the store for sizes and times of what a manifest names, as its listing would have told them.

    An object that does not exist has the size -1: whoever reads it then will say so.

    Raises:
        ConfigError: A version is named, which listings do not know.
    """
    async for page in pages:
        yield await _described_page(store, page)


async def _described_page(store: Store, page: list[Found]) -> list[ObjectInfo]:
    infos: list[ObjectInfo] = []
    queue = iter(page)

    async def work() -> None:
        for item, _ in queue:
            infos.append(await _describe(store, item))

    await run_workers(work, min(_HEADS, len(page)))
    return infos


async def _describe(store: Store, item: Item) -> ObjectInfo:
    if item.version_id:
        raise ConfigError(
            f"{prefix_of(store)}{item.key}: the manifest names a version, and current objects are compared",
            hint="leave the versions out, or use haul cp",
        )
    try:
        head = await store.head(item.key)
    except NotFound:
        return ObjectInfo(item.key, -1, _NEVER)
    return ObjectInfo(head.key, head.size, head.last_modified or _NEVER, head.etag, head.storage_class)


def nothing_there(store: Store, selection: Selection) -> NotFound:
    """Return the error for a selection that selects nothing."""
    where = f"{prefix_of(store)}{selection.key}"
    if selection.kind == "wildcard":
        message, hint = f"nothing matches {where}", "--raw takes * and ? literally"
    elif selection.kind == "object":
        message, hint = f"{where} does not exist", ""
    else:
        message = f"there is nothing under {where}"
        hint = "" if selection.key == selection.base else "a single object is named without --recursive"
    return NotFound(message, operation="list", bucket=store.bucket, key=selection.key, hint=hint)


async def explain_missing(store: Store, key: str, error: NotFound) -> HaulError:
    """Return what to tell of a single object that was not found: maybe it is a directory or a prefix.

    Asks the store once; where that fails, ``error`` itself is all there is to tell.
    """
    try:
        async for page in store.list(key + "/", ListOptions(page_size=1)):
            if page.objects:
                return ConfigError(
                    f"{prefix_of(store)}{key} is a directory or prefix, not an object",
                    hint="add --recursive (-r), or end it in a slash for what is under it",
                )
    except HaulError:
        return error
    return error


def _check_listed(selection: Selection, version_id: str) -> None:
    if selection.kind == "manifest":
        raise ValueError("a manifest names its objects itself; read it with haulyard.transfer.manifest")
    if version_id:
        raise ConfigError(
            f"--version-id {version_id} is for a single object, and {selection.key!r} may be many",
            hint="name the object, or give key and version in a --manifest",
        )


def _item_of(version: ObjectVersion) -> Item:
    return Item(
        version.key,
        version.size,
        version.last_modified.timestamp(),
        version.etag,
        version.version_id,
        version.storage_class,
    )
