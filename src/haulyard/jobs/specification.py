"""What a job is to do, as its ``job.json`` keeps it: enough to go on in another process, without secrets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from haulyard.errors import JobError
from haulyard.jobs.model import Verb
from haulyard.journal.folder import derived_name
from haulyard.transfer.filters import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Specification:
    """A job as it was asked for.

    ``source`` and ``destination`` are URLs, or absolute paths; ``destination`` is ``""`` where the verb has
    none. ``rules`` is the text of the rules and ``rules_name`` the name of their file, both ``""`` without.
    ``filters`` are pairs of include (True) or exclude and pattern. ``properties`` are those that every
    destination gets, by the names of `haulyard.models.PutOptions`. ``ends`` are the settings in
    `haulyard.config.ends.ENDS`.
    """

    verb: Verb
    source: str
    destination: str = ""
    rules: str = ""
    rules_name: str = ""
    manifest: str = ""
    recursive: bool = False
    raw: bool = False
    flatten: bool = False
    filters: tuple[tuple[bool, str], ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    days: int | None = None
    tier: str = "Standard"
    accelerate: bool = False
    ends: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    release: str = ""

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The filters, as `haulyard.transfer.filters.Filter` takes them."""
        return tuple(Pattern(include, text) for include, text in self.filters)

    def name(self) -> str:
        """Return the name that follows from what is asked: the same command again means the same job."""
        parts = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)
            if each.name not in {"created", "release", "rules_name"}
        ]
        return derived_name(self.verb.value, self.source, *parts)

    def to_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"kind": "bulk", **asdict(self), "verb": self.verb.value}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Specification:
        """Understand what `to_json` made.

        Raises:
            JobError: It is of another kind of job, or of a release that had other fields.
        """
        if content.get("kind") != "bulk":
            raise JobError("this is no bulk job", hint="name one that haul plan made; haul status lists them")
        known = {each.name for each in fields(cls)}
        values = {name: value for name, value in content.items() if name != "kind"}
        if unknown := sorted(set(values) - known):
            raise JobError(
                f"the job has fields that this release does not know: {', '.join(unknown)}",
                hint="use the release of Haulyard that made it",
            )
        values["verb"] = Verb(values["verb"])
        values["filters"] = tuple((bool(include), str(text)) for include, text in values["filters"])
        values["remove_tags"] = tuple(values["remove_tags"])
        return cls(**values)
