"""Stores in memory at which something happens between two calls, or that ignore what they are told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from haulyard.models import CopyOptions, CopySource, DeleteOptions
from haulyard.stores.base import COPY, DELETE, PUT
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from haulyard.models import DeleteItem, DeleteOutcome, PartInfo, PutOptions, PutResult
    from haulyard.models.body import Body


class MeddledStore(MemoryStore):
    """Calls ``before`` with the name of each call and its key, and ``after`` likewise; both may raise."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.before: Callable[[str, str], None] = lambda _name, _key: None
        self.after: Callable[[str, str], None] = lambda _name, _key: None
        self.calls: list[tuple[str, str]] = []


def _meddled(name: str) -> Callable[..., Any]:
    async def call(self: MeddledStore, key: Any, *arguments: Any, **named: Any) -> Any:
        # A copy is known by its destination, a batch by its first key.
        told = str(arguments[0] if name == "copy" else key[0].key if name == "delete_many" else key)
        self.calls.append((name, told))
        self.before(name, told)
        result = await getattr(MemoryStore, name)(self, key, *arguments, **named)
        self.after(name, told)
        return result

    return call


for _name in (
    *("head", "get", "put", "delete", "delete_many", "copy", "get_tags", "set_tags", "set_acl"),
    *("copy_part", "complete_multipart"),
):
    setattr(MeddledStore, _name, _meddled(_name))


class CarelessStore(MeddledStore):
    """Accepts conditions, ignores them, and acts: as some stores do."""

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        """Write, whatever is there."""
        return await super().put(key, body, replace(options, if_match="", if_none_match=""))

    async def copy(self, source: CopySource, key: str, options: CopyOptions = COPY) -> PutResult:
        """Copy whatever the source is, over whatever is there."""
        put = replace(options.put, if_match="", if_none_match="")
        return await super().copy(replace(source, etag=""), key, replace(options, put=put))

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[PartInfo], options: PutOptions = PUT
    ) -> PutResult:
        """Complete over whatever is there."""
        options = replace(options, if_match="", if_none_match="")
        return await super().complete_multipart(key, upload_id, parts, options)

    async def delete(self, key: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        """Delete whatever it is."""
        return await super().delete(key, DeleteOptions(options.version_id))

    async def delete_many(self, items: Sequence[DeleteItem]) -> list[DeleteOutcome]:
        """Delete whatever they are."""
        return await super().delete_many([replace(item, if_match="") for item in items])


#: What is proved of such a store.
CARELESS = {
    "conditional_put": False,
    "conditional_copy": False,
    "conditional_delete": False,
    "conditional_batch_delete": False,
}
#: What is known of a store where nothing could be proved.
UNPROVED = dict.fromkeys(CARELESS)
