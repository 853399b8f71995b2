"""The numbers of a records job as ``report.json`` has them, and as the page tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from haulyard._version import __version__
from haulyard.journal.reporting.content import Breakdown, Content, Figure, Share
from haulyard.journal.reporting.wording import duration, moment, number, size, things
from haulyard.records import figures, letters
from haulyard.records.account import FAILURES

if TYPE_CHECKING:
    from haulyard.journal.reporting.content import Failure, Step
    from haulyard.journal.reporting.series import Runs
    from haulyard.records.status import RecordsStatus

_ENDS: Final = {
    "delivered": "Delivered",
    "passed_over": "Passed over",
    **{kind: kind.capitalize() for kind in FAILURES},
}


def fields_of(status: RecordsStatus, failures: list[Failure], written: int, made: float) -> dict[str, Any]:
    """Return everything in numbers: bytes, seconds, POSIX seconds; ``written`` counts the dead letters."""
    throughput, fields = status.account.throughput, status.fields()
    # What is only true at the moment has no place in a document.
    for name in ("recent_records_a_second", "seconds_left", "holder", "failures", "runs", "next"):
        del fields[name]
    return {
        **fields,
        "kind": "records",
        "reported": made,
        "reported_by": __version__,
        "runs": [run._asdict() for run in status.account.runs],
        "throughput": {
            "mean_records_a_second": round(status.account.rate, 3),
            "peak_records_a_second": round(status.account.peak, 3),
            "bin_seconds": throughput.width,
            "bins": [list(each) for each in throughput.bins()],
        },
        "failures": [
            {"record": each.name, "error": each.kind, "message": each.message, "at": each.at}
            for each in failures
        ],
        "completion": {"file": letters.FILE, "letters": written},
        "next": [step.command for step in _steps(status)],
    }


def content_of(status: RecordsStatus, failures: list[Failure], runs: Runs, made: float) -> Content:
    """Return what the page says."""
    account = status.account
    content = Content(status.name, "Process report", unit="records", timed="calls")
    content.facts = [("Source", status.source), ("API", status.to)]
    if status.created:
        content.facts.append(("Begun", moment(status.created)))
    if account.runs:
        content.facts.append(
            ("Processed", f"{moment(account.runs[0].start)} to {moment(account.runs[-1].end)}")
        )
    content.facts.append(("Stage", f"{status.stage}, running" if status.is_running else status.stage))
    content.figures = _figures(status)
    content.notices = [
        *(f"Damaged, so the numbers are not complete: {each}" for each in status.damaged),
        *(["The job was running while this was written."] if status.is_running else []),
        *(f"Not read to its end: {key}: {reason}" for key, reason in status.unread_samples),
    ]
    content.throughput, content.runs, content.durations = account.throughput, runs, account.durations
    content.breakdowns = _breakdowns(status)
    content.failures, content.failed = failures, status.letters
    content.steps, content.completion = _steps(status), letters.FILE
    content.footer = (
        f"Written {moment(made)} by Haulyard {__version__} from the job's ledger. Times are UTC. "
        f"Every record that was not delivered is in {letters.FILE}; the numbers are in report.json."
    )
    return content


def _steps(status: RecordsStatus) -> list[Step]:
    return [step for step in status.steps if not step.command.startswith("haul report")]


def _figures(status: RecordsStatus) -> list[Figure]:
    account, listed = status.account, status.listed
    of = f" of {number(listed.objects)}" if listed else ""
    left = f"of {size(listed.size)}" if listed else ""
    whole = account.records and account.delivered + account.passed_over == account.records
    found = [
        Figure("Records", number(account.records), "that came to their end"),
        Figure("Delivered", number(account.delivered), "", "good" if whole else ""),
        Figure("Passed over", number(account.passed_over), "left out by a transform, a field or a sample"),
        Figure("Failed", number(account.failures), "dead letters", "bad" if account.failures else ""),
        Figure("Objects", number(status.objects_done), f"done{of}"),
        Figure("Bytes read", size(account.bytes_read), left),
        Figure("Calls", number(account.calls), f"{number(account.retries)} of them again"),
        Figure("Refused", number(account.refused), "answers 429"),
        Figure("Pauses", number(account.pauses), duration(account.paused) if account.pauses else ""),
    ]
    if status.unread:
        found.append(Figure("Unreadable", number(status.unread), "objects", "bad"))
    if account.runs:
        peak = f"peak {number(account.peak)}, over {duration(account.throughput.width)}"
        found += [
            Figure("Duration", duration(account.seconds), f"in {things(len(account.runs), 'run')}"),
            Figure("Records a second", number(account.rate), peak),
        ]
    if account.durations.count:
        marks = [duration(account.durations.percentile(each)) for each in figures.PERCENTILES]
        names = ", ".join(f"p{each}" for each in figures.PERCENTILES[1:])
        found.append(Figure("Median call", marks[0], f"{names}: {', '.join(marks[1:])}"))
    return found


def _breakdowns(status: RecordsStatus) -> list[Breakdown]:
    account = status.account
    errors = tuple(Share(name, count) for name, count in account.errors.most_common() if count)
    ends = tuple(Share(word, count) for name, word in _ENDS.items() if (count := getattr(account, name)))
    return [
        Breakdown("Errors by kind", "error", "times", errors, empty="No error was recorded."),
        Breakdown("Ends of records", "end", "records", ends),
    ]
