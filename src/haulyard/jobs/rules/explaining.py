"""Why an object goes where it goes: what each rule says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.jobs.model import FALLBACK, NO_RULE, Action
from haulyard.jobs.rules.expand import Batch, Expander, unknown
from haulyard.jobs.rules.template import Scope
from haulyard.jobs.rules.values import flaw_of_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.jobs.rules.placing import Ready
    from haulyard.jobs.rules.rule import Fallback
    from haulyard.models import ObjectInfo


class Verdict(NamedTuple):
    """What one rule says of an object.

    ``outcome`` is ``takes it``, ``does not take it``, or ``would take it`` where an earlier rule comes
    first; ``line`` is 0 where the file says nothing.
    """

    rule: str
    line: int
    outcome: str
    reason: str = ""

    def text(self) -> str:
        """Return it as a line."""
        place = f" (line {self.line})" if self.line else ""
        return f"{self.rule}{place} {self.outcome}" + (f": {self.reason}" if self.reason else "")


class Explanation(NamedTuple):
    """Which rule takes an object, why not the others, and where it goes: a message of the command line.

    ``rule`` and ``action`` are numbers as in `Placed`; ``groups`` are those of the rule that takes it;
    ``flaws`` say why it is unsafe; ``destination`` is relative to that of the job.
    """

    key: str
    rule: int
    action: int
    destination: str
    groups: Mapping[str, str]
    flaws: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def kind(self) -> str:
        """The name of such results in JSON."""
        return "explanation"

    def text(self) -> str:
        """Return it for people: the key and its fate, then a line for each rule."""
        word = Action(self.action).word
        fate = f"-> {self.destination}" if self.destination else f"({word})"
        lines = [f"{_shown(self.key)} {_shown(fate)}"]
        lines += [f"  {_shown(verdict.text())}" for verdict in self.verdicts]
        lines += [f"  {{{name}}} is {value!r}" for name, value in self.groups.items()]
        lines += [f"  {word}: {_shown(flaw)}" for flaw in self.flaws]
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "key": self.key,
            "rule": self.rule,
            "action": Action(self.action).word,
            "destination": self.destination,
            "groups": dict(self.groups),
            "flaws": list(self.flaws),
            "rules": [verdict._asdict() for verdict in self.verdicts],
        }


def _shown(text: str) -> str:
    """Return a text as one line that cannot steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def explain(
    rules: Sequence[Ready],
    fallback: Fallback,
    fallback_to: Expander | None,
    info: ObjectInfo,
    now: float,
    tags: Mapping[str, str] | None,
    longest: int,
) -> Explanation:
    """Say what each rule makes of an object; tags that are not known (None) meet no condition."""
    verdicts: list[Verdict] = []
    taker: Ready | None = None
    for ready in rules:
        unmet = _unmet(ready, info, now, tags)
        if unmet:
            outcome = "does not take it"
        elif taker is None:
            taker, outcome = ready, "takes it"
        else:
            outcome, unmet = "would take it", f"{taker.rule.label} comes first"
        verdicts.append(Verdict(ready.rule.label, ready.rule.line, outcome, unmet))
    if taker is None:
        action = {"to": Action.ACT, "skip": Action.SKIPPED, "fail": Action.UNMATCHED}[fallback.action]
        batch = Batch([info.key], [info], [])
        destination, flaws = _destination(fallback_to, batch, Scope(), longest)
        verdicts.append(Verdict("[fallback]", fallback.line, "takes it", fallback.action))
        number = NO_RULE if action == Action.UNMATCHED else FALLBACK
        return _explanation(info.key, number, action, destination, {}, flaws, verdicts)
    match = taker.pattern.find(info.key)
    groups = {} if match is None else match.groupdict(default="")
    if taker.rule.skip:
        return _explanation(info.key, taker.rule.index, Action.SKIPPED, "", groups, [], verdicts)
    batch = Batch([info.key], [info], [] if match is None else [match])
    destination, flaws = _destination(taker.to, batch, taker.scope, longest)
    flaws += taker.changer.flaws(batch)
    return _explanation(info.key, taker.rule.index, Action.ACT, destination, groups, flaws, verdicts)


def _unmet(ready: Ready, info: ObjectInfo, now: float, tags: Mapping[str, str] | None) -> str:
    if ready.pattern.find(info.key) is None:
        what = f"glob '{ready.rule.glob}'" if ready.rule.match is None else f"match '{ready.rule.match}'"
        return f"its {what} does not fit the key"
    return "; ".join(ready.rule.conditions.unmet(info, now, tags))


def _destination(to: Expander | None, batch: Batch, scope: Scope, longest: int) -> tuple[str, list[str]]:
    if to is None:
        return "", []
    (text,) = to.expand(batch)
    if text is None:
        return "", [unknown(piece, batch, scope) for piece in to.missing(batch)]
    flaw = flaw_of_key(text, longest)
    return text, [f"to: {flaw}"] if flaw else []


def _explanation(
    key: str,
    rule: int,
    action: Action,
    destination: str,
    groups: Mapping[str, str],
    flaws: Sequence[str],
    verdicts: Sequence[Verdict],
) -> Explanation:
    """Put it together; what has a flaw is unsafe and goes nowhere."""
    if flaws:
        action, destination = Action.UNSAFE, ""
    return Explanation(key, rule, int(action), destination, groups, tuple(flaws), tuple(verdicts))
