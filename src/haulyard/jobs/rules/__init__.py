"""The rules of bulk jobs: which objects a job takes, where they go, and what changes about them."""

from haulyard.jobs.rules.changes import Changes
from haulyard.jobs.rules.conditions import Age, Conditions
from haulyard.jobs.rules.explaining import Explanation, Verdict
from haulyard.jobs.rules.mistakes import Mistake, RulesError
from haulyard.jobs.rules.placing import Placed
from haulyard.jobs.rules.rule import Fallback, Folders, Properties, Rule
from haulyard.jobs.rules.rules import Rules

__all__ = [
    "Age",
    "Changes",
    "Conditions",
    "Explanation",
    "Fallback",
    "Folders",
    "Mistake",
    "Placed",
    "Properties",
    "Rule",
    "Rules",
    "RulesError",
    "Verdict",
]
