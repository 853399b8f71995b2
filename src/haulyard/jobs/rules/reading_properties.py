"""What a ``[[rule]]`` changes besides the key, read and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from haulyard.jobs.rules.changes import HEADERS
from haulyard.jobs.rules.given import ACLS, ENCRYPTIONS, one_of
from haulyard.jobs.rules.rule import Properties
from haulyard.jobs.rules.template import parse_template
from haulyard.jobs.rules.values import (
    MAX_METADATA,
    MAX_TAGS,
    flaw_of_header,
    flaw_of_tag_key,
    flaw_of_tag_value,
    is_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from haulyard.jobs.rules.template import Scope

TAGS: Final = ("tags", "remove_tags", "replace_tags")
PROPERTIES: Final = (
    "storage_class",
    "metadata",
    "replace_metadata",
    *TAGS,
    "sse",
    "sse_kms_key_id",
    "acl",
    *HEADERS,
)


class Complain(Protocol):
    """Where mistakes of a rule go."""

    def complain(self, text: str, *path: str | int) -> None:
        """Note a mistake in what ``path`` names within the rule."""
        ...


class PropertiesReader:
    """Reads the properties of one rule; ``scope`` None: the pattern is wrong, so fields are not judged."""

    def __init__(
        self, table: Mapping[str, Any], rule: Complain, classes: Iterable[str], scope: Scope | None
    ) -> None:
        self._table = table
        self._rule = rule
        self._classes = classes
        self._scope = scope

    def read(self) -> Properties:
        """Return the properties; those that are wrong are left out."""
        sse = self._choice("sse", ENCRYPTIONS, "encryption")
        kms_key = self._text("sse_kms_key_id")
        if kms_key and "sse" not in self._table:
            self._rule.complain('sse_kms_key_id needs sse = "aws:kms"', "sse_kms_key_id")
        elif kms_key and sse == "AES256":
            self._rule.complain(
                'sse_kms_key_id: AES256 has no such key; use sse = "aws:kms"', "sse_kms_key_id"
            )
        return Properties(
            storage_class=self._choice("storage_class", self._classes, "storage class"),
            metadata=self._metadata(),
            replace_metadata=self._flag("replace_metadata"),
            tags=self._tags(),
            remove_tags=self._removed(),
            replace_tags=self._flag("replace_tags"),
            sse=sse,
            sse_kms_key_id=kms_key,
            acl=self._choice("acl", ACLS, "canned ACL"),
            headers={name: text for name in HEADERS if (text := self._header(name))},
        )

    def _choice(self, key: str, names: Iterable[str], what: str) -> str:
        if key not in self._table:
            return ""
        try:
            return one_of(self._table[key], names, what)
        except ValueError as error:
            self._rule.complain(f"{key} {error}", key)
            return ""

    def _text(self, key: str) -> str:
        value = self._table.get(key, "")
        if not isinstance(value, str) or (not value and key in self._table):
            self._rule.complain(f"{key} is " + ("empty" if value == "" else f"no text: {value!r}"), key)
            return ""
        return value

    def _flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            self._rule.complain(f"{key} is neither true nor false: {value!r}", key)
        return value is True

    def _header(self, key: str) -> str:
        text = self._text(key)
        if text:
            self._template(text, flaw_of_header, key)
        return text

    def _template(self, text: str, judge: Callable[[str], str], *path: str) -> None:
        """Judge a template: what it names, and the fixed text of it."""
        what = " ".join(path)
        if self._scope is None:
            return
        template, problems = parse_template(text, self._scope)
        # What a field brings may be a letter at an end, or nothing where lengths are counted.
        flaw = "" if problems else judge(template.outline("x" if judge is flaw_of_header else ""))
        for problem in problems or filter(None, [flaw]):
            self._rule.complain(f"{what}: {problem}", *path)

    def _table_of(self, key: str) -> dict[str, str]:
        value = self._table.get(key, {})
        if not isinstance(value, dict):
            self._rule.complain(f'{key} is no table: write {key} = {{ name = "value" }}, not {value!r}', key)
            return {}
        for name, text in value.items():
            if not isinstance(text, str):
                self._rule.complain(f"{key} {name}: {text!r} is no text; put it in quotes", key, name)
        return {name: text for name, text in value.items() if isinstance(text, str)}

    def _metadata(self) -> dict[str, str]:
        given = self._table_of("metadata")
        folded: set[str] = set()
        for name, text in given.items():
            if not is_token(name):
                self._rule.complain(
                    f"metadata {name!r}: such a name cannot be sent; use letters, digits and -",
                    "metadata",
                    name,
                )
            elif name.lower() in folded:
                self._rule.complain(
                    f"metadata {name!r} is there twice; case makes no difference", "metadata", name
                )
            folded.add(name.lower())
            self._template(text, flaw_of_header, "metadata", name)
        length = sum(
            len(name.encode()) + len(text.encode()) for name, text in given.items() if "{" not in text
        )
        if length > MAX_METADATA:
            self._rule.complain(f"metadata has {length:,} bytes; S3 takes {MAX_METADATA:,}", "metadata")
        return given

    def _tags(self) -> dict[str, str]:
        given = self._table_of("tags")
        if len(given) > MAX_TAGS:
            self._rule.complain(f"tags has {len(given)} of them; an object has at most {MAX_TAGS}", "tags")
        for name, text in given.items():
            if flaw := flaw_of_tag_key(name):
                self._rule.complain(f"tags {name[:40]!r}: {flaw}", "tags", name)
            self._template(text, flaw_of_tag_value, "tags", name)
        return given

    def _removed(self) -> tuple[str, ...]:
        names = self._table.get("remove_tags", [])
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            self._rule.complain(
                f'remove_tags is no list of keys: write ["team"], not {names!r}', "remove_tags"
            )
            return ()
        tags = self._table.get("tags", {})
        if both := [name for name in names if isinstance(tags, dict) and name in tags]:
            self._rule.complain(f"remove_tags: {', '.join(both)} is set by tags as well", "remove_tags")
        if names and self._table.get("replace_tags") is True:
            self._rule.complain("remove_tags: replace_tags removes all others already", "remove_tags")
        return tuple(names)
