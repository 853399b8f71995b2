"""One shard read for a report: its journal, then its plan; every object is counted and gets its line.

A million operations pass here, so what is done for each is one or two operations on a dictionary, and what
they have in common is counted together at the end of the shard: it takes about as long as the journal's own
reading and checking.
"""

from __future__ import annotations

import json
from collections import Counter
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import JobError
from haulyard.jobs.model import NO_RULE, Action, Phase
from haulyard.jobs.reporting.account import ACTING, LEFT
from haulyard.journal.reporting.completion import FAILED, PENDING, SKIPPED, SUCCEEDED, UNDONE, line
from haulyard.journal.reporting.content import Failure
from haulyard.journal.reporting.series import Run
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from haulyard.jobs.reporting.account import Account
    from haulyard.journal.reporting.completion import Completion

_DONE: Final = Phase.DONE.value
_COPIED: Final = Phase.COPIED.value
_FAILED: Final = Phase.FAILED.value
_SKIPPED: Final = Phase.SKIPPED.value
_UNDONE: Final = Phase.UNDONE.value
_UNDOING: Final = frozenset({Phase.RETURNED.value, _UNDONE, Phase.KEPT.value})
_VERIFIED: Final = frozenset({_DONE, _COPIED, Phase.KEPT.value})
_QUOTE: Final = '"'
_ORDERED: Final = Action.ORDERED.value
#: What else the journal may say of a copy that a report repeats.
_TOLD: Final = ("marker", "made", "replaced", "reason")

#: etag, version, size, verified, seconds.
_USUAL: Final = 5

_WHY: Final = {
    Action.UNMATCHED: "no rule takes it",
    Action.SKIPPED: "a rule, or the fallback, skips it",
    Action.IN_PLACE: "it is in place already",
    Action.UNSAFE: "what its rule makes of its name is no key",
    Action.CYCLE: "it and others take each other's places: no order is safe",
    Action.MARKER: "the destination can hold no marker of a directory",
}


class Names(NamedTuple):
    """What keys are in: the buckets (``""`` on this machine), and what stands before keys of the destination.

    ``half`` is the code of what is half done.
    """

    bucket: str
    destination_bucket: str
    destination: str
    half: str


class _Trouble(NamedTuple):
    kind: str
    code: str
    status: str
    message: str
    at: float


def fold(path: str, account: Account, completion: Completion, names: Names) -> None:
    """Count a shard into ``account`` and write its lines.

    What is damaged is noted in ``account.damaged``; what was read of it before that is counted: the journal's
    entries and the plan's batches are checked one by one. The rows of a shard whose journal is damaged are
    listed as ``pending`` with the code ``JournalDamaged`` unless what is readable says that they are done.
    """
    try:
        with Shard.open(path, owner="report", read_only=True) as shard:
            journal = _Journal()
            try:
                for item, phase, at, details in shard.entries():
                    journal.take(item, phase, at, details)
            except JobError as error:
                journal.is_whole = False
                account.damaged.append(str(error))
            journal.count_into(account)
            lines = _Lines(account, journal, names)
            try:
                for page in shard.rows():
                    completion.add(lines.of(page))
            finally:
                lines.count()
    except JobError as error:
        account.damaged.append(str(error))


class _Journal:
    """What the journal of one shard says of each item, and when things happened."""

    def __init__(self) -> None:
        self.is_whole = True
        self.phases: dict[int, str] = {}
        self.told: dict[int, str] = {}
        # Only of those that went elsewhere than planned: a suffix made another name.
        self.went: dict[int, str] = {}
        self.verified: dict[int, str] = {}
        self.troubles: dict[int, _Trouble] = {}
        self._runs: list[Run] = []
        self._last = 0.0
        # Times are to the millisecond and durations to a tenth of it: most come several times.
        self._ended: list[float] = []
        self._moved: dict[float, int] = {}
        self._seconds: list[float] = []
        self._recorded: list[str] = []

    def take(self, item: int, phase: str, at: float, details: Mapping[str, Any]) -> None:
        """Take in one entry."""
        if not item:
            self._begin(at, details)
            return
        self._last = at
        self.phases[item] = phase
        if phase == _DONE:
            self._ended.append(at)
        if details:
            self._remember(item, phase, at, details)
        if phase == _FAILED:
            self.troubles[item] = trouble = _trouble(details, at)
            self._recorded.append(trouble.kind)
        elif phase in _UNDOING:
            self._undo(phase, at)

    def count_into(self, account: Account) -> None:
        """Add when things happened, and how long they took."""
        self._end_run()
        for run in self._runs:
            account.runs.add(run)
        for at, count in Counter(self._ended).items():
            account.throughput.add(at, count, 0)
        for at, size in self._moved.items():
            account.throughput.add(at, 0, size)
        for seconds, count in Counter(self._seconds).items():
            account.durations.add(seconds, count)
        account.recorded.update(self._recorded)

    def _begin(self, at: float, details: Mapping[str, Any]) -> None:
        self._end_run()
        self._last = at
        command = "undo" if details.get("undo") else "apply"
        self._runs.append(Run(at, at, command, str(details.get("host", "")), int(details.get("pid", 0))))

    def _end_run(self) -> None:
        if self._runs:
            run = self._runs[-1]
            self._runs[-1] = run._replace(end=max(self._last, run.start))

    def _undo(self, phase: str, at: float) -> None:
        if phase == _UNDONE:
            self._ended.append(at)
        if self._runs and self._runs[-1].command != "undo":
            self._runs[-1] = self._runs[-1]._replace(command="undo")

    def _remember(self, item: int, phase: str, at: float, details: Mapping[str, Any]) -> None:
        if "seconds" in details:
            self._seconds.append(details["seconds"])
        if "size" in details:
            # Bytes count when a copy is there, which for a move is before it is done.
            self._moved[at] = self._moved.get(at, 0) + details["size"]
        if "destination" in details:
            self.went[item] = details["destination"]
        elif self.went and phase == _COPIED:
            self.went.pop(item, None)
        told = ""
        if "verified" in details:
            self.verified[item] = verified = details["verified"]
            etag = str(details.get("etag") or "").strip(_QUOTE)
            told = f'"verified":"{verified}","etag":{encode_basestring_ascii(etag)}'
            if version := details.get("version"):
                told += f',"version":{encode_basestring_ascii(version)}'
        # Most copies have nothing else to say.
        if len(details) > _USUAL or not told:
            more = [f'"{name}":{_json(details[name])}' for name in _TOLD if name in details]
            told = ",".join([told, *more] if told else more)
        if told:
            # The text takes a quarter of the memory of the details. A copy made again tells everything again.
            before = "" if "verified" in details else self.told.get(item, "")
            self.told[item] = f"{before},{told}" if before else told


