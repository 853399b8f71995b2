"""The rules of bulk jobs: which objects a job takes, where they go, and what changes about them."""

from haulyard.jobs.rules.changes import Changes
from haulyard.jobs.rules.mistakes import Mistake, RulesError
from haulyard.jobs.rules.rules import Explanation, Fallback, Folders, Placed, Rule, Rules

__all__ = [
    "Changes",
    "Explanation",
    "Fallback",
    "Folders",
    "Mistake",
    "Placed",
    "Rule",
    "Rules",
    "RulesError",
]
