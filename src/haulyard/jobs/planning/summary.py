"""What a plan comes to, for people and for programs: what `haul plan` prints and ``summary.json`` holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import JobError
from haulyard.jobs.model import ARCHIVES, FALLBACK, NO_RULE, Action
from haulyard.jobs.planning.findings import Findings
from haulyard.jobs.planning.ordered import normal_shards
from haulyard.jobs.planning.recording import UNMATCHED, first_keys, first_unmatched, samples
from haulyard.jobs.planning.requests_needed import (
    WORKED_ON,
    Asked,
    Way,
    price_of,
    requests_needed,
    seconds_for,
)
from haulyard.jobs.planning.tally import Amount, Tally
from haulyard.journal.reporting.wording import duration, number, size, things, visible
from haulyard.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.jobs.ends import Ends
    from haulyard.jobs.planning.prices import Prices
    from haulyard.jobs.rules import Rules
    from haulyard.jobs.specification import Specification
    from haulyard.journal.folder import JobFolder

#: Unmatched keys and conflicts that are shown.
_SHOWN: Final = 20
_CONFLICTS_SHOWN: Final = 5


class Origin(NamedTuple):
    """What a summary is about: ``asked`` are the requests that planning made, by kind."""

    folder: JobFolder
    specification: Specification
    rules: Rules | None
    ends: Ends
    asked: Mapping[str, int]
    latency: float
    concurrency: int


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan in numbers; sizes in bytes, ``seconds`` and ``price`` (USD) are estimates for `apply`.

    ``rules`` has, in order, the label of each rule and of the fallback with its objects and bytes;
    ``samples`` an object for each of them: its key, its destination, what it gets besides;
    ``actions`` has objects and bytes by the words of `haulyard.jobs.model.Action`. ``unmatched_keys`` are the
    first keys that no rule took (``unmatched.txt`` has all), ``unsafe_keys`` those that get no proper key.
    ``requests`` are those that `apply` makes, ``asked`` those that planning made, by kind. ``archived`` are
    objects that have to be restored before `apply` can copy them; ``missing`` ones are named by a manifest
    and not there. ``finished`` is False where planning was stopped before its end.
    """

    job: str
    verb: str
    source: str
    destination: str
    finished: bool
    objects: int
    bytes: int
    rules: tuple[tuple[str, int, int], ...]
    samples: tuple[tuple[str, str, str], ...]
    actions: Mapping[str, tuple[int, int]]
    unmatched_keys: tuple[str, ...]
    unsafe_keys: tuple[str, ...]
    findings: Findings
    large: int
    archived: int
    missing: int
    requests: Mapping[str, int]
    asked: Mapping[str, int]
    price: float
    prices: str
    seconds: float
    kind: str = field(default="plan", repr=False)

    @property
    def acting(self) -> int:
        """Objects that `apply` works on."""
        return sum(self.actions.get(action.word, (0, 0))[0] for action in WORKED_ON)

    @property
    def unmatched(self) -> int:
        """Objects that no rule took, where the fallback is ``fail``."""
        return self.actions.get(Action.UNMATCHED.word, (0, 0))[0]

    @property
    def unsafe(self) -> int:
        """Objects for which a rule makes nothing that could be a key, or a value."""
        return self.actions.get(Action.UNSAFE.word, (0, 0))[0]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "findings": self.findings.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PlanSummary:
        """Understand what `to_json` made.

        Raises:
            JobError: Something is missing: another release made it.
        """
        known = {each.name for each in fields(cls)}
        values = {name: value for name, value in content.items() if name in known}
        try:
            values["rules"] = tuple((label, objects, size) for label, objects, size in values["rules"])
            values["actions"] = {word: (objects, size) for word, (objects, size) in values["actions"].items()}
            values["samples"] = tuple((key, place, gets) for key, place, gets in values["samples"])
            values["unmatched_keys"] = tuple(values["unmatched_keys"])
            values["unsafe_keys"] = tuple(values["unsafe_keys"])
            values["findings"] = Findings.from_json(values["findings"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(
                f"the summary of the plan is of another release: {error}",
                hint="use the release of Haulyard that made it, or start over with --new",
            ) from None

    def text(self) -> str:
        """Return it for people, as one text."""
        return "\n".join(self.lines())

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {name: value for name, value in self.to_json().items() if name != "kind"}

    def lines(self, *, next_step: bool = True) -> list[str]:
        """Return it for people, line by line; at the end what to do now, unless it was done already."""
        where = f"{self.source} -> {self.destination}" if self.destination else self.source
        shown = [f"{self.job}: {self.verb} {where}", ""]
        shown += _table(
            [
                ("", "objects", "bytes"),
                *((label, number(objects), size(stored)) for label, objects, stored in self.rules),
                ("listed", number(self.objects), size(self.bytes)),
            ]
        )
        shown += ["", *_table([(word, number(n), size(b)) for word, (n, b) in self.actions.items()])]
        shown += [*self._sample_lines(), *self._unmatched_lines(), *self._unsafe_lines()]
        shown += [*self._conflict_lines(), *self._cost_lines()]
        return [*shown, "", *self._next_lines()] if next_step else shown

    def _sample_lines(self) -> list[str]:
        if not self.samples:
            return []
        named = [
            f"  {visible(key)}" + (f" -> {visible(place)}" if place else "") + (f"  ({gets})" if gets else "")
            for key, place, gets in self.samples
        ]
        return ["", "For example:", *named]

    def _unmatched_lines(self) -> list[str]:
        if not self.unmatched:
            return []
        head = f"No rule takes {things(self.unmatched, 'object')} (all in {UNMATCHED}):"
        return ["", head, *_first(self.unmatched_keys, self.unmatched)]

    def _unsafe_lines(self) -> list[str]:
        if not self.unsafe:
            return []
        head = f"{things(self.unsafe, 'object')} would get no proper key, or an unreadable date, and stay:"
        told = "  (haul plan --explain KEY --rules FILE says why)"
        return ["", head, *_first(self.unsafe_keys, self.unsafe), told]

    def _conflict_lines(self) -> list[str]:
        found = self.findings
        groups = things(found.collision_groups, "destination")
        kinds = (
            ("collisions", found.collisions, f"with a destination that others have too ({groups})"),
            ("exists", found.exists, "with a destination where another object is"),
            ("same", found.same, "at their destination already"),
            ("chained", found.chained, "waiting for one another: their order is kept"),
            ("cycles", found.cycles, "taking each other's places, in no safe order: left alone"),
            ("repeated", found.repeated, "listed more than once"),
        )
        shown: list[str] = []
        for name, count, what in kinds:
            if count:
                shown += ["", f"{things(count, 'object')} {what}:"]
                samples: Sequence[Mapping[str, Any]] = found.samples.get(name, ())
                shown += [f"  {_sample(each)}" for each in samples[:_CONFLICTS_SHOWN]]
        return shown

    def _cost_lines(self) -> list[str]:
        rows = []
        if self.large:
            rows.append(("over 5 GiB", f"{number(self.large)}, copied by parts"))
        if self.archived:
            rows.append(("archived", f"{number(self.archived)}, to be restored first (haul plan restore)"))
        if self.missing:
            rows.append(("missing", f"{number(self.missing)}, named by the manifest and not there"))
        asked = ", ".join(f"{number(count)} {kind}" for kind, count in self.requests.items())
        rows.append(("requests", asked or "none"))
        rows.append(("price", f"{_usd(self.price)} for these requests ({self.prices})"))
        rows.append(("time", f"at least {duration(self.seconds)}"))
        return ["", *_table(rows)]

    def _next_lines(self) -> list[str]:
        if not self.finished:
            return ["Stopped before the end of the listing: the same command goes on with it."]
        if self.unmatched:
            return [
                "Nothing has been changed. haul apply refuses while keys are unmatched: add a rule for them,",
                'or a [fallback] with a destination or action = "skip", and plan again with --new.',
            ]
        if not self.acting:
            return ["There is nothing to do."]
        if self.findings.undecided:
            decide = f"haul apply {self.job} --on-conflict skip|overwrite|suffix"
            return [f"Nothing has been changed. Decide what becomes of conflicts:  {decide}"]
        return [f"Nothing has been changed. To do it:  haul apply {self.job}"]


def summarise(origin: Origin, tally: Tally, findings: Findings | None, prices: Prices) -> PlanSummary:
    """Sum a plan up; without ``findings`` it is one that was stopped before its end."""
    specification = origin.specification
    way = _way(origin)
    classes = _NewClasses(origin)
    moved = tally if way.direction == "inside" else tally.through_here(normal_shards(origin.folder))
    needed = requests_needed(moved, way, classes)
    requests: dict[str, int] = {}
    for (kind, _), count in needed.items():
        requests[kind] = requests.get(kind, 0) + count
    made = {
        Asked({"list": "LIST", "head": "HEAD"}.get(kind, "GET tagging")): n
        for kind, n in origin.asked.items()
    }
    everything = needed.copy()
    everything.update(made)
    folders = tally.amount(Action.FOLDER)
    total = tally.amount()
    return PlanSummary(
        job=origin.folder.name,
        verb=specification.verb.value,
        source=specification.source,
        destination=specification.destination,
        finished=findings is not None,
        objects=total.objects - folders.objects,
        bytes=total.bytes,
        rules=_by_rule(origin, tally),
        samples=_samples(origin, tally),
        actions={
            action.word: (amount.objects, amount.bytes)
            for action in Action
            if (amount := tally.amount(action)).objects
        },
        unmatched_keys=first_unmatched(origin.folder, _SHOWN),
        unsafe_keys=first_keys(origin.folder, Action.UNSAFE, _SHOWN)
        if tally.amount(Action.UNSAFE).objects
        else (),
        findings=findings or Findings(),
        large=tally.amount(*WORKED_ON).large,
        archived=_archived(tally) if specification.verb.writes_elsewhere else 0,
        missing=total.unknown,
        requests=requests,
        asked=dict(origin.asked),
        price=round(price_of(everything, prices, specification.tier), 6),
        prices=prices.source,
        seconds=round(seconds_for(needed.items(), latency=origin.latency, concurrency=origin.concurrency), 3),
    )


def _archived(tally: Tally) -> int:
    return sum(
        amount.objects
        for group, amount in tally.items()
        if group.action in WORKED_ON and group.storage_class in ARCHIVES
    )


class _NewClasses:
    """Says which storage class an object gets: its rule's, the job's, or what the store gives by itself."""

    def __init__(self, origin: Origin) -> None:
        rules = origin.rules.rules if origin.rules else ()
        self._of_rule = {rule.index: rule.properties.storage_class for rule in rules}
        self._common = str(origin.specification.properties.get("storage_class") or "STANDARD")

    def __call__(self, rule: int, _source: str) -> str:
        return self._of_rule.get(rule) or self._common


def _way(origin: Origin) -> Way:
    source, destination = origin.ends.source, origin.ends.destination
    verb, tier = origin.specification.verb, origin.specification.tier
    capabilities = source.capabilities
    batched = capabilities.batch_delete and capabilities.conditional_batch_delete is True
    if source.service == destination.service and not isinstance(source, LocalStore):
        return Way(verb, "inside", batched, tier)
    if isinstance(source, LocalStore):
        return Way(verb, "up", batched, tier)
    return Way(verb, "down" if isinstance(destination, LocalStore) else "through", batched, tier)


def _samples(origin: Origin, tally: Tally) -> tuple[tuple[str, str, str], ...]:
    """Return an object of each rule, in the order of the rules; the fallback and no rule come last."""
    acting = {Action.ACT, Action.ORDERED}
    found = samples(origin.folder, {group.rule for group, _ in tally.items() if group.action in acting})
    order = sorted(found, key=lambda rule: (rule < 0, abs(rule)))
    return tuple((*found[rule], _gets(origin, rule)) for rule in order)


def _gets(origin: Origin, rule: int) -> str:
    """Return in a few words what objects get besides another key."""
    given = {name: value for name, value in origin.specification.properties.items() if value}
    own = origin.rules.rules[rule].properties if origin.rules is not None and rule >= 0 else None
    named = [name for name in ("storage_class", "acl") if (own and getattr(own, name)) or given.get(name)]
    words = [str((own and getattr(own, name)) or given[name]) for name in named]
    if (own and own.metadata) or given.get("metadata"):
        words.append("metadata")
    if (own and (own.tags or own.remove_tags)) or given.get("tags") or origin.specification.remove_tags:
        words.append("tags")
    return ", ".join(words)


def _by_rule(origin: Origin, tally: Tally) -> tuple[tuple[str, int, int], ...]:
    amounts: dict[int, Amount] = {}
    for group, amount in tally.items():
        if group.action != Action.FOLDER:
            amounts[group.rule] = amounts.get(group.rule, Amount()).plus(amount)
    nothing = Amount()
    lines = []
    if origin.rules is not None:
        for rule in origin.rules.rules:
            amount = amounts.get(rule.index, nothing)
            lines.append((rule.label, amount.objects, amount.bytes))
    if FALLBACK in amounts:
        lines.append(("fallback", amounts[FALLBACK].objects, amounts[FALLBACK].bytes))
    if NO_RULE in amounts and origin.rules is not None:
        lines.append(("no rule", amounts[NO_RULE].objects, amounts[NO_RULE].bytes))
    return tuple(lines)


def _first(keys: Sequence[str], count: int) -> list[str]:
    more = count - len(keys)
    return [*(f"  {visible(key)}" for key in keys), *([f"  … and {number(more)} more"] if more > 0 else [])]


def _sample(sample: Mapping[str, Any]) -> str:
    there = visible(str(sample.get("destination", "")))
    if "sources" in sample:
        named = ", ".join(visible(str(each)) for each in sample["sources"])
        more = sample["count"] - len(sample["sources"])
        return f"{there} <- {named}" + (f" and {number(more)} more" if more > 0 else "")
    key = visible(str(sample["key"]))
    return f"{key} -> {there}" if there else key


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align columns: the first to the left; the others, if they are several, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    shown = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        right = len(rest) > 1
        cells += [cell.rjust(width) if right else cell for cell, width in zip(rest, widths[1:], strict=True)]
        shown.append("  ".join(cells).rstrip())
    return shown


def _usd(amount: float) -> str:
    return "less than 0.01 USD" if 0 < amount < 0.01 else f"{amount:,.2f} USD"  # noqa: PLR2004 -- a cent
