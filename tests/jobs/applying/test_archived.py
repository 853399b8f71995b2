"""Objects in archives: refused by name until they are restored."""

from __future__ import annotations

import pytest

from haulyard.errors import S3ArchivedError
from haulyard.jobs.applying.deeds import check_readable
from haulyard.models import ObjectHead
from haulyard.stores.memory import MemoryStore

STORE = MemoryStore("bucket")


def head(storage_class: str = "STANDARD", restore: str = "", archive_status: str = "") -> ObjectHead:
    return ObjectHead(
        "a", 1, None, "etag", storage_class=storage_class, restore=restore, archive_status=archive_status
    )


@pytest.mark.parametrize(
    "described",
    [
        head("GLACIER"),
        head("DEEP_ARCHIVE", 'ongoing-request="true"'),
        head("INTELLIGENT_TIERING", archive_status="ARCHIVE_ACCESS"),
    ],
)
def test_what_is_archived_is_refused(described: ObjectHead) -> None:
    with pytest.raises(S3ArchivedError, match="memory://bucket/a is archived") as raised:
        check_readable(STORE, described)
    assert "haul plan restore" in raised.value.hint


@pytest.mark.parametrize(
    "described",
    [
        head(),
        head("GLACIER_IR"),
        head("INTELLIGENT_TIERING"),
        head("GLACIER", 'ongoing-request="false", expiry-date="Fri, 21 Dec 2026 00:00:00 GMT"'),
    ],
)
def test_what_can_be_read_is_not(described: ObjectHead) -> None:
    check_readable(STORE, described)
