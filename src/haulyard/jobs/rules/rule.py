"""Rules as their file states them, once it is known to be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.jobs.rules.conditions import Conditions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.jobs.rules.template import Declared

#: What a folder's placeholder is called where the file does not say.
PLACEHOLDER: Final = "placeholder.txt"


@dataclass(frozen=True, slots=True)
class Properties:
    """What a rule changes besides the key; the values of metadata, tags and headers are templates."""

    storage_class: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    replace_metadata: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    replace_tags: bool = False
    sse: str = ""
    sse_kms_key_id: str = ""
    acl: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the keys of the file that gave them, tags last."""
        return [
            *(["storage_class"] if self.storage_class else []),
            *(["metadata"] if self.metadata else []),
            *(["replace_metadata"] if self.replace_metadata else []),
            *(["sse"] if self.sse else []),
            *(["sse_kms_key_id"] if self.sse_kms_key_id else []),
            *(["acl"] if self.acl else []),
            *self.headers,
            *self.tag_names(),
        ]

    def tag_names(self) -> list[str]:
        """Return the keys of the file that change tags."""
        given = {"tags": self.tags, "remove_tags": self.remove_tags, "replace_tags": self.replace_tags}
        return [name for name, value in given.items() if value]


def label(index: int, name: object = "") -> str:
    """Return what a rule is called in sentences."""
    return f"rule {name!r}" if isinstance(name, str) and name else f"rule {index + 1}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``[[rule]]``; ``index`` from 0, ``line`` from 1.

    ``match`` is None where the pattern is ``glob``, ``to`` where the rule has no destination.
    """

    index: int
    line: int
    name: str = ""
    match: str | None = None
    glob: str = ""
    dates: Mapping[str, Declared] = field(default_factory=dict)
    conditions: Conditions = field(default_factory=Conditions)
    skip: bool = False
    to: str | None = None
    properties: Properties = field(default_factory=Properties)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """What it is called in sentences: by its name, or by its number from 1."""
        return label(self.index, self.name)

    def line_of(self, key: str) -> int:
        """Return the line of one of its keys."""
        return self.lines.get(key, self.line)


class Fallback(NamedTuple):
    """What becomes of objects that no rule takes: ``action`` is ``to``, ``skip`` or ``fail``."""

    action: str = "fail"
    to: str | None = None
    line: int = 0


class Folders(NamedTuple):
    """Folders that are to exist, relative to the destination, each with its slash."""

    create: tuple[str, ...] = ()
    placeholder: str = PLACEHOLDER
    line: int = 0

    def keys(self) -> list[str]:
        """Return the keys of the placeholders, relative to the destination."""
        return [folder + self.placeholder for folder in self.create]
