"""DeleteObjects: up to 1,000 keys in one call, each with an outcome of its own.

Signatures::

    delete_objects(bucket, items, *, quiet=True, bypass_governance=False) -> Request    raises ConfigError
    parse_delete_objects(request, body, items) -> list[DeleteOutcome]                  in the items' order
    is_batchable(key) -> bool
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.models.objects import DeleteOutcome
from haulyard.s3.checksums import content_md5, crc32_header
from haulyard.s3.faults import key_error
from haulyard.s3.headers import quote_etag
from haulyard.s3.request import Request
from haulyard.s3.xml import BadXml, Element, document, expressible, leaf, parse, succeeded_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.models.options import DeleteItem

#: "DeleteObjects": keys in one call.
MAX_KEYS = 1000

_ROOT = "DeleteResult"
_QUIET = "<Quiet>true</Quiet>"
_deleted = succeeded_as(_ROOT)
# What is not there is deleted.
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion"})


def is_batchable(key: str) -> bool:
    """Return whether a batch can carry the key; XML has no control characters, DeleteObject takes them."""
    return expressible(key)


def delete_objects(
    bucket: str, items: Sequence[DeleteItem], *, quiet: bool = True, bypass_governance: bool = False
) -> Request:
    """Delete 1 to 1,000 keys or versions.

    ``quiet`` leaves what was deleted out of the answer, and with it the ids of new delete markers. It is
    repeatable where each item names a version: without, a second try could leave second markers.

    Raises:
        ConfigError: no items, more than `MAX_KEYS`, or a key that is not batchable.
    """
    if not 1 <= len(items) <= MAX_KEYS:
        raise ConfigError(f"a batch of {len(items)} keys", hint=f"a batch has 1 to {MAX_KEYS} keys")
    try:
        body = document("Delete", (_QUIET if quiet else "") + "".join(map(_object_element, items)))
    except BadXml:
        odd = next(item.key for item in items if not is_batchable(item.key))
        raise ConfigError(
            f"key {odd!r} holds control characters, which a batch cannot carry", hint="delete it by itself"
        ) from None
    headers = {
        "content-type": "application/xml",
        # Older stores want Content-MD5, newer ones only know the checksum headers.
        "content-md5": content_md5(body),
        **crc32_header(body),
    }
    if bypass_governance:
        headers["x-amz-bypass-governance-retention"] = "true"
    return Request(
        "DeleteObjects",
        "POST",
        bucket,
        query=(("delete", ""),),
        headers=headers,
        body=body,
        kind="delete",
        repeatable=all(item.version_id and not item.if_match for item in items),
        classify=_deleted,
    )


def _object_element(item: DeleteItem) -> str:
    inner = leaf("Key", item.key)
    if item.version_id:
        inner += leaf("VersionId", item.version_id)
    if item.if_match:
        inner += leaf("ETag", quote_etag(item.if_match))
    return f"<Object>{inner}</Object>"


def parse_delete_objects(request: Request, body: bytes, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
    """Return the outcome of each item, in their order.

    An item is deleted if the answer lists it as deleted or absent, or, in quiet mode, does not list it at
    all. An answer about a key that was not asked for means some item that we cannot name: then nothing
    counts as deleted that is not listed as such.
    """
    try:
        root = parse(body, _ROOT)
    except BadXml as bad:
        return _all_failed(request, items, f"the answer {bad}")
    failed = _by_key(root.all("Error"))
    deleted = _by_key(root.all("Deleted"))
    asked = {item.key for item in items}
    is_quiet = isinstance(request.body, bytes) and _QUIET.encode() in request.body
    trusted = is_quiet and failed.keys() <= asked and deleted.keys() <= asked
    outcomes = []
    for item in items:
        error = _find(failed, item)
        if error is not None:
            outcomes.append(_failed(request, item, error))
            continue
        entry = _find(deleted, item)
        if entry is None and not trusted:
            outcomes += _all_failed(request, [item], "the answer does not account for it")
        elif entry is not None and entry.value("DeleteMarker") == "true":
            marker = entry.value("DeleteMarkerVersionId")
            outcomes.append(
                DeleteOutcome(item.key, item.version_id, is_marker=True, marker_version_id=marker)
            )
        else:
            outcomes.append(DeleteOutcome(item.key, item.version_id))
    return outcomes


def _by_key(entries: list[Element]) -> dict[str, dict[str, Element]]:
    found: dict[str, dict[str, Element]] = {}
    for entry in entries:
        found.setdefault(entry.value("Key"), {})[entry.value("VersionId")] = entry
    return found


def _find(entries: dict[str, dict[str, Element]], item: DeleteItem) -> Element | None:
    """Return what is said of an item: by its version, else by its key alone.

    Some stores leave the version out, or name it where none was asked for.
    """
    versions = entries.get(item.key)
    if versions is None:
        return None
    exact = versions.get(item.version_id) or versions.get("")
    return exact if exact is not None or item.version_id else next(iter(versions.values()))


def _failed(request: Request, item: DeleteItem, entry: Element) -> DeleteOutcome:
    code = entry.value("Code")
    if code in _ABSENT:
        return DeleteOutcome(item.key, item.version_id)
    error = key_error(request, item.key, code, entry.value("Message"))
    return DeleteOutcome(item.key, item.version_id, error=error)


def _all_failed(request: Request, items: Sequence[DeleteItem], reason: str) -> list[DeleteOutcome]:
    return [
        DeleteOutcome(item.key, item.version_id, error=key_error(request, item.key, "InternalError", reason))
        for item in items
    ]
