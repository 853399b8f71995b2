"""One shard read for a report: its journal, then its plan; every object is counted and gets its line."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import JobError
from haulyard.jobs.model import NO_RULE, Action, Phase
from haulyard.jobs.reporting.account import ACTING, LEFT
from haulyard.journal.reporting.completion import FAILED, PENDING, SKIPPED, SUCCEEDED, UNDONE, encoded
from haulyard.journal.reporting.content import Failure
from haulyard.journal.reporting.series import Run
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.jobs.reporting.account import Account
    from haulyard.journal.reporting.completion import Completion

_DONE: Final = Phase.DONE.value
_COPIED: Final = Phase.COPIED.value
_FAILED: Final = Phase.FAILED.value
_SKIPPED: Final = Phase.SKIPPED.value
_UNDOING: Final = frozenset({Phase.RETURNED.value, Phase.UNDONE.value, Phase.KEPT.value})
#: What the journal says of a copy and a report repeats.
_TOLD: Final = ("verified", "etag", "version", "marker", "made", "destination", "replaced", "reason")
_VERIFIED: Final = frozenset({_DONE, _COPIED, Phase.KEPT.value})

_WHY: Final = {
    Action.UNMATCHED: "no rule takes it",
    Action.SKIPPED: "a rule, or the fallback, skips it",
    Action.IN_PLACE: "it is in place already",
    Action.ARCHIVED: "it is archived: restore it first",
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
            journal = _Journal(account)
            try:
                for item, phase, at, details in shard.entries():
                    journal.take(item, phase, at, details)
            except JobError as error:
                journal.is_whole = False
                account.damaged.append(str(error))
            journal.end()
            lines = _Lines(account, journal, names)
            for page in shard.rows():
                completion.add(lines.of(page))
    except JobError as error:
        account.damaged.append(str(error))


class _Journal:
    """What the journal of one shard says of each item."""

    def __init__(self, account: Account) -> None:
        self.is_whole = True
        self.phases: dict[int, str] = {}
        self.told: dict[int, str] = {}
        self.verified: dict[int, str] = {}
        self.troubles: dict[int, _Trouble] = {}
        self._account = account
        self._run: Run | None = None
        self._last = 0.0

    def take(self, item: int, phase: str, at: float, details: Mapping[str, Any]) -> None:
        """Take in one entry."""
        account = self._account
        if not item:
            self._begin(at, details)
            return
        self._last = at
        self.phases[item] = phase
        if details:
            self._remember(item, details)
        if phase == _DONE:
            # A copy's bytes came with its verification, unless that was the same entry.
            account.throughput.add(at, 1, details.get("size") or 0)
        elif phase == _COPIED:
            account.throughput.add(at, 0, details.get("size") or 0)
        elif phase == _FAILED:
            trouble = _trouble(details, at)
            self.troubles[item] = trouble
            account.recorded[trouble.kind] += 1
        elif phase in _UNDOING:
            self._undoing(phase, at)

    def end(self) -> None:
        """Note the run that the journal ends with."""
        if self._run is not None:
            self._account.runs.add(self._run._replace(end=max(self._last, self._run.start)))
            self._run = None

    def _begin(self, at: float, details: Mapping[str, Any]) -> None:
        self.end()
        self._last = at
        command = str(details.get("command", "apply"))
        self._run = Run(at, at, command, str(details.get("host", "")), int(details.get("pid", 0)))

    def _undoing(self, phase: str, at: float) -> None:
        if phase == Phase.UNDONE:
            self._account.throughput.add(at, 1, 0)
        if self._run is not None and self._run.command != "undo":
            self._run = self._run._replace(command="undo")

    def _remember(self, item: int, details: Mapping[str, Any]) -> None:
        if (seconds := details.get("seconds")) is not None:
            self._account.durations.add(seconds)
        if verified := details.get("verified"):
            self.verified[item] = verified
        # The text is a quarter of what the details take in memory.
        if told := ", ".join([f'"{name}": {_json(details[name])}' for name in _TOLD if name in details]):
            before = self.told.get(item)
            # A copy that was made again tells everything again.
            self.told[item] = told if before is None or "etag" in details else f"{before}, {told}"


class _Lines:
    """Makes the completion report's lines of rows, and counts them."""

    def __init__(self, account: Account, journal: _Journal, names: Names) -> None:
        self._account = account
        self._journal = journal
        self._names = names

    def of(self, page: Sequence[tuple[Any, ...]]) -> list[tuple[str, str, str, str, str, str, str]]:
        """Return a page's lines; what is ordered has its line where it acts."""
        account, bucket = self._account, self._names.bucket
        actions, rules, conflicts = account.actions, account.rules, account.conflicts
        lines = []
        for item, action, rule, key, version, size, _, _, _, destination, _, conflict, _ in page:
            if action == Action.ORDERED:
                continue
            actions[action].add(size)
            if rule != NO_RULE:
                rules[rule].add(size)
            if conflict:
                conflicts[conflict].add(size)
            if action in ACTING:
                end = self._end(item, key or destination, size, destination)
            else:
                why = Action(action)
                end = (SKIPPED, "", _code(why), _message(_WHY.get(why, why.word)))
            where = bucket if key else self._names.destination_bucket
            lines.append((where, encoded(key or destination), version, *end))
        return lines

    def _end(self, item: int, key: str, size: int, destination: str) -> tuple[str, str, str, str]:
        """Count what became of an operation; return its status, HTTP's, the code and the message."""
        account, journal = self._account, self._journal
        phase = journal.phases.get(item, LEFT)
        account.phases[phase].add(size)
        if phase in _VERIFIED and (verified := journal.verified.get(item)):
            account.verified[verified] += 1
        told = journal.told.get(item, "")
        if destination and '"destination"' not in told:
            whole = encode_basestring_ascii(self._names.destination + destination)
            told = f'"destination": {whole}, {told}' if told else f'"destination": {whole}'
        if phase == _DONE:
            return SUCCEEDED, "200", "", f"{{{told}}}" if told else ""
        if phase == _FAILED:
            trouble = journal.troubles[item]
            account.fail(Failure(key, trouble.kind, trouble.message, trouble.at))
            return FAILED, trouble.status, trouble.code, trouble.message
        if not journal.is_whole:
            return PENDING, "", "JournalDamaged", "what became of it is not known; the store says"
        return _rest(phase, f"{{{told}}}" if told else "", self._names.half)


def _rest(phase: str, told: str, half: str) -> tuple[str, str, str, str]:
    """Return what the report says of what is neither done nor failed."""
    if phase == _COPIED:
        return PENDING, "", half, told
    if phase == _SKIPPED:
        return SKIPPED, "", "LeftAlone", told
    if phase == Phase.UNDONE:
        return UNDONE, "200", "", told
    if phase == Phase.KEPT:
        # Undoing left it as it was: it is done.
        return SUCCEEDED, "200", "KeptByUndo", told
    if phase == Phase.RETURNED:
        return PENDING, "", "CopyNotDeleted", told
    return PENDING, "", "", told


def _trouble(details: Mapping[str, Any], at: float) -> _Trouble:
    code = str(details.get("code") or "")
    kind = code or str(details.get("error") or "unknown")
    status = str(details.get("status") or "")
    return _Trouble(kind, code or kind, status, str(details.get("message") or ""), at)


def _code(action: Action) -> str:
    return "".join(part.capitalize() for part in action.word.split("-"))


def _message(text: str) -> str:
    return f'{{"reason": {encode_basestring_ascii(text)}}}'


def _json(value: object) -> str:
    return encode_basestring_ascii(value) if isinstance(value, str) else json.dumps(value)
