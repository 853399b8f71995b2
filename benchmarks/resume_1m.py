"""A large job that was killed half-way, applied again: how long until it copies the next object.

Half of its shards is finished and the next one half done. What is measured ends with the first CopyObject
that the store sees: until then the job was found, locked, and its journal read and checked. The command is
then killed, so that the next trial finds the same.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks import tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError
from benchmarks.servers import Endpoint
from haulyard.config.settings import default_state_dir
from haulyard.stores.access.capabilities import EXPERIMENTS
from haulyard.stores.access.record import EndpointRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHARDS = 10
_JOB = "half-done"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    jobs, log = bench.scratch / "jobs", bench.scratch / "haul.log"
    operations = bench.scale.many_keys
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    endpoint = Endpoint(f"http://127.0.0.1:{port}", "benchmark", "benchmark")
    environ = tools.environment(endpoint, bench.scratch)
    _remember_proofs(default_state_dir(environ), endpoint.url)
    builder = str(tools.PEERS / "half_done_job.py")
    tools.prepare([tools.PYTHON, builder, str(jobs), _JOB, str(operations), str(_SHARDS)], environ)

    def resume(_trial: str) -> list[str]:
        runner = [tools.PYTHON, str(tools.PEERS / "first_copy.py"), str(port), str(log)]
        return [*runner, *tools.haul("apply", _JOB, "--job-dir", str(jobs))]

    def check(trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        # Whether it copied is the runner's exit status; the other contestant has to count everything.
        said = output.read_text()
        if said and f"{operations:,} objects" not in said:
            raise WorkNotDoneError(f"{trial}: the status does not count {operations:,} objects")

    yield Contest(
        (
            Contestant("haul", resume),
            Contestant("haul status", lambda _: tools.haul("status", _JOB, "--job-dir", str(jobs))),
        ),
        environ,
        verify=check,
    )


def _remember_proofs(state_dir: str, url: str) -> None:
    """Have it known what the store honours, as it is where a job has run before."""
    EndpointRecord(state_dir, url).write(dict.fromkeys(EXPERIMENTS, True), datetime.now(UTC))


ROW = Comparison(
    name="resume_1m",
    title="A job of {many_keys:,} operations, half done, until it copies the next object",
    bars=(Bar("wall", 3.0),),
    open=_open,
)
