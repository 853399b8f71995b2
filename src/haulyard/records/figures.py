"""An account in numbers for programs and in words for people: for `haul status`, reports, a run's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from haulyard.journal.reporting.durations import ERROR
from haulyard.journal.reporting.wording import duration, number, things, visible
from haulyard.records.account import FAILURES

if TYPE_CHECKING:
    from haulyard.records.account import Account

PERCENTILES: Final = (50, 95, 99)
#: So many kinds of errors are told in words.
_ERRORS: Final = 6


def fields_of(account: Account) -> dict[str, Any]:
    """Return the numbers, in seconds and bytes; ``latency`` is that of calls."""
    durations = account.durations
    return {
        "records": account.records,
        "delivered": account.delivered,
        "passed_over": account.passed_over,
        "failed": account.failures,
        "failures_by_kind": {kind: getattr(account, kind) for kind in FAILURES},
        "calls": account.calls,
        "retries": account.retries,
        "refused": account.refused,
        "pauses": account.pauses,
        "paused_seconds": round(account.paused, 3),
        "bytes_read": account.bytes_read,
        "errors": dict(account.errors.most_common()),
        "working_seconds": round(account.seconds, 3),
        "runs": len(account.runs),
        "records_a_second": round(account.rate, 3),
        "latency": {
            "count": durations.count,
            "mean": round(durations.mean, 6),
            **{f"p{each}": round(durations.percentile(each), 6) for each in PERCENTILES},
            "longest": durations.longest,
            "relative_error": ERROR,
        },
    }


def lines_of(account: Account) -> list[str]:
    """Return the same in words; no line for what there is none of."""
    lines = []
    if account.records:
        lines.append(_records(account))
    if account.calls:
        lines.append(_calls(account))
    if runs := account.runs:
        mean = f"{number(account.rate)} records a second on the average"
        lines.append(f"{duration(account.seconds)} of work in {things(len(runs), 'run')}, {mean}")
    if durations := account.durations.count:
        marks = [f"p{each} {duration(account.durations.percentile(each))}" for each in PERCENTILES]
        lines.append(f"time of {things(durations, 'answer')}: {', '.join(marks)}")
    if errors := account.errors.most_common():
        told = [f"{visible(name)} {number(count)}" for name, count in errors[:_ERRORS] if count]
        more = f", and {len(errors) - _ERRORS} other kinds" if len(errors) > _ERRORS else ""
        lines.append(f"errors seen: {', '.join(told)}{more}")
    return lines


def _records(account: Account) -> str:
    parts = [f"{number(account.delivered)} delivered"]
    if account.passed_over:
        parts.append(f"{number(account.passed_over)} passed over")
    kinds = [f"{number(count)} {kind}" for kind in FAILURES if (count := getattr(account, kind))]
    parts.append(f"{number(account.failures)} failed" + (f" ({', '.join(kinds)})" if kinds else ""))
    return f"{things(account.records, 'record')}: {', '.join(parts)}"


def _calls(account: Account) -> str:
    parts = [things(account.calls, "call")]
    if account.retries:
        parts.append(f"{number(account.retries)} of them again")
    if account.refused:
        parts.append(f"{number(account.refused)} refused (429)")
    if account.pauses:
        parts.append(f"{things(account.pauses, 'pause')} of {duration(account.paused)} in all")
    return ", ".join(parts)
