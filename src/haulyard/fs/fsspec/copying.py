"""The methods that copy and move inside the store: no byte passes through this machine."""

from __future__ import annotations

from glob import has_magic
from typing import TYPE_CHECKING, Any, Final, cast

from fsspec.asyn import sync_wrapper

from haulyard.client.cancelling import cancelled_once
from haulyard.errors import NotFound, SourceChanged
from haulyard.events import ignore
from haulyard.fs.fsspec.entries import etag_of
from haulyard.fs.fsspec.errors import os_errors
from haulyard.fs.fsspec.options import put_of, written_properties
from haulyard.fs.fsspec.removing import RemovingMethods
from haulyard.transfer.copy import Copier
from haulyard.transfer.items import Item, Job
from haulyard.transfer.removal import then_remove

if TYPE_CHECKING:
    from haulyard.events import TransferDone
    from haulyard.fs.fsspec.base import Target
    from haulyard.fs.fsspec.entries import Entry

#: Properties that a copy takes all from its source, or none.
_REPLACED_TOGETHER: Final = frozenset(
    (
        "cache_control",
        "content_disposition",
        "content_encoding",
        "content_language",
        "content_type",
        "expires",
        "metadata",
        "website_redirect",
    )
)
#: What a copy never takes from its source.
_NEVER_COPIED: Final = frozenset(
    ("acl", "grants", "sse", "sse_bucket_key", "sse_customer_key", "sse_kms_key_id", "storage_class")
)


class CopyingMethods(RemovingMethods):
    """The methods that copy and move."""

    async def _copy(
        self,
        path1: str | list[str],
        path2: str | list[str],
        recursive: bool = False,
        on_error: str | None = None,
        maxdepth: int | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy objects. What is copied, and whether into a directory, is asked of the store."""
        self._ask_anew(path1, path2)
        await super()._copy(path1, path2, recursive, on_error, maxdepth, batch_size, listed=True, **kwargs)

    @os_errors
    @cancelled_once
    async def _cp_file(
        self,
        path1: str,
        path2: str,
        moving: list[str] | None = None,
        *,
        listed: bool = False,
        **properties: Any,
    ) -> None:
        """Copy an object; ``listed`` says that what is remembered of it was asked for this copy."""
        source, target = self._object(path1), self._object(path2)
        name = self._strip_protocol(path1)
        known = None if source.version_id else self._listings.entry(name)
        if known is not None and known["type"] == "directory":
            # An expanded tree has its directories in it, which come into being with what they hold.
            if listed:
                return
            # There may be an object of that name by now.
            known = None
        if moving is not None:
            moving.append(name)
        try:
            await self._copied(source, target, known, moving=moving is not None, **properties)
        except NotFound:
            below = f"{name}/"
            # Whatever was below it may have been moved by now.
            if any(each.startswith(below) for each in moving or ()) or await self._is_prefix(source):
                return
            raise
        except SourceChanged:
            if known is None:
                raise
            # What was remembered of it may be older than what there is.
            await self._copied(source, target, None, moving=moving is not None, **properties)
        finally:
            self._forget(path1, path2)

    async def _copied(
        self, source: Target, target: Target, known: Entry | None, *, moving: bool, **properties: Any
    ) -> TransferDone:
        """Copy one object inside the store, in one request or in parts, and remove it where it is moved."""
        named = written_properties(properties, "the call")
        put = put_of({**{k: v for k, v in self._given.written.items() if k in _NEVER_COPIED}, **named})
        options = self._transfer_options(
            put, replace_metadata=bool(named.keys() & _REPLACED_TOGETHER), replace_tags="tags" in named
        )
        origin, store = self._store(source.bucket), self._store(target.bucket)
        size, etag = (known["size"], etag_of(known)) if known else (-1, "")
        job = Job(Item(source.key, size, 0.0, etag, source.version_id), target.key)
        copy: Any = Copier(origin, store, options, ignore)
        if moving:
            copy = then_remove(copy, origin, store, options, ignore)
        return cast("TransferDone", await copy(job))

    async def _mv(
        self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any
    ) -> None:
        """Move objects: each is deleted once its own copy is there, and only while it is what was copied."""
        if self._strip_protocol(path1) == self._strip_protocol(path2):
            return
        moved: list[str] = []
        await self._copy(
            path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise", moving=moved, **kwargs
        )
        if recursive and maxdepth is None and isinstance(path1, str) and not has_magic(path1):
            # What stood for directories goes with the last of what was in them.
            target = self._target(self._strip_protocol(path1))
            left = [key async for key in self._keys_below(target)]
            if all(key.endswith("/") for key in left):
                await self._delete(target.bucket, left)
                await self._sweep(target, [self._target(each).key for each in moved])

    async def _mv_file(self, path1: str, path2: str, **properties: Any) -> None:
        await self._cp_file(path1, path2, moving=[], **properties)

    mv = sync_wrapper(_mv)
