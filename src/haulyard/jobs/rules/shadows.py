"""Rules that can never match, because an earlier one takes everything that they could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.jobs.rules.shapes import holds, study_expression, study_glob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.jobs.rules.rule import Rule
    from haulyard.jobs.rules.shapes import Study


def shadowed(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Yield each rule that can never match, with the first rule that takes all that it could.

    Only what is certain is told (keys with line breaks left aside): what several rules take together, or
    what depends on more than fixed texts and wildcards, is not looked into.
    """
    studies = [
        study_glob(rule.glob) if rule.match is None else study_expression(rule.match) for rule in rules
    ]
    for number, (rule, study) in enumerate(zip(rules, studies, strict=True)):
        for earlier, other in zip(rules[:number], studies[:number], strict=True):
            if _same(earlier, rule) or _holds(other, study):
                if not earlier.conditions.implied_by(rule.conditions):
                    continue
                yield rule, earlier
                break


def _same(one: Rule, other: Rule) -> bool:
    return (one.match, one.glob) == (other.match, other.glob)


def _holds(earlier: Study, later: Study) -> bool:
    return earlier.exact and ord("\n") not in later.upper and holds(earlier.upper, later.upper)
