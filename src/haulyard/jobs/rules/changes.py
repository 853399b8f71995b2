"""What a rule changes about an object, apart from its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import Encryption

#: The fields of `Changes` that are headers kept with the object's metadata, named as in `PutOptions`.
HEADERS: Final = (
    "content_type",
    "content_disposition",
    "content_encoding",
    "content_language",
    "cache_control",
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one object gets instead of what it has; whatever is empty here stays as it is.

    ``metadata`` and ``tags`` are set beside those that the object has (`metadata_of` and `tags_of` put the
    two together), or instead of them with ``replace_metadata`` and ``replace_tags``. ``remove_tags`` are
    keys that go. ``acl`` is a canned ACL. The names are those of `haulyard.models.PutOptions`.
    """

    storage_class: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    replace_metadata: bool = False
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
        """Whether metadata or one of the `HEADERS` change: a copy writes all of them anew, or none."""
        return bool(self.metadata or self.replace_metadata or self.headers())

    def headers(self) -> dict[str, str]:
        """Return those of the `HEADERS` that change."""
        return {name: value for name in HEADERS if (value := getattr(self, name))}

    def tags_of(self, old: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that an object with the tags ``old`` is to have."""
        kept = {} if self.replace_tags else {k: v for k, v in old.items() if k not in self.remove_tags}
        return {**kept, **self.tags}

    def metadata_of(self, old: Mapping[str, str]) -> dict[str, str]:
        """Return the metadata that an object with the metadata ``old`` (keys in lower case) is to have."""
        return {**({} if self.replace_metadata else old), **self.metadata}
