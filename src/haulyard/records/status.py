"""How a records job stands, live or at rest: what `haul status` says of it.

All of it is in the last commit of the job's ledger. Nothing is locked and nothing is written, so that it
works while another process works on the job.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from haulyard.errors import JobError
from haulyard.journal.reporting import wording
from haulyard.journal.reporting.content import Step
from haulyard.records import figures
from haulyard.records.account import COMMAND, Account
from haulyard.records.ledger import Ledger
from haulyard.records.specification import is_address
from haulyard.records.stages import FINISHED, LISTING, PROCESSING, UNKNOWN, stage_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.journal.folder import Holder, JobFolder
    from haulyard.records.ledger import Kept, Listed

#: Dead letters, and objects that cannot be read, told by name.
SAMPLES: Final = 5
#: The rate is that of so many seconds before now.
RECENT: Final = 60.0

_STAGES: Final = {
    LISTING: "the source is not listed yet",
    PROCESSING: "begun, not finished",
    FINISHED: "finished",
    UNKNOWN: "damaged",
}


@dataclass(frozen=True, slots=True)
class RecordsStatus:
    """How one job stands; a message (``kind``, `text`, `fields`).

    ``to`` is the API's address as the job keeps it, without secrets. ``stage`` is one of
    `haulyard.records.stages`. ``holder`` is who works on it at this moment. ``listed`` is None until the
    source is listed; of ``objects_done`` all records came to their end. ``letters`` counts the dead letters
    that are not resolved, ``samples`` are the first of them. ``unread`` counts objects that cannot be read to
    their end, ``unread_samples`` are the first, with the reasons. ``rate`` is records a second over the last
    minute, ``byte_rate`` bytes of the source; 0.0 at rest. ``damaged`` has a sentence for everything that
    cannot be read.
    """

    kind: ClassVar[str] = "status"
    verb: ClassVar[str] = COMMAND

    name: str
    source: str = ""
    to: str = ""
    created: float = 0.0
    stage: str = UNKNOWN
    holder: Holder | None = None
    account: Account = field(default_factory=Account)
    listed: Listed | None = None
    objects_done: int = 0
    letters: int = 0
    samples: tuple[tuple[str, str], ...] = ()
    unread: int = 0
    unread_samples: tuple[tuple[str, str], ...] = ()
    rate: float = 0.0
    byte_rate: float = 0.0
    damaged: tuple[str, ...] = ()

    @property
    def is_running(self) -> bool:
        """Whether a process works on it at this moment."""
        return self.holder is not None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the rate of the last minute, None where nothing tells."""
        if self.listed is None or not self.byte_rate:
            return None
        left = self.listed.size - self.account.bytes_read
        return left / self.byte_rate if left > 0 else None

    @property
    def steps(self) -> list[Step]:
        """What to do next."""
        return next_steps(
            self.name, self.stage, self.letters, is_running=self.is_running, is_ours=is_address(self.to)
        )

    def lines(self) -> list[str]:
        """Return everything, for people."""
        ends = f" {self.source} to {self.to}" if self.to else ""
        lines = [f"{self.name}: {self.verb}{wording.visible(ends)}", f"  {self._state()}"]
        if self.listed is not None:
            read = f"{wording.number(self.objects_done)} of {wording.things(self.listed.objects, 'object')}"
            # What an interrupted run had read ahead is read, and counted, again.
            size = min(self.account.bytes_read, self.listed.size)
            sizes = f"{wording.size(size)} of {wording.size(self.listed.size)}"
            lines.append(f"  {read} done, {sizes} read")
        lines += [f"  {line}" for line in figures.lines_of(self.account)]
        lines += [f"  damaged: {wording.visible(each)}" for each in self.damaged]
        lines += _listed("objects that cannot be read to their end", self.unread_samples, self.unread)
        lines += _listed("dead letters", self.samples, self.letters)
        lines += [f"  {step.why} {step.command}" for step in self.steps]
        return lines

    def row(self) -> tuple[str, ...]:
        """Return the cells of its line in a table of jobs, as those of bulk jobs: records are its objects.

        Passed over is skipped; nothing is undone, or kept by undoing.
        """
        account = self.account
        state = "running" if self.is_running else self.stage
        state = f"{state}, damaged" if self.damaged and state != UNKNOWN else state
        counts = (account.records, account.delivered, account.failures, account.passed_over, 0, 0)
        return (self.name, self.verb, state, *map(wording.number, counts))

    def text(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self.lines())

    def fields(self) -> dict[str, object]:
        """Return everything, for programs."""
        return {
            "job": self.name,
            "verb": self.verb,
            "source": self.source,
            "to": self.to,
            "created": self.created,
            "stage": self.stage,
            "running": self.is_running,
            "holder": self.holder._asdict() if self.holder else None,
            "objects": self.listed.objects if self.listed else None,
            "bytes": self.listed.size if self.listed else None,
            "objects_done": self.objects_done,
            **figures.fields_of(self.account),
            "dead_letters": self.letters,
            "failures": [{"record": name, "message": reason} for name, reason in self.samples],
            "objects_unread": self.unread,
            "unread": [{"key": key, "message": reason} for key, reason in self.unread_samples],
            "recent_records_a_second": round(self.rate, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "damaged": list(self.damaged),
            "next": [step.command for step in self.steps],
        }

    def _state(self) -> str:
        if self.holder is None:
            return _STAGES[self.stage]
        running = f"running: {self.holder}" if self.holder.pid else "running"
        if not self.rate:
            return running
        left = self.seconds_left
        rest = f", about {wording.duration(left)} left" if left is not None else ""
        return f"{running}; {wording.number(self.rate)} records a second{rest}"


def next_steps(name: str, stage: str, letters: int, *, is_running: bool, is_ours: bool = True) -> list[Step]:
    """Return what a person may want to do with a job now; ``letters`` are those that are not resolved.

    ``is_ours`` where `haul process` can go on with it, and not only the program that began it.
    """
    if is_running:
        return [Step("see how it goes:", f"haul status {name}")]
    is_open = stage in {LISTING, PROCESSING}
    again = [Step("go on:", f"haul process --job {name}")] if is_open and is_ours else []
    look = Step("look at what failed:", f"haul process --dead-letters {name}")
    retry = Step("send again what failed:", f"haul process --retry-failed {name}")
    failed = [look, *([retry] if is_ours else [])] if letters else []
    return [*again, *failed, Step("see what happened:", f"haul report {name}")] if stage != UNKNOWN else []


def status_of(folder: JobFolder, *, clock: Callable[[], float] = time.time) -> RecordsStatus:
    """Return how a job stands; what is damaged is said in the status, not raised."""
    holder = folder.holder()
    stage, damaged = stage_of(folder)
    specification = folder.specification
    told: dict[str, Any] = {}
    if Ledger.exists(folder):
        try:
            with Ledger.open(folder, read_only=True) as ledger:
                told = _read(ledger)
        except JobError as error:
            damaged = (*damaged, str(error))
    elif stage != LISTING:
        damaged = (*damaged, "records.db is missing")
    rate, byte_rate = _rates(told.get("account"), holder, clock())
    return RecordsStatus(
        folder.name,
        str(specification.get("source", "")),
        str(specification.get("to", "")),
        float(specification.get("created", 0.0)),
        stage,
        holder,
        **told,
        rate=rate,
        byte_rate=byte_rate,
        damaged=damaged,
    )


def named(kept: Kept) -> str:
    """Return where the record of a letter is, for people."""
    address = kept.letter.address
    line = f"line {kept.letter.line}" if kept.letter.line else f"offset {address.offset}, row {address.row}"
    return f"{kept.source.key}, {line}"


def _read(ledger: Ledger) -> dict[str, Any]:
    """Return what a ledger says, by the names of `RecordsStatus`. Raises JobError where it is damaged."""
    state, listed = ledger.state(), ledger.listed
    letters = state.letters - state.resolved
    account = Account() if state.account is None else Account.from_json(state.account)
    first = next(ledger.letters(unresolved_only=True), []) if letters else []
    unread = list(ledger.unread().items())[:SAMPLES]
    watermark = (state.progress or {}).get("watermark", [1])[0]
    return {
        "account": account,
        "listed": listed,
        "objects_done": watermark - 1,
        "letters": letters,
        "samples": tuple((named(kept), kept.letter.reason) for kept in first[:SAMPLES]),
        "unread": state.unread,
        "unread_samples": tuple((ledger.source(number).key, reason) for number, reason in unread),
    }


def _rates(account: Account | None, holder: Holder | None, now: float) -> tuple[float, float]:
    """Return records and bytes a second; of a run that began within the last minute, since it began."""
    if holder is None or account is None:
        return 0.0, 0.0
    since = now - holder.since
    # Below zero the clock was set back.
    span = min(RECENT, max(since, 1.0)) if since >= 0 else RECENT
    records, size = account.recent(now - span)
    return records / span, size / span


def _listed(title: str, rows: tuple[tuple[str, str], ...], count: int) -> list[str]:
    if not rows:
        return []
    lines = [f"  {title}, {len(rows)} of {wording.number(count)}:"]
    return lines + [f"    {wording.visible(name)}: {wording.visible(reason)}" for name, reason in rows]
