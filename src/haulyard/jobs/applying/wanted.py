"""What a copy is to get: the properties of its source, those of the job, those of its rule, in this order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import StoreError
from haulyard.jobs.rules import Changes
from haulyard.jobs.rules.changes import HEADERS
from haulyard.models import PutOptions
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.jobs.ends import Ends
    from haulyard.jobs.model import Operation
    from haulyard.jobs.rules import Rules
    from haulyard.models import ObjectAcl, ObjectHead

#: ``--acl keep``: copying never keeps an ACL by itself, and new buckets have none.
KEEP_ACL: Final = "keep"
#: "Categorizing your storage using tags": tags of one object.
_MOST_TAGS: Final = 10
#: What a copy gets where nothing else is said, whatever its source has.
_DEFAULT_CLASS: Final = "STANDARD"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How one object is to be copied.

    ``put`` is what the request says, ``expected`` what a HEAD of the copy has to show, ``acl`` what is to be
    set afterwards. ``before`` is what the source has, of the properties that change, as JSON can hold it.
    """

    put: PutOptions
    replaces_metadata: bool
    replaces_tags: bool
    expected: PutOptions
    acl: ObjectAcl | None = None
    before: Mapping[str, Any] | None = None


class Wishes:
    """Works out what each copy is to get.

    ``common`` is what all of them get: what the command's flags said.
    """

    def __init__(self, ends: Ends, rules: Rules | None, common: Changes) -> None:
        self._ends = ends
        self._rules = rules
        self._common = common
        self._keeps = ends.source.capabilities.metadata and ends.destination.capabilities.metadata

    async def of(self, operation: Operation, head: ObjectHead) -> Wanted:
        """Return what the copy of one object is to get.

        ACL and tags are asked of the store where they are needed.
        """
        changes = self.changes(operation)
        put = PutOptions(storage_class=changes.storage_class, encryption=changes.encryption)
        if changes.acl not in {"", KEEP_ACL}:
            put = replace(put, acl=changes.acl)
        expected = _properties(head) if self._keeps else PutOptions()
        before: dict[str, Any] = {}
        if changes.touches_metadata:
            # S3 replaces all of them or none, so that those that stay are written again.
            headers: dict[str, Any] = {**changes.headers()}
            expected = replace(_properties(head), metadata=changes.metadata_of(head.metadata), **headers)
            put = replace(
                put, **{name: getattr(expected, name) for name in (*HEADERS, "expires", "metadata")}
            )
            before |= properties_of(head)
        if changes.touches_tags:
            tags = await self.tags(operation)
            put = replace(put, tags=self.tags_after(operation, tags))
            before["tags"] = dict(tags)
        if changes.storage_class or head.storage_class not in {"", _DEFAULT_CLASS}:
            before["storage_class"] = head.storage_class
        acl = await self._acl(operation) if changes.acl == KEEP_ACL else None
        return Wanted(put, changes.touches_metadata, changes.touches_tags, expected, acl, before)

    def changes(self, operation: Operation) -> Changes:
        """Return what flags and rule change about an object; the rule goes before the flags."""
        if self._rules is None or operation.rule < 0:
            return self._common
        own = self._rules.properties(operation.rule, operation)
        return self._common if own is None else _merged(self._common, own)

    async def tags(self, operation: Operation) -> Mapping[str, str]:
        """Return the tags of the source; none where it can have none."""
        if not self._ends.source.capabilities.tags:
            return {}
        return await self._ends.source.get_tags(operation.key, operation.version)

    def tags_after(self, operation: Operation, old: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that an object with the tags ``old`` is to have.

        Raises:
            StoreError: They are too many; other objects may have room for them.
        """
        new = self.changes(operation).tags_of(old)
        if len(new) > _MOST_TAGS:
            raise StoreError(
                f"{prefix_of(self._ends.source)}{operation.key} would have {len(new)} tags",
                operation="apply",
                key=operation.key,
                hint=f"an object has at most {_MOST_TAGS}: let the job remove or replace some",
            )
        return new

    async def _acl(self, operation: Operation) -> ObjectAcl | None:
        if not (self._ends.source.capabilities.acl and self._ends.destination.capabilities.acl):
            return None
        return await self._ends.source.get_acl(operation.key, operation.version)


def _merged(common: Changes, own: Changes) -> Changes:
    return Changes(
        storage_class=own.storage_class or common.storage_class,
        metadata={**common.metadata, **own.metadata},
        replace_metadata=own.replace_metadata or common.replace_metadata,
        tags={**common.tags, **own.tags},
        remove_tags=(*common.remove_tags, *own.remove_tags),
        replace_tags=own.replace_tags or common.replace_tags,
        encryption=own.encryption or common.encryption,
        acl=own.acl or common.acl,
        **{**common.headers(), **own.headers()},
    )


def properties_of(head: ObjectHead) -> dict[str, Any]:
    """Return the headers and metadata of an object, as JSON can hold them and `PutOptions` takes them."""
    values = {name: getattr(head, name) for name in (*HEADERS, "expires")}
    return {**{name: value for name, value in values.items() if value}, "metadata": dict(head.metadata)}


def _properties(head: ObjectHead) -> PutOptions:
    return PutOptions(
        content_type=head.content_type,
        content_encoding=head.content_encoding,
        content_disposition=head.content_disposition,
        content_language=head.content_language,
        cache_control=head.cache_control,
        expires=head.expires,
        metadata=head.metadata,
    )