class _Lines:
    """Makes the completion report's lines of rows, and counts them."""

    def __init__(self, account: Account, journal: _Journal, names: Names) -> None:
        self._account = account
        self._journal = journal
        self._names = names
        self._sums: dict[tuple[int, int, int, str, str], list[int]] = {}

    def of(self, page: Sequence[tuple[Any, ...]]) -> Iterator[str]:
        """Yield the lines of a page; what is ordered has its line where it acts."""
        journal, sums, bucket = self._journal, self._sums, self._names.bucket
        for item, action, rule, key, version, size, _, _, _, destination, _, conflict, _ in page:
            if action == _ORDERED:
                continue
            if action in ACTING:
                phase = journal.phases.get(item, LEFT)
                what = (action, rule, conflict, phase, journal.verified.get(item, ""))
                end = self._end(item, phase, key or destination, destination)
            else:
                what = (action, rule, conflict, LEFT, "")
                end = _LEFT_ALONE[action]
            held = sums.get(what)
            if held is None:
                held = sums[what] = [0, 0]
            held[0] += 1
            held[1] += max(size, 0)
            if key:
                yield line(bucket, key, version, *end)
            else:
                yield line(self._names.destination_bucket, destination, version, *end)

    def count(self) -> None:
        """Add the rows of all pages to the account."""
        account = self._account
        for (action, rule, conflict, phase, verified), (count, size) in self._sums.items():
            account.actions[action].add(count, size)
            if rule != NO_RULE:
                account.rules[rule].add(count, size)
            if conflict:
                account.conflicts[conflict].add(count, size)
            if action in ACTING:
                account.phases[phase].add(count, size)
            if verified and phase in _VERIFIED:
                account.verified[verified] += count

    def _end(self, item: int, phase: str, key: str, destination: str) -> tuple[str, str, str, str]:
        """Return what became of an operation."""
        journal = self._journal
        told = journal.told.get(item, "")
        if destination := journal.went.get(item, destination):
            whole = encode_basestring_ascii(self._names.destination + destination)
            told = f'"destination":{whole},{told}' if told else f'"destination":{whole}'
        told = f"{{{told}}}" if told else ""
        if phase == _DONE:
            return SUCCEEDED, "200", "", told
        if phase == _FAILED:
            trouble = journal.troubles[item]
            self._account.fail(Failure(key, trouble.kind, trouble.message, trouble.at))
            return FAILED, trouble.status, trouble.code, trouble.message
        if not journal.is_whole:
            return PENDING, "", "JournalDamaged", "what became of it is not known; the store says"
        return _unfinished(phase, told, self._names.half)


def _unfinished(phase: str, told: str, half: str) -> tuple[str, str, str, str]:
    """Return what the report says of what is neither done nor failed."""
    ends = {
        LEFT: (PENDING, "", "", told),
        _COPIED: (PENDING, "", half, told),
        _SKIPPED: (SKIPPED, "", "LeftAlone", told),
        _UNDONE: (UNDONE, "200", "", told),
        # Undoing left it as it was: it is done.
        Phase.KEPT.value: (SUCCEEDED, "200", "KeptByUndo", told),
        Phase.RETURNED.value: (PENDING, "", "CopyNotDeleted", told),
    }
    return ends.get(phase, ends[LEFT])


def _trouble(details: Mapping[str, Any], at: float) -> _Trouble:
    code = str(details.get("code") or "")
    kind = code or str(details.get("error") or "unknown")
    status = str(details.get("status") or "")
    return _Trouble(kind, code or kind, status, str(details.get("message") or ""), at)


def _left_alone(action: Action) -> tuple[str, str, str, str]:
    code = "".join(part.capitalize() for part in action.word.split("-"))
    reason = encode_basestring_ascii(_WHY.get(action, action.word))
    return SKIPPED, "", code, f'{{"reason":{reason}}}'


def _json(value: object) -> str:
    return encode_basestring_ascii(value) if isinstance(value, str) else json.dumps(value)


_LEFT_ALONE: Final = {action.value: _left_alone(action) for action in Action}
