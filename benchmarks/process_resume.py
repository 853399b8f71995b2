"""A CSV of 20 GB, half of it sent: how long until a command that goes on makes its first call.

The object is made up. The first half is sent beforehand, in large calls; what is measured ends with the first
call that the API sees. The command is then killed, so that the next trial finds the same.
"""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import harness, records, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZE = 20_000_000_000
_QUICK_SIZE = 200_000_000
#: Bytes of a line, and lines of a call while the first half is sent.
_WIDTH = 20_000
_BATCH = 100
_JOB = "half-sent"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    size = _SIZE if bench.scale.records > _SIZE // _WIDTH // 10 else _QUICK_SIZE
    jobs, log = bench.scratch / "jobs", bench.scratch / "haul.log"
    with records.made_up(bench, _WIDTH) as environ, socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        listener.close()
        process = tools.haul(
            *("process", f"s3://made-up/{size}.csv", "--to", f"http://127.0.0.1:{port}/records"),
            *("--records-per-call", str(_BATCH), "--body", "array", "--rate-limit-calls", "0"),
            *("--job", _JOB, "--job-dir", str(jobs)),
        )
        half = [*process, "--limit", str(size // _WIDTH // 2)]
        api = [tools.PYTHON, "-m", "haulyard.testing.api", f"--port={port}", "--no-bodies"]
        with records.running(api):
            harness.measure(half, environ, bench.scratch / "half.out", timeout=600)
        runner = [tools.PYTHON, str(tools.PEERS / "api_first_call.py"), str(port), str(log)]

        def verify(_trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            number = re.search(r"\d{12}", output.read_text())
            if number is None or int(number[0]) < size // _WIDTH // 2:
                raise WorkNotDoneError("it did not go on behind the first half")

        yield Contest(
            (Contestant("haul", lambda _: [*runner, *process]),),
            environ,
            verify,
        )
    shutil.rmtree(jobs, ignore_errors=True)


ROW = Comparison(
    name="process_resume",
    title="A CSV of 20 GB, half of it sent to an API, until the next call",
    bars=(Bar("wall", 2.0),),
    open=_open,
)
