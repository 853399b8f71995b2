"""Finished plans on disk, as `haul plan` leaves them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.jobs.planning.sealed_plans import make_plan, one_store, spilled

from haulyard.jobs.model import Verb
from haulyard.jobs.plan import Plan
from haulyard.jobs.planning.finishing import finish
from haulyard.jobs.planning.present import Present
from haulyard.jobs.specification import Specification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.jobs.model import Operation

RULES = """\
[[rule]]
name = "logs"
match = '^logs/'
to = "archive/{name}"

[[rule]]
glob = "*"
to = "rest/{key}"
"""


def finished_plan(
    directory: str, rows: Sequence[Operation], *, source: str = "s3://bucket/in/", rules: str = RULES
) -> Plan:
    """Write the plan of a move, three rows a shard, and open it."""
    specification = Specification(Verb.MOVE, source, "s3://bucket/", rules, "rules.toml" if rules else "")
    folder = make_plan(directory, rows, specification=specification.to_json())
    with spilled(folder) as spill, Present() as nothing:
        asyncio.run(finish(folder, one_store(), Verb.MOVE, spill, nothing))
    folder.write("state", {"stage": "planned"})
    return Plan.open("job", directory)
