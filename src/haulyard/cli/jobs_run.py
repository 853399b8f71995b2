"""A run of `haul apply` or `haul undo`: what is said of each object, and the account at its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from haulyard.cli import exits, jobs
from haulyard.cli.foresight import nobody
from haulyard.cli.formats import human_size
from haulyard.errors import HaulError
from haulyard.journal.reporting import wording
from haulyard.observe.lines import describe_error, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from haulyard.cli.context import Context
    from haulyard.events import TransferDone
    from haulyard.jobs.applying.options import Tally
    from haulyard.journal.folder import JobFolder

#: Failures and kept objects that are listed at the end.
SHOWN: Final = 20
#: Failures that are remembered until their second try.
_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run came to, and which commands follow; ``left`` says what became of what was not done.

    ``reasons`` counts that by reason, also what ``before`` counts: what runs before this one left for good.
    """

    kind: ClassVar[str] = "job"

    job: str
    did: str
    left: str
    tally: Tally
    verified: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    before: int = 0
    steps: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Return it for people."""
        tally = self.tally
        if not (tally.done or tally.skipped or tally.failed or tally.interrupted):
            line = f"{self.job}: nothing was left to do"
        else:
            did = f"{wording.things(tally.done, 'object')} {self.did} ({human_size(tally.bytes)})"
            line = f"{self.job}: {did} in {tally.seconds:.1f} s"
        if told := [f"{count:,} by {how}" for how, count in sorted(self.verified.items())]:
            line += f"; verified: {', '.join(told)}"
        if left := tally.skipped + self.before:
            line += f"; {left:,} {self.left}"
        if tally.failed:
            line += f"; {tally.failed:,} failed"
        lines = [line]
        lines += [f"  {self.left}: {count:,}, {escape(why)}" for why, count in self.reasons.items()]
        width = max((len(why) for why, _ in self.steps), default=0)
        return "\n".join([*lines, *(f"  {why:{width}}  {line}" for why, line in self.steps)])

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "job": self.job,
            **self.tally._asdict(),
            "verified": dict(self.verified),
            self.left.replace(" ", "_"): dict(self.reasons),
            "next": [line for _, line in self.steps],
        }


class Run:
    """Says what becomes of each object, and remembers what is said at the end.

    ``verb`` is the command, ``did`` what becomes of objects, as in "3 objects moved", ``left`` of those with
    which nothing is done. Reasons that are ``told`` already are not said of each object again. ``before``
    counts what runs before this one left for good, by reason.
    """

    def __init__(
        self,
        verb: str,
        did: str,
        left: str,
        folder: JobFolder,
        context: Context,
        *,
        told: Collection[str] = (),
        before: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._verb = verb
        self._did = did
        self._left = left
        self._told = told
        self._before = before
        self._folder = folder
        self._context = context
        self._verified: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._failed: dict[tuple[str, str], tuple[str, int]] = {}

    def report(self, event: TransferDone) -> None:
        """Take note of one outcome, and say it: failures always, others only to programs."""
        self._context.emit(event)
        who = (event.source, event.destination)
        if event.error is not None:
            self._report_failure(who, event, event.error)
            return
        self._failed.pop(who, None)
        if event.action == "skip":
            self._skipped(event)
        elif event.verified:
            self._verified[event.verified] += 1
        if self._context.output.as_json:
            self._context.output.transfer(event)

    def _report_failure(self, who: tuple[str, str], event: TransferDone, error: Exception) -> None:
        text = describe_error(error)
        known = self._failed.get(who)
        if known is None and len(self._failed) >= _REMEMBERED:
            self._context.output.transfer(event)
            return
        self._failed[who] = (text, exits.exit_code(error))
        # The second try, at the end of the run, mostly fails for the same reason.
        if known is None or known[0] != text:
            self._context.output.transfer(event)

    def _skipped(self, event: TransferDone) -> None:
        reason = event.reason.removeprefix("kept: ")
        self._reasons[reason] += 1
        # What a decision leaves alone may be millions; what undo keeps nobody expected.
        if self._verb != "undo" or reason in self._told or self._context.output.as_json:
            return
        if self._reasons[reason] <= SHOWN:
            name = escape(event.source or event.destination)
            self._context.output.lines([f"kept: {name} ({escape(reason)})"])

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Say how to go on where the run is ended by an error or a signal."""
        output = self._context.output
        follows = jobs.command(self._verb, self._folder.name, self._context)
        try:
            yield
        except asyncio.CancelledError:
            output.note(f"to go on:  {follows}")
            raise
        except HaulError as error:
            # What is wrong with the command or the job says itself what to do.
            if exits.exit_code(error) not in {exits.USAGE, exits.NOT_FOUND}:
                error.hint = "; ".join(filter(None, (error.hint.rstrip("."), f"to go on: {follows}")))
            raise

    def end(self, tally: Tally, steps: tuple[tuple[str, str], ...]) -> int:
        """Say what it came to, and return the exit code."""
        output = self._context.output
        output.writer.flush()
        if tally.failed and not output.as_json:
            self._list_failures(tally.failed)
        output.result(
            Ended(
                self._folder.name,
                self._did,
                self._left,
                tally,
                dict(self._verified),
                self._reasons + Counter(self._before),
                sum(self._before.values()),
                steps,
            )
        )
        if tally.interrupted:
            return exits.INTERRUPTED
        return self._exit_code(tally)

    def _list_failures(self, count: int) -> None:
        output = self._context.output
        output.note(f"{count:,} failed:")
        shown = list(self._failed.items())[:SHOWN]
        for (source, destination), (text, _) in shown:
            name = source or destination
            output.note(f"  {escape(text if name in text else f'{name}: {text}')}")
        if count > len(shown):
            follows = jobs.command("report", self._folder.name, self._context)
            output.note(f"  … and {count - len(shown):,} more; {follows} lists all")

    def _exit_code(self, tally: Tally) -> int:
        if not tally.failed:
            return exits.OK
        codes = {code for _, code in self._failed.values()}
        if tally.done or tally.skipped or len(codes) != 1:
            return exits.FAILED
        code = codes.pop()
        # What could not go on for a reason of its own: no right, no network. Else the objects are to blame.
        return code if code in {exits.DENIED, exits.TEMPORARY} else exits.FAILED


def expect_rest(folder: JobFolder, expect: Callable[[int, int], None], *, undo: bool = False) -> None:
    """Tell a progress bar what is left to do; where none is shown, nobody is asked."""
    if expect is nobody:
        return
    from haulyard.jobs.model import Phase
    from haulyard.jobs.status import status_of

    status = status_of(folder)
    if undo:
        done = (Phase.DONE, Phase.COPIED, Phase.RETURNED)
        expect(sum(status.phases.get(phase, 0) for phase in done), 0)
    else:
        expect(status.left + status.failed, 0)
