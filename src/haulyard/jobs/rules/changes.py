"""What a rule changes about an object, apart from its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from haulyard.models import Encryption

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The fields of `Changes` that are headers of the object, kept with its metadata; named as in `haulyard.models.PutOptions`.
HEADERS = ("content_type", "content_disposition", "content_encoding", "content_language", "cache_control")


@dataclass(frozen=True, slots=True)
class Changes:
    """What the copy of one object gets instead of what the object has; everything empty is kept.

    ``metadata`` None keeps what the object has, a mapping takes its place (all of it, as in S3). ``tags``
    are set beside those that the object has, or instead of them with ``replace_tags``; ``remove_tags`` are
    keys that go. ``acl`` is a canned ACL. The names are those of `haulyard.models.PutOptions`.
    """

    storage_class: str = ""
    metadata: Mapping[str, str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    replace_tags: bool = False
    encryption: Encryption | None = None
    acl: str = ""
    content_type: str = ""
    content_disposition: str = ""
    content_encoding: str = ""
    content_language: str = ""
    cache_control: str = ""

    @property
    def touches_tags(self) -> bool:
        """Whether tags of the object change."""
        return bool(self.tags or self.remove_tags or self.replace_tags)

    @property
    def touches_metadata(self) -> bool:
        """Whether metadata or one of the `HEADERS` change, which a copy can only write all together."""
        return self.metadata is not None or any(getattr(self, name) for name in HEADERS)

    def tags_of(self, old: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that an object with the tags ``old`` is to have."""
        kept = {} if self.replace_tags else {k: v for k, v in old.items() if k not in self.remove_tags}
        return {**kept, **self.tags}
