"""Whether rules fit what a job does: nothing that they say may be ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.jobs.model import Verb
from haulyard.jobs.rules.mistakes import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.jobs.rules.rule import Fallback, Folders, Rule


def misfits(verb: Verb, rules: Sequence[Rule], fallback: Fallback, folders: Folders) -> list[Mistake]:
    """Return everything that does not fit the verb, in the order of the lines."""
    found = [mistake for rule in rules for mistake in _of_rule(verb, rule)]
    if not verb.writes_elsewhere:
        if fallback.to is not None:
            found.append(Mistake(fallback.line, "[fallback]", f"to: {verb} gives objects no new key"))
        if folders.create:
            found.append(Mistake(folders.line, "[folders]", f"create: {verb} makes no folders"))
    return sorted(found, key=lambda mistake: mistake.line)


def _of_rule(verb: Verb, rule: Rule) -> Iterator[Mistake]:
    if rule.skip:
        return
    if verb.writes_elsewhere:
        if rule.to is None:
            yield Mistake(
                rule.line,
                rule.label,
                f'{verb} needs a destination: to = "…", or skip = true to leave objects alone',
            )
        return
    if rule.to is not None:
        yield Mistake(rule.line_of("to"), rule.label, f"to: {verb} gives objects no new key")
    useful = rule.properties.tag_names() if verb is Verb.RETAG else []
    for name in rule.properties.names():
        if name not in useful:
            changes = "only tags" if verb is Verb.RETAG else "nothing about objects"
            yield Mistake(rule.line_of(name), rule.label, f"{name}: {verb} changes {changes}")
    if verb is Verb.RETAG and not useful:
        yield Mistake(
            rule.line, rule.label, 'retag needs tags = { key = "value" }, remove_tags or replace_tags = true'
        )
