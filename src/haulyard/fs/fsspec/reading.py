"""The methods that read: whole objects, ranges of many, and files of this machine made of them."""

from __future__ import annotations

from typing import Any

from haulyard.errors import StoreError
from haulyard.fs.fsspec.errors import os_errors
from haulyard.fs.fsspec.listing import ListingMethods
from haulyard.models import ByteRange, GetOptions


class ReadingMethods(ListingMethods):
    """The methods that read."""

    @os_errors
    async def _cat_file(
        self,
        path: str,
        start: int | None = None,
        end: int | None = None,
        version_id: str | None = None,
        **_: Any,
    ) -> bytes:
        target = self._object(path, version_id)
        span = await self._span(path, start, end)
        if span is not None and span.end is not None and span.end <= span.start:
            return b""
        options = GetOptions(
            range=span,
            version_id=target.version_id,
            encryption=self._customer_key,
            want_checksum=span is None,
        )
        try:
            async with await self._store(target.bucket).get(target.key, options) as reader:
                return await reader.read()
        except StoreError as error:
            # As for any file: behind its end there is nothing.
            if error.code == "InvalidRange":
                return b""
            raise

    async def _span(self, path: str, start: int | None, end: int | None) -> ByteRange | None:
        """Return the bytes from ``start`` up to ``end``, either of which may count from the end."""
        if start is None and end is None:
            return None
        if start is not None and start < 0 and end is None:
            return ByteRange(start)
        if (start or 0) < 0 or (end or 0) < 0:
            size = (await self._info(path))["size"]
            start, end, _ = slice(start, end).indices(size)
        return ByteRange(start or 0, end)
