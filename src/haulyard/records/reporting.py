"""`haul report` for records jobs: a page, a summary and the dead letters, made from the ledger alone."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from haulyard.errors import ConfigError, JobError
from haulyard.events import Warned, ignore
from haulyard.journal import durable
from haulyard.journal.reporting import charts, page, wording
from haulyard.journal.reporting.completion import Completion
from haulyard.journal.reporting.content import LISTED, Failure
from haulyard.journal.reporting.series import Runs
from haulyard.records import letters
from haulyard.records.document import content_of, fields_of
from haulyard.records.ledger import Ledger
from haulyard.records.status import named, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Emit
    from haulyard.journal.folder import JobFolder
    from haulyard.records.ledger import Kept

PAGE = "report.html"
SUMMARY = "report.json"


@dataclass(frozen=True, slots=True)
class RecordsReported:
    """A report that was written; a message (``kind``, `text`, `fields`).

    ``directory`` holds ``report.html``, ``report.json`` and ``dead-letters.jsonl``; ``summary`` is what is in
    ``report.json``.
    """

    kind: ClassVar[str] = "report"

    directory: str
    summary: dict[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether everything could be read."""
        return not self.summary["damaged"]

    def text(self) -> str:
        """Return what it comes to and where it is, for people."""
        summary = self.summary
        all_of_them = wording.things(summary["records"], "record")
        ends = [f"{wording.number(summary['delivered'])} of {all_of_them} delivered"]
        if summary["passed_over"]:
            ends.append(f"{wording.number(summary['passed_over'])} passed over")
        ends.append(f"{wording.number(summary['failed'])} failed")
        lines = [f"{summary['job']}: {', '.join(ends)}"]
        lines += [f"damaged: {wording.visible(each)}" for each in summary["damaged"]]
        lines += [os.path.join(self.directory, name) for name in (PAGE, SUMMARY, letters.FILE)]
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return where it is, for programs; the numbers are in ``report.json``."""
        names = ("job", "records", "delivered", "passed_over", "failed", "damaged")
        return {
            **{name: self.summary[name] for name in names},
            "page": os.path.join(self.directory, PAGE),
            "summary": os.path.join(self.directory, SUMMARY),
            "completion": os.path.join(self.directory, letters.FILE),
        }


def write_report(
    folder: JobFolder,
    *,
    directory: str = "",
    emit: Emit = ignore,
    clock: Callable[[], float] = time.time,
) -> RecordsReported:
    """Write the report of a records job into ``directory``, ``""`` for ``report/`` of its folder.

    An earlier one is replaced. The job may be running, and damaged: what cannot be read is said in the
    report, which has the rest. Where matplotlib is not installed the page has tables and no charts, and
    a `Warned` says what to install.

    Raises:
        ConfigError: The report cannot be written.
    """
    directory = os.path.abspath(directory) if directory else os.path.join(folder.path, "report")
    made = clock()
    status = status_of(folder, clock=clock)
    runs = Runs()
    for run in status.account.runs:
        runs.add(run)
    status.account.throughput.fit(status.account.seconds)
    try:
        os.makedirs(directory, exist_ok=True)
        failures, written, damaged = _letters(folder, os.path.join(directory, letters.FILE))
        status = replace(status, damaged=tuple(dict.fromkeys((*status.damaged, *damaged))))
        summary = fields_of(status, failures, written, made)
        durable.replace(os.path.join(directory, SUMMARY), json.dumps(summary, indent=1).encode() + b"\n")
        if not charts.available():
            emit(
                Warned(
                    "the page has no charts: matplotlib is not installed", "pip install 'haulyard[report]'"
                )
            )
        text = page.render(content_of(status, failures, runs, made))
        durable.replace(os.path.join(directory, PAGE), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {directory}: {error.strerror}",
            hint="make room, or make the directory writable for this user",
        ) from error
    return RecordsReported(directory, summary)


def _letters(folder: JobFolder, path: str) -> tuple[list[Failure], int, list[str]]:
    """Write the letters that are not resolved; return the first, their number, and what is damaged.

    Raises:
        OSError: They cannot be written.
    """
    failures: list[Failure] = []
    written = 0
    with Completion(path) as completion:
        try:
            with Ledger.open(folder, read_only=True) as ledger:
                for page_of_them in ledger.letters(unresolved_only=True):
                    completion.add(letters.line_of(kept).decode() for kept in page_of_them)
                    written += len(page_of_them)
                    failures += [_failure(each) for each in page_of_them[: LISTED - len(failures)]]
        except JobError as error:
            return failures, written, [str(error)]
    return failures, written, []


def _failure(kept: Kept) -> Failure:
    letter = kept.letter
    kind = f"HTTP {letter.status}" if letter.status else letter.kind
    return Failure(named(kept), kind, letter.reason, letter.at)
