"""The numbers of a bulk job as ``report.json`` has them, and as the page tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from haulyard._version import __version__
from haulyard.errors import HaulError, JobError
from haulyard.jobs.model import FALLBACK, Phase, Stage
from haulyard.jobs.next_steps import Obstacles, next_steps
from haulyard.jobs.rules import Rules
from haulyard.jobs.status import UNKNOWN
from haulyard.journal.reporting.completion import COLUMNS
from haulyard.journal.reporting.content import Breakdown, Content, Figure, Share
from haulyard.journal.reporting.durations import ERROR
from haulyard.journal.reporting.page import PERCENTILES
from haulyard.journal.reporting.wording import duration, moment, number, size, things

if TYPE_CHECKING:
    from haulyard.jobs.reporting.account import Account
    from haulyard.jobs.specification import Specification
    from haulyard.journal.folder import Holder, JobFolder
    from haulyard.journal.reporting.content import Step

_CHECKSUM: Final = "checksum"
_FALLBACK_NAME: Final = "(fallback)"
_CONFLICTS: Final = (
    "As planned. collision: several sources have one destination; exists: another object is there; same: the"
    " same content is there already."
)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a job without its shards; ``rules`` are the rules' names, in their order."""

    name: str
    specification: Specification
    stage: str
    holder: Holder | None
    rules: tuple[str, ...]
    made: float
    damaged: tuple[str, ...] = ()
    obstacles: Obstacles = field(default_factory=Obstacles)

    @classmethod
    def of(cls, folder: JobFolder, specification: Specification, now: float) -> About:
        """Read it; a damaged state is noted and does not raise."""
        damaged: tuple[str, ...] = ()
        try:
            stage = Stage((folder.read("state") or {}).get("stage", Stage.PLANNING)).value
        except (JobError, ValueError) as error:
            stage, damaged = UNKNOWN, (str(error),)
        return cls(
            folder.name,
            specification,
            stage,
            folder.holder(),
            _rules(specification),
            now,
            damaged,
            Obstacles.of(folder),
        )

    def steps(self, account: Account) -> list[Step]:
        """Return what to do next; this report is not among it."""
        phases = {phase: total.objects for phase, total in account.phases.items()}
        steps = next_steps(
            self.name, self.stage, phases, is_running=self.holder is not None, obstacles=self.obstacles
        )
        return [step for step in steps if not step.command.startswith("haul report")]

    def rule(self, index: int) -> str:
        """Return the name of a rule, or its number from 1."""
        if index == FALLBACK:
            return _FALLBACK_NAME
        return self.rules[index] if 0 <= index < len(self.rules) else f"rule {index + 1}"


def fields_of(about: About, account: Account) -> dict[str, Any]:
    """Return everything in numbers: bytes, seconds, POSIX seconds."""
    specification = about.specification
    return {
        "job": about.name,
        "kind": "bulk",
        "verb": specification.verb.value,
        "source": specification.source,
        "destination": specification.destination,
        "created": specification.created,
        "planned_by": specification.release,
        "reported": about.made,
        "reported_by": __version__,
        "stage": about.stage,
        "running": about.holder is not None,
        "listed": account.listed.fields(),
        "acting": account.acting.fields(),
        **{name: account.phase(phase).fields() for name, phase in _PHASES.items()},
        "verified": dict(account.verified),
        "left_alone": {action.word: total.fields() for action, total in account.left_alone()},
        "conflicts": {conflict.word: total.fields() for conflict, total in account.in_conflict()},
        "rules": [{"rule": about.rule(each), **total.fields()} for each, total in _by_rule(account)],
        "errors": [
            {"error": kind, "recorded": count, "objects": account.failing[kind]}
            for kind, count in account.recorded.most_common()
        ],
        "failures": [
            {"key": each.name, "error": each.kind, "message": each.message, "at": each.at}
            for each in account.failures
        ],
        **_times(account),
        "damaged": [*about.damaged, *account.damaged],
        "completion": {"file": "completion.csv", "columns": COLUMNS, "keys": "URL-encoded"},
        "next": [step.command for step in about.steps(account)],
    }


def content_of(about: About, account: Account) -> Content:
    """Return what the page says."""
    specification = about.specification
    content = Content(about.name, f"{specification.verb.value.capitalize()} report")
    content.facts = _facts(about, account)
    content.figures = _figures(about, account)
    content.notices = [
        *(f"Damaged, so the numbers are not complete: {each}" for each in (*about.damaged, *account.damaged)),
        *(["The job was running while this was written."] if about.holder is not None else []),
    ]
    content.throughput, content.runs, content.durations = account.throughput, account.runs, account.durations
    content.breakdowns = _breakdowns(about, account)
    content.failures, content.failed = account.failures, sum(account.failing.values())
    content.steps = about.steps(account)
    content.footer = (
        f"Written {moment(about.made)} by Haulyard {__version__} from the job's journal. Times are UTC. "
        f"Every object has its line in {content.completion}; the numbers are in report.json."
    )
    return content


_PHASES: Final = {
    "done": Phase.DONE,
    "copied": Phase.COPIED,
    "failed": Phase.FAILED,
    "skipped": Phase.SKIPPED,
    "left": "",
    "returned": Phase.RETURNED,
    "undone": Phase.UNDONE,
    "kept": Phase.KEPT,
}


