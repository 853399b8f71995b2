"""`haul report` for bulk jobs: a page, a summary and a completion report, made from the journal alone.

`write_report` reads every shard once. The numbers on the page, in ``report.json`` and in ``completion.csv``
are of the same reading; of a job that runs meanwhile later shards may be a little further than earlier ones.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from haulyard.errors import ConfigError
from haulyard.events import Warned, ignore
from haulyard.jobs.inventory import missing_shards
from haulyard.jobs.model import Verb
from haulyard.jobs.reporting.account import Account
from haulyard.jobs.reporting.document import About, content_of, fields_of
from haulyard.jobs.reporting.folding import Names, fold
from haulyard.jobs.specification import Specification
from haulyard.journal import durable
from haulyard.journal.reporting import charts, page, wording
from haulyard.journal.reporting.completion import Completion
from haulyard.url import LocalPath, StdStream, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Emit
    from haulyard.journal.folder import JobFolder

__all__ = ["Reported", "write_report"]

COMPLETION = "completion.csv"
PAGE = "report.html"
SUMMARY = "report.json"


@dataclass(frozen=True, slots=True)
class Reported:
    """A report that was written; a message (``kind``, `text`, `fields`).

    ``directory`` holds ``report.html``, ``report.json`` and ``completion.csv``; ``summary`` is what is in
    ``report.json``.
    """

    kind: ClassVar[str] = "report"

    directory: str
    summary: dict[str, Any]

    @property
    def failed(self) -> int:
        """How many objects are failed."""
        return self._count("failed")

    @property
    def is_whole(self) -> bool:
        """Whether everything could be read."""
        return not self.summary["damaged"]

    def text(self) -> str:
        """Return what it comes to and where it is, for people."""
        all_of_them = wording.things(self.summary["acting"]["objects"], "object")
        ends = [f"{wording.number(self._count('done'))} of {all_of_them} done"]
        ends.append(f"{wording.number(self.failed)} failed")
        ends += [f"{wording.number(n)} {word}" for word, n in self._rest().items() if n]
        lines = [f"{self.summary['job']}: {', '.join(ends)}"]
        lines += [f"damaged: {wording.visible(each)}" for each in self.summary["damaged"]]
        lines += [os.path.join(self.directory, name) for name in (PAGE, SUMMARY, COMPLETION)]
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return where it is, for programs; the numbers are in ``report.json``."""
        return {
            "job": self.summary["job"],
            "page": os.path.join(self.directory, PAGE),
            "summary": os.path.join(self.directory, SUMMARY),
            "completion": os.path.join(self.directory, COMPLETION),
            "acting": self.summary["acting"]["objects"],
            "done": self.summary["done"]["objects"],
            "failed": self.failed,
            **{word: self._count(word) for word in ("skipped", "undone", "kept")},
            "damaged": self.summary["damaged"],
        }

    def _rest(self) -> dict[str, int]:
        """Return how many are neither done nor failed, in words that `haul status` uses, too."""
        return {
            "left": sum(map(self._count, ("left", "copied", "returned"))),
            "skipped": self._count("skipped"),
            "undone": self._count("undone"),
            "kept by undo": self._count("kept"),
        }

    def _count(self, phase: str) -> int:
        return int(self.summary[phase]["objects"])


def write_report(
    folder: JobFolder,
    *,
    directory: str = "",
    emit: Emit = ignore,
    clock: Callable[[], float] = time.time,
) -> Reported:
    """Write the report of a bulk job into ``directory``, ``""`` for ``report/`` of its folder.

    An earlier one is replaced. The job may be running, and damaged: what cannot be read is said in the
    report, which has the rest. Where matplotlib is not installed the page has tables and no charts, and a
    `Warned` says what to install.

    Raises:
        JobError: It is no bulk job.
        ConfigError: The report cannot be written.
    """
    specification = Specification.from_json(folder.specification)
    directory = os.path.abspath(directory) if directory else os.path.join(folder.path, "report")
    about = About.of(folder, specification, clock())
    account = Account()
    account.damaged += missing_shards(folder)
    names = _names(specification)
    try:
        os.makedirs(directory, exist_ok=True)
        with Completion(os.path.join(directory, COMPLETION)) as completion:
            for path in folder.shard_paths():
                fold(path, account, completion, names)
        account.throughput.fit(account.seconds)
        summary = fields_of(about, account)
        durable.replace(os.path.join(directory, SUMMARY), json.dumps(summary, indent=1).encode() + b"\n")
        if not charts.available():
            emit(
                Warned(
                    "the page has no charts: matplotlib is not installed", "pip install 'haulyard[report]'"
                )
            )
        text = page.render(content_of(about, account))
        durable.replace(os.path.join(directory, PAGE), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {directory}: {error.strerror}",
            hint="make room, or make the directory writable for this user",
        ) from error
    return Reported(directory, summary)


def _names(specification: Specification) -> Names:
    bucket, own = _end(specification.source)
    there = specification.destination
    destination_bucket, prefix = _end(there) if there else (bucket, own)
    half = "TagsNotSet" if specification.verb is Verb.RETAG else "SourceNotDeleted"
    return Names(bucket, destination_bucket, prefix, half)


def _end(text: str) -> tuple[str, str]:
    """Return the bucket of an end, and what stands before its keys."""
    end = parse(text)
    if isinstance(end, (LocalPath, StdStream)):
        return "", f"{text.rstrip('/')}/"
    return end.bucket, f"s3://{end.bucket}/"
