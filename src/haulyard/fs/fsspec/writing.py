"""The methods that write, copy and remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.client.cancelling import cancelled_once
from haulyard.errors import PreconditionFailed
from haulyard.fs.fsspec.errors import exists_error, os_errors
from haulyard.fs.fsspec.reading import ReadingMethods

if TYPE_CHECKING:
    from haulyard.models.body import Buffer


class WritingMethods(ReadingMethods):
    """The methods that write."""

    @os_errors
    @cancelled_once
    async def _pipe_file(self, path: str, value: Buffer, mode: str = "overwrite", **properties: Any) -> None:
        target = self._object(path)
        options = self._put_options(properties, target.key, mode)
        store = (
            await self._proved(target.bucket, target.key)
            if options.if_none_match
            else self._store(target.bucket)
        )
        try:
            await store.put(target.key, value, options)
        except PreconditionFailed as error:
            raise exists_error(path) from error
        finally:
            self._listings.forget([self._strip_protocol(path)])