def _times(account: Account) -> dict[str, Any]:
    durations, runs = account.durations, account.runs.all()
    return {
        "working_seconds": round(account.seconds, 3),
        "runs": [run._asdict() for run in runs],
        "throughput": {
            "mean_objects_a_second": round(account.rate, 3),
            "peak_objects_a_second": round(account.peak, 3),
            "bin_seconds": account.throughput.width,
            "bins": [list(each) for each in account.throughput.bins()],
        },
        "latency": {
            "count": durations.count,
            "mean": round(durations.mean, 6),
            **{f"p{each}": round(durations.percentile(each), 6) for each in PERCENTILES},
            "longest": durations.longest,
            "relative_error": ERROR,
            "buckets": [
                [round(each.low, 9), round(each.high, 9), each.count] for each in durations.buckets()
            ],
        },
    }


def _facts(about: About, account: Account) -> list[tuple[str, str]]:
    specification, runs = about.specification, account.runs.all()
    facts = [("Source", specification.source)]
    if specification.destination:
        facts.append(("Destination", specification.destination))
    if specification.rules:
        facts.append(("Rules", specification.rules_name or things(len(about.rules), "rule")))
    if specification.created:
        facts.append(("Planned", f"{moment(specification.created)} by Haulyard {specification.release}"))
    if runs:
        facts.append(("Applied", f"{moment(runs[0].start)} to {moment(runs[-1].end)}"))
    return [*facts, ("Stage", f"{about.stage}, running" if about.holder else about.stage)]


def _figures(about: About, account: Account) -> list[Figure]:
    acting, listed = account.acting, account.listed
    done, failed, left = (account.phase(each) for each in (Phase.DONE, Phase.FAILED, ""))
    skipped, copied = account.phase(Phase.SKIPPED), account.phase(Phase.COPIED)
    figures = [
        Figure("Objects", number(acting.objects), f"to act on, of {number(listed.objects)} listed"),
        Figure("Bytes", size(acting.size), f"of {size(listed.size)} listed"),
        Figure(
            "Done", number(done.objects), size(done.size), "good" if done.objects == acting.objects else ""
        ),
        Figure("Failed", number(failed.objects), size(failed.size), "bad" if failed.objects else ""),
        Figure("Skipped", number(skipped.objects), "by decision, while it ran"),
        Figure("Left", number(left.objects), size(left.size)),
    ]
    if copied.objects:
        note = "source not yet deleted" if about.specification.verb.deletes else "half done"
        figures.append(Figure("Copied", number(copied.objects), note))
    for name, phase, note in (
        ("Undone", Phase.UNDONE, "taken back"),
        ("Copied back", Phase.RETURNED, "copy not yet deleted"),
        ("Kept", Phase.KEPT, "left as it is by undo"),
    ):
        if count := account.phase(phase).objects:
            figures.append(Figure(name, number(count), note))
    if account.verified:
        checked = account.verified[_CHECKSUM]
        rest = sum(account.verified.values()) - checked
        figures.append(Figure("Verified by checksum", number(checked), f"size only: {number(rest)}"))
    if runs := account.runs.all():
        figures += [
            Figure("Duration", duration(account.seconds), f"in {things(len(runs), 'run')}"),
            Figure("Objects a second", number(account.rate), _peak(account)),
        ]
    return figures


def _peak(account: Account) -> str:
    """Return the highest step of the chart; nothing where a run was shorter than one."""
    peak = account.throughput.peak()
    return f"peak {number(peak)}, over {duration(account.throughput.width)}" if peak >= account.rate else ""


def _breakdowns(about: About, account: Account) -> list[Breakdown]:
    rules = tuple(Share(about.rule(each), total.objects, total.size) for each, total in _by_rule(account))
    still = account.failing
    errors = tuple(
        Share(
            kind,
            count,
            note=f"{things(still[kind], 'object')} failed now" if still[kind] else "put right since",
        )
        for kind, count in account.recorded.most_common()
    )
    alone = tuple(Share(action.word, total.objects, total.size) for action, total in account.left_alone())
    conflicts = tuple(Share(each.word, total.objects, total.size) for each, total in account.in_conflict())
    verified = tuple(Share(word, count) for word, count in account.verified.most_common())
    return [
        Breakdown("Errors by kind", "error", "times", errors, empty="No error was recorded."),
        Breakdown("Rules", "rule", "objects", rules if about.specification.rules else ()),
        Breakdown(
            "Left alone by the plan", "reason", "objects", alone, empty="The plan acts on everything listed."
        ),
        Breakdown("Conflicts over destinations", "conflict", "objects", conflicts, note=_CONFLICTS),
        Breakdown("Verified by", "means", "objects", verified),
    ]


def _by_rule(account: Account) -> list[tuple[int, Any]]:
    return sorted(account.rules.items(), key=lambda each: -each[1].objects)


def _rules(specification: Specification) -> tuple[str, ...]:
    if not specification.rules:
        return ()
    try:
        rules = Rules.parse(specification.rules, specification.rules_name or "rules.toml")
    except HaulError:
        # Rules that this release understands no more still have their numbers.
        return ()
    return tuple(rule.name or f"rule {at}" for at, rule in enumerate(rules.rules, 1))
