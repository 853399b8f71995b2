"""Deleting from a bucket: one key with an unknown fate settled, many keys each with its own outcome."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from haulyard.errors import S3Error, S3NetworkError, S3NotFound, S3PreconditionFailed, S3ServerError
from haulyard.models import DeleteOptions, DeleteOutcome
from haulyard.s3.batch import is_batchable
from haulyard.s3.faults import Verdict, verdict_of_code
from haulyard.stores.fate import ROUNDS, Pause, is_in_doubt, look, settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from haulyard.models import DeleteItem
    from haulyard.s3.client import S3Client
    from haulyard.stores.base import Capabilities

Item = TypeVar("Item")

_AT_ONCE: Final = 16
"""Calls of one `delete_many` in flight; the limiter bounds them further."""

_OPEN: Final = (S3NetworkError, S3ServerError)
"""Errors after which a delete may have been done, and that the layers leave to be looked into."""

_TRIES: Final = 10
"""Of one delete: as many as `haulyard.s3.layers.retry` makes of other requests by default."""

_ABSENT: Final = frozenset(("NoSuchKey", "NoSuchVersion"))
_AGAIN: Final = frozenset((Verdict.RETRY, Verdict.THROTTLE, Verdict.CONFLICT))


async def delete_one(
    client: S3Client, bucket: str, key: str, options: DeleteOptions, pause: Pause
) -> DeleteOutcome:
    """Delete a key or a version.

    Where the answer was lost the key is looked at before the delete is repeated: in a versioned bucket a
    second one would leave a second marker.
    """

    async def remove() -> DeleteOutcome:
        try:
            return await client.delete_object(bucket, key, options)
        except S3NotFound as error:
            if error.code not in _ABSENT:
                raise
            return DeleteOutcome(key, options.version_id)
        except S3PreconditionFailed:
            # Of an absent key some stores say that it does not match, others that it is deleted.
            if (outcome := await removed()) is None:
                raise
            return outcome

    async def removed() -> DeleteOutcome | None:
        gone = await _is_gone(client, bucket, key, options.version_id)
        return DeleteOutcome(key) if gone else None

    return await settled(remove, removed, pause, again=_OPEN, rounds=_TRIES)


async def delete_many(
    client: S3Client,
    bucket: str,
    items: Sequence[DeleteItem],
    capabilities: Capabilities,
    pause: Pause,
) -> list[DeleteOutcome]:
    """Delete any number of keys, in batches where possible, and return their outcomes in order.

    Keys with a condition go one by one until it is proved that a batch honours it: there are stores that
    ignore it there, and delete. A batch that fails as a whole fails each of its keys; raised is only what
    failed all batches.
    """
    outcomes = [DeleteOutcome(item.key, item.version_id) for item in items]
    whole: list[Exception] = []

    def fits(item: DeleteItem) -> bool:
        safe = not item.if_match or capabilities.conditional_batch_delete
        return bool(capabilities.batch_delete and safe and is_batchable(item.key))

    async def remove_batch(numbers: Sequence[int]) -> None:
        batch = [items[number] for number in numbers]
        try:
            results = await _Batch(client, bucket, batch, pause).delete()
        except S3Error as error:
            whole.append(error)
            results = [DeleteOutcome(item.key, item.version_id, error=error) for item in batch]
        for number, result in zip(numbers, results, strict=True):
            outcomes[number] = result

    async def remove_alone(number: int) -> None:
        item = items[number]
        try:
            options = DeleteOptions(version_id=item.version_id, if_match=item.if_match)
            outcomes[number] = await delete_one(client, bucket, item.key, options, pause)
        except S3Error as error:
            outcomes[number] = DeleteOutcome(item.key, item.version_id, error=error)

    batched = [number for number, item in enumerate(items) if fits(item)]
    await _each(remove_batch, _slices(batched, capabilities.max_batch_delete))
    await _each(remove_alone, (number for number, item in enumerate(items) if not fits(item)))
    if whole and all(outcome.error in whole for outcome in outcomes):
        raise whole[0]
    return outcomes


class _Batch:
    """At most 1,000 keys; those that failed for a passing reason are tried again."""

    def __init__(self, client: S3Client, bucket: str, items: Sequence[DeleteItem], pause: Pause) -> None:
        self._client = client
        self._bucket = bucket
        self._items = items
        self._pause = pause

    async def delete(self) -> list[DeleteOutcome]:
        outcomes = [DeleteOutcome(item.key, item.version_id) for item in self._items]
        pending = list(range(len(outcomes)))
        for attempt in range(1, ROUNDS + 1):
            results = await self._try([self._items[number] for number in pending])
            for number, result in zip(pending, results, strict=True):
                outcomes[number] = result
            pending = [number for number in pending if _is_passing(outcomes[number].error)]
            if not pending or attempt == ROUNDS:
                break
            await self._pause(attempt)
        return outcomes

    async def _try(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        lost: S3Error | None = None
        try:
            outcomes = await self._client.delete_objects(self._bucket, items)
        except _OPEN as error:
            if not is_in_doubt(error):
                raise
            lost = error
            outcomes = [DeleteOutcome(item.key, item.version_id, error=lost) for item in items]
        await self._find_gone(items, outcomes, lost)
        return outcomes

    async def _find_gone(
        self, items: Sequence[DeleteItem], outcomes: list[DeleteOutcome], lost: S3Error | None
    ) -> None:
        """Correct the outcomes that leave it open: what is not there any more was deleted.

        That is where the answer was lost or the store broke down over it, and where an absent key is said not
        to match its condition.
        """
        open_ones = [
            number
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome.error, S3PreconditionFailed) or (lost is not None and outcome.error is lost)
        ]

        async def look_at(number: int) -> None:
            item = items[number]
            with suppress(S3Error):
                if await _is_gone(self._client, self._bucket, item.key, item.version_id):
                    outcomes[number] = DeleteOutcome(item.key, item.version_id)

        await _each(look_at, open_ones)


async def _is_gone(client: S3Client, bucket: str, key: str, version_id: str) -> bool:
    """Whether there is no object any more; of a version HEAD cannot tell: it does not find markers either."""
    return not version_id and await look(client, bucket, key, None) is None


async def _each(work: Callable[[Item], Awaitable[None]], queue: Iterable[Item]) -> None:
    """Run ``work`` on each item of ``queue``, `_AT_ONCE` at a time; the first error ends it."""
    source = iter(queue)

    async def run() -> None:
        for item in source:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(run())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _slices(numbers: list[int], size: int) -> Iterator[list[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def _is_passing(error: Exception | None) -> bool:
    if isinstance(error, S3NetworkError):
        return True
    return isinstance(error, S3Error) and verdict_of_code(error.code) in _AGAIN
