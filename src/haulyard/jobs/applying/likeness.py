"""Whether an object that is at a destination can be taken for the copy that was to be made there.

Its content has to be the same: by checksums where both stores state some that compare, else read again. So
have its properties, for with a source its properties go, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.errors import IntegrityError
from haulyard.jobs.applying import verification
from haulyard.jobs.applying.wanted import properties_of
from haulyard.stores.local import LocalStore
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.jobs.applying.wanted import Wanted
    from haulyard.jobs.ends import Ends
    from haulyard.jobs.model import Operation
    from haulyard.models import ObjectHead


class Likeness:
    """Compares objects of both ends; ``is_plain`` where one end keeps no properties."""

    def __init__(self, ends: Ends, *, is_plain: bool) -> None:
        self._source, self._destination = ends.source, ends.destination
        self._is_plain = is_plain
        self._prefix = prefix_of(ends.source)
        self._has_tags = ends.source.capabilities.tags and ends.destination.capabilities.tags
        # One bucket reached in two ways (endpoints, profiles, an access point) looks like two.
        self._may_be_one = not ends.is_one_store and may_be_one(ends)

    def refuse_itself(self, operation: Operation, head: ObjectHead, there: ObjectHead) -> None:
        """Raise IntegrityError where what is at the destination seems to be the source itself."""
        if self._may_be_one and there.key == operation.key and _looks(there) == _looks(head):
            raise IntegrityError(
                f"{self._prefix}{operation.key} seems to be its own destination: nothing was done",
                operation="copy",
                key=operation.key,
                hint="both ends may be one bucket that is reached in two ways",
            )

    async def difference(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, there: ObjectHead, *, is_ours: bool
    ) -> str:
        """Return what is different, ``""`` where nothing is.

        What is ours was written with what is not shown, or not by every store; of others' it has to be seen.
        """
        verdict = verification.compare(head, there)
        if verdict is None:
            # Nothing that is stated tells; what is in doubt is never assumed.
            verdict = await verification.reads_equal(self._source, head, self._destination, there)
        if not verdict:
            return "another content"
        if self._is_plain:
            return ""
        if problem := verification.other_properties(wanted.expected, there):
            return problem
        if await self._misses_tags(operation, head, wanted, there):
            return "other tags"
        return "" if is_ours else await self._other_settings(wanted, there)

    async def otherwise(self, operation: Operation, head: ObjectHead, there: ObjectHead) -> dict[str, Any]:
        """Return the properties of the source that what is taken for its copy has otherwise, or more of."""
        found: dict[str, Any] = {}
        if self._is_plain:
            return found
        if properties_of(head) != properties_of(there):
            found |= properties_of(head)
        if self._has_tags and (head.tag_count or there.tag_count):
            tags = dict(await self._source.get_tags(operation.key, operation.version))
            if tags != await self._tags(there.key):
                found["tags"] = tags
        return found

    async def has_all(self, wanted: Wanted, head: ObjectHead) -> bool:
        """Return whether an object is seen to have everything that its copy onto itself is to give it."""
        put = wanted.put
        if wanted.acl is not None or put.acl or put.encryption is not None:
            return False
        if put.storage_class and put.storage_class != head.storage_class:
            return False
        if verification.other_properties(wanted.expected, head):
            return False
        return not wanted.replaces_tags or await self._tags(head.key) == dict(put.tags)

    async def _misses_tags(
        self, operation: Operation, head: ObjectHead, wanted: Wanted, there: ObjectHead
    ) -> bool:
        if not self._has_tags:
            return False
        if wanted.replaces_tags:
            return await self._tags(there.key) != dict(wanted.put.tags)
        if not head.tag_count:
            return False
        needed = await self._source.get_tags(operation.key, operation.version)
        return not needed.items() <= (await self._tags(there.key)).items()

    async def _other_settings(self, wanted: Wanted, there: ObjectHead) -> str:
        put = wanted.put
        if put.storage_class and put.storage_class != there.storage_class:
            return f"the storage class {there.storage_class}"
        if put.encryption is not None and put.encryption.mode != there.encryption:
            return "another encryption"
        if wanted.acl is not None and await self._destination.get_acl(there.key) != wanted.acl:
            return "another ACL"
        return ""

    async def _tags(self, key: str) -> Mapping[str, str]:
        return dict(await self._destination.get_tags(key))


def _looks(head: ObjectHead) -> tuple[object, ...]:
    return (head.etag, head.size, head.last_modified, head.version_id)


def may_be_one(ends: Ends) -> bool:
    """Return whether two stores may hold the same objects although they are reached in different ways."""
    buckets = ends.source.bucket, ends.destination.bucket
    if isinstance(ends.source, LocalStore) or isinstance(ends.destination, LocalStore):
        return False
    return buckets[0] == buckets[1] or any(
        bucket.startswith("arn:") or bucket.endswith("-s3alias") for bucket in buckets
    )
