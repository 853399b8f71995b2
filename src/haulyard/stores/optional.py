"""The part of the port that not every store has, refused: a store replaces what it can do."""

# ruff: noqa: ARG002 -- the signatures are the port's

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import Unsupported
from haulyard.stores.base import LIST, PART, PUT, RESTORE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from haulyard.models import (
        ByteRange,
        CopySource,
        ListOptions,
        ObjectAcl,
        PartInfo,
        PartOptions,
        PutOptions,
        PutResult,
        RestoreOptions,
        UploadInfo,
        VersionPage,
    )
    from haulyard.models.body import Body


def unsupported(store: str, operation: str, key: str = "", what: str = "") -> Unsupported:
    """Return the error of a ``store`` that cannot do ``operation``, or not with ``what``."""
    asked = f"{operation} with {what}" if what else operation
    return Unsupported(
        f"a {store} store has no {asked}",
        store=store,
        operation=operation,
        key=key,
        hint="Store.capabilities tells beforehand what a store can do.",
    )


class OptionalOperations:
    """Raises Unsupported for every operation that a capability announces."""

    kind = "plain"

    def list_versions(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[VersionPage]:
        """Refuse: there are no versions."""
        raise unsupported(self.kind, "list_versions")

    async def create_multipart(self, key: str, options: PutOptions = PUT) -> str:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "create_multipart", key)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Body, options: PartOptions = PART
    ) -> PartInfo:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "put_part", key)

    async def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source: CopySource,
        source_range: ByteRange,
        options: PartOptions = PART,
    ) -> PartInfo:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "copy_part", key)

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[PartInfo], options: PutOptions = PUT
    ) -> PutResult:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "complete_multipart", key)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "abort_multipart", key)

    def list_parts(self, key: str, upload_id: str) -> AsyncIterator[PartInfo]:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "list_parts", key)

    def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """Refuse: there are no multipart uploads."""
        raise unsupported(self.kind, "list_uploads")

    async def get_tags(self, key: str, version_id: str = "") -> dict[str, str]:
        """Refuse: there are no tags."""
        raise unsupported(self.kind, "get_tags", key)

    async def set_tags(self, key: str, tags: Mapping[str, str], version_id: str = "") -> None:
        """Refuse: there are no tags."""
        raise unsupported(self.kind, "set_tags", key)

    async def get_acl(self, key: str, version_id: str = "") -> ObjectAcl:
        """Refuse: there are no ACLs."""
        raise unsupported(self.kind, "get_acl", key)

    async def set_acl(self, key: str, acl: str | ObjectAcl, version_id: str = "") -> None:
        """Refuse: there are no ACLs."""
        raise unsupported(self.kind, "set_acl", key)

    async def restore(self, key: str, options: RestoreOptions = RESTORE) -> bool:
        """Refuse: nothing is archived."""
        raise unsupported(self.kind, "restore", key)

    async def presign(
        self, method: str, key: str, expires: int, put: PutOptions = PUT, version_id: str = ""
    ) -> str:
        """Refuse: there are no URLs that others could use."""
        raise unsupported(self.kind, "presign", key)
