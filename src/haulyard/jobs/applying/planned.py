"""Whether a source is what the plan says: only that is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import NotFound, SourceChanged
from haulyard.models import GetOptions
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from haulyard.errors import HaulError
    from haulyard.jobs.model import Operation
    from haulyard.models import ObjectHead
    from haulyard.stores.base import Store


class Planned:
    """Describes the sources in ``store``; ``since`` is when the job began, in POSIX seconds."""

    def __init__(self, store: Store, since: float) -> None:
        self._store = store
        self._since = since
        self._prefix = prefix_of(store)

    async def describe(self, operation: Operation, *, may_be_younger: bool) -> ObjectHead:
        """Describe a source.

        ``may_be_younger`` says that an earlier run may have copied it onto itself: then it may have another
        ETag, if it is not older than the job. Doing that again is harmless.

        Raises:
            SourceChanged: It is not what was planned.
        """
        try:
            head = await self._store.head(operation.key, GetOptions(version_id=operation.version))
        except NotFound as error:
            raise SourceChanged(
                f"{self._prefix}{operation.key} is gone since the plan was made",
                operation="copy",
                key=operation.key,
                hint="somebody else moved or deleted it; haul plan --new lists again",
            ) from error
        if 0 <= operation.size != head.size:
            raise self._replaced(operation)
        if operation.etag and head.etag != operation.etag and not (may_be_younger and self._is_young(head)):
            raise self._replaced(operation)
        return head

    async def check(self, operation: Operation, head: ObjectHead, error: HaulError) -> None:
        """Raise SourceChanged, because of ``error``, where the source is not what ``head`` describes."""
        try:
            now = await self._store.head(operation.key, GetOptions(version_id=operation.version))
        except NotFound:
            raise self._replaced(operation) from error
        if now.etag != head.etag:
            raise self._replaced(operation) from error

    def _is_young(self, head: ObjectHead) -> bool:
        return head.last_modified is not None and head.last_modified.timestamp() >= self._since

    def _replaced(self, operation: Operation) -> SourceChanged:
        return SourceChanged(
            f"{self._prefix}{operation.key} was replaced since the plan was made; it is kept as it is",
            operation="copy",
            key=operation.key,
            hint="haul plan --new lists again what is to be done",
        )
