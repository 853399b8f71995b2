"""What is to be said of a source that is not there, or may not be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError, HaulError, NotFound, S3Error, StoreError
from haulyard.models import ByteRange, GetOptions, ListOptions
from haulyard.transfer.items import prefix_of
from haulyard.transfer.sources import explain_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.stores.base import Store
    from haulyard.transfer.selection import Selection

#: Names that are told of many.
TOLD: Final = 5
#: Keys that are looked at for the one that was meant: a page of a listing.
_NEIGHBOURS: Final = 1000


async def explained(store: Store, selection: Selection, error: StoreError, version_id: str = "") -> HaulError:
    """Return what to tell of ``error``, which came when files were looked for: with its reason, and a hint.

    Of what is not there the hint names the nearest that is.
    """
    error = await _with_reason(store, error, version_id)
    if not isinstance(error, NotFound) or error.code == "NoSuchBucket" or selection.kind == "manifest":
        # What a manifest names was meant, and the manifest itself lies somewhere else.
        return error
    if selection.kind == "object":
        told = await explain_missing(store, selection.key, error)
        if isinstance(told, ConfigError):
            told.hint = "end it in a slash, or add recursive=True, for what is under it"
            return told
    try:
        meant, near = await _neighbours(store, selection.prefix)
    except HaulError as denied:
        # Who may not list still learns what is missing.
        return denied if isinstance(denied, NotFound) else error
    parent = meant.rstrip("/")
    parent = parent[: parent.rfind("/") + 1]
    names = [each[len(parent) :] for each in near]
    nearest = did_you_mean(prefix_of(store) + parent, meant[len(parent) :], names)
    if selection.kind == "object":
        error.hint = nearest or error.hint
    else:
        is_named = selection.kind == "tree" and selection.key != selection.base
        error.hint = nearest or ("a single object is named without recursive=True" if is_named else "")
    return error


async def _with_reason(store: Store, error: StoreError, version_id: str) -> StoreError:
    """Return the error of a GET for that of a HEAD, whose answer has no body: a missing bucket is told there.

    Why a HEAD is refused, the client has asked already.
    """
    is_of_head = isinstance(error, S3Error) and error.operation == "HeadObject"
    if not (is_of_head and isinstance(error, NotFound)):
        return error
    options = GetOptions(range=ByteRange(0, 1), version_id=version_id)
    try:
        async with await store.get(error.key, options):
            return error
    except StoreError as told:
        return told


async def _neighbours(store: Store, key: str) -> tuple[str, list[str]]:
    """Return the part of ``key`` that does not exist although what it lies in does, and what lies beside it.

    A directory that does not exist either is looked for in the one above, and so on up.
    """
    options = ListOptions(delimiter="/", page_size=_NEIGHBOURS)
    meant = key
    while True:
        parent = meant.rstrip("/")
        parent = parent[: parent.rfind("/") + 1]
        async for page in store.list(parent, options):
            near = [*(info.key for info in page.objects), *page.prefixes]
            if near or not parent:
                return meant, near
            break
        else:
            if not parent:
                return meant, []
        meant = parent


def did_you_mean(parent: str, name: str, others: Sequence[str]) -> str:
    """Return which of ``others`` in ``parent`` may be meant by ``name``, or some of them."""
    import difflib  # 3 ms that only mistakes pay

    if near := difflib.get_close_matches(name, others, 3, 0.6):
        return f"the nearest that exist: {', '.join(parent + each for each in near)}"
    if not others:
        return ""
    more = f" and {len(others) - TOLD} more" if len(others) > TOLD else ""
    return f"beside it: {', '.join(parent + each for each in others[:TOLD])}{more}"


def siblings(path: str) -> list[str]:
    """Return the names beside a local path."""
    try:
        return sorted(os.listdir(os.path.dirname(path) or "."))
    except OSError:
        return []
