"""The properties of a rule, made ready to be worked out for an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.jobs.rules.changes import Changes
from haulyard.jobs.rules.expand import Expander, unknown
from haulyard.jobs.rules.template import parse_template
from haulyard.jobs.rules.values import MAX_METADATA, flaw_of_header, flaw_of_tag_value
from haulyard.models import Encryption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from haulyard.jobs.rules.expand import Batch
    from haulyard.jobs.rules.rule import Properties
    from haulyard.jobs.rules.template import Scope


class Changer:
    """The properties of one rule."""

    def __init__(self, properties: Properties, scope: Scope) -> None:
        def ready(templates: Mapping[str, str]) -> dict[str, Expander]:
            return {name: Expander(parse_template(text, scope)[0], scope) for name, text in templates.items()}

        self._properties = properties
        self._scope = scope
        self._metadata = ready(properties.metadata)
        self._tags = ready(properties.tags)
        self._headers = ready(properties.headers)
        everything = [*self._metadata.values(), *self._tags.values(), *self._headers.values()]
        self.needs_matches = any(expander.needs_matches for expander in everything)
        self.may_fail = not all(expander.template.is_fixed for expander in everything)
        self.nothing = not properties.names()

    def changes(self, batch: Batch) -> Changes | None:
        """Return what changes about the one object of a batch, None where nothing does.

        Raises:
            ValueError: One of the values cannot be worked out; `unfit` says so beforehand.
        """
        if self.nothing:
            return None
        given = self._properties
        return Changes(
            storage_class=given.storage_class,
            metadata={name.lower(): _text(expander, batch) for name, expander in self._metadata.items()},
            replace_metadata=given.replace_metadata,
            tags={name: _text(expander, batch) for name, expander in self._tags.items()},
            remove_tags=given.remove_tags,
            replace_tags=given.replace_tags,
            encryption=Encryption(given.sse, given.sse_kms_key_id) if given.sse else None,
            acl=given.acl,
            **{name: _text(expander, batch) for name, expander in self._headers.items()},
        )

    def unfit(self, batch: Batch) -> set[int]:
        """Return the positions of the objects for which a value cannot be worked out, or is none."""
        found: set[int] = set()
        sizes = [0] * len(batch.keys)
        for _, expander, judge in self._values():
            for at, text in enumerate(expander.expand(batch)):
                if text is None or judge(text):
                    found.add(at)
        for name, expander in self._metadata.items():
            for at, text in enumerate(expander.expand(batch)):
                sizes[at] += len(name) + len(text or "")
        return found | {at for at, size in enumerate(sizes) if size > MAX_METADATA}

    def flaws(self, batch: Batch) -> list[str]:
        """Say why values for the one object of a batch cannot be worked out, or are none."""
        said = []
        for name, expander, judge in self._values():
            (text,) = expander.expand(batch)
            if text is None:
                said += [f"{name}: {unknown(piece, batch, self._scope)}" for piece in expander.missing(batch)]
            elif flaw := judge(text):
                said.append(f"{name}: {flaw}")
        if not said and self.unfit(batch):
            said.append(f"its metadata would have more than {MAX_METADATA:,} bytes")
        return said

    def _values(self) -> Iterator[tuple[str, Expander, Callable[[str], str]]]:
        for name, expander in self._metadata.items():
            yield f"metadata {name}", expander, flaw_of_header
        for name, expander in self._tags.items():
            yield f"tag {name}", expander, flaw_of_tag_value
        for name, expander in self._headers.items():
            yield name, expander, flaw_of_header


def _text(expander: Expander, batch: Batch) -> str:
    (text,) = expander.expand(batch)
    if text is None:
        raise ValueError(f"{expander.template.source!r} has no value for {batch.keys[0]!r}")
    return text
