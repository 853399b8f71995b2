"""Plans a job as ``haul plan copy SOURCE DESTINATION --rules FILE --job NAME`` does, without its bar.

::

    plan_job.py SOURCE DESTINATION RULES DIRECTORY NAME
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time

import uvloop

from haulyard.config.resolve import resolve
from haulyard.events import ignore
from haulyard.jobs.ends import open_ends
from haulyard.jobs.model import Verb
from haulyard.jobs.planning.planner import make_plan
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder
from haulyard.stores.assemble import Connection


async def _plan(source: str, destination: str, path: str, directory: str, name: str) -> None:
    settings = resolve({}, os.environ, os.getcwd())
    rules = Rules.load(path)
    specification = Specification(Verb.COPY, source, destination, rules=rules.text, created=time.time())
    folder = JobFolder.create(directory, name, specification.to_json())
    async with Connection(settings, observed=lambda: False) as connection:
        ends = await open_ends(specification, connection, connection, may_write=False)
        with folder.lock("plan"):
            summary = await make_plan(folder, specification, rules, ends, emit=ignore)
    sys.stdout.write("\n".join(summary.lines()) + "\n")


if __name__ == "__main__":
    # As `haulyard.cli.running` has it.
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_plan(*sys.argv[1:]))
