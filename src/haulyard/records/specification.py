"""What a records job is to do, as its ``job.json`` keeps it: enough to go on elsewhere, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from haulyard.errors import JobError
from haulyard.journal.names import derived_name
from haulyard.transfer.filters import Pattern

KIND: Final = "records"
#: Not part of what is asked for: they do not make another job. A job keeps its ``grid``, for its addresses
#: hang on that, whatever `BATCH_SIZE` says later.
_INCIDENTAL: Final = frozenset({"created", "release", "uid", "grid"})
_TUPLES: Final = ("columns", "fields")
_PAIRS: Final = ("filters", "headers")


@dataclass(frozen=True, slots=True)
class Specification:
    """A job as it was asked for.

    ``source`` is a URL or an absolute path. ``to`` is the API's address with its ``${VARIABLES}`` unfilled,
    or the name of the function that takes its place. ``format`` to ``grid`` say how objects are read
    (`haulyard.records.reading.ReadOptions`), ``fields`` to ``sample`` what becomes of a record
    (`haulyard.records.shaping.Shaper`), ``method`` to ``success`` how it is sent. ``save_responses`` is where
    answers are kept, ``""`` for nowhere. ``ends`` are the settings in `haulyard.config.ends.ENDS`. ``uid``
    begins every Idempotency-Key.
    """

    source: str
    to: str
    manifest: str = ""
    recursive: bool = False
    raw: bool = False
    filters: tuple[tuple[bool, str], ...] = ()
    format: str = ""
    compression: str = ""
    encoding: str = "utf-8"
    delimiter: str = ""
    quote: str = '"'
    escape: str = ""
    columns: tuple[str, ...] = ()
    types: str = "strings"
    grid: int = 256 * 1024
    fields: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    transform: str = ""
    sample: float = 1.0
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = "json"
    template: str = ""
    records_per_call: int = 1
    success: str = ""
    save_responses: str = ""
    responses_format: str = "jsonl"
    ends: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    release: str = ""
    uid: str = ""

    @property
    def goes_to_an_address(self) -> bool:
        """Whether `haul process` can go on with it, and not only the program that began it."""
        return is_address(self.to)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The filters, as `haulyard.transfer.filters.Filter` takes them."""
        return tuple(Pattern(include, text) for include, text in self.filters)

    def name(self) -> str:
        """Return the name that follows from what is asked: the same command again means the same job."""
        parts = [
            f"{each.name}={_told(getattr(self, each.name))!r}"
            for each in fields(self)
            if each.name not in _INCIDENTAL
        ]
        return derived_name("process", self.source, *parts)

    def is_same(self, other: Specification) -> bool:
        """Whether the other asks for the same."""
        return self.name() == other.name()

    def to_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Specification:
        """Understand what `to_json` made.

        Raises:
            JobError: It is of another kind of job, or of a release that had other fields.
        """
        if content.get("kind") != KIND:
            raise JobError(
                "this is no job of haul process", hint="haul status lists the jobs; haul apply is for plans"
            )
        values = {name: value for name, value in content.items() if name != "kind"}
        if unknown := sorted(set(values) - {each.name for each in fields(cls)}):
            raise JobError(
                f"the job has fields that this release does not know: {', '.join(unknown)}",
                hint="use the release of Haulyard that made it",
            )
        if not (values.get("source") and values.get("to")):
            raise JobError("the job does not say what goes where", hint="start over with --new")
        pairs = {name: tuple((one, other) for one, other in values.get(name, ())) for name in _PAIRS}
        return cls(**{**values, **pairs, **{name: tuple(values.get(name, ())) for name in _TUPLES}})


def is_address(to: str) -> bool:
    """Whether a job goes to a URL, and not to a function or whatever else takes an API's place."""
    return to.lower().startswith(("http://", "https://", "${"))


def _told(value: object) -> object:
    # JSON keeps the pairs of an object in another order than they were given in.
    return sorted(value.items()) if isinstance(value, Mapping) else value
