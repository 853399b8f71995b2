"""Plans as data: read, queried with SQL, exported."""

from haulyard.jobs.plan.export import FORMATS
from haulyard.jobs.plan.plan import Plan
from haulyard.jobs.plan.query import Answer

__all__ = ["FORMATS", "Answer", "Plan"]
