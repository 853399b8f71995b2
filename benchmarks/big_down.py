"""One large object downloaded from nginx, with bare sockets beside it as the machine's limit."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, tools
from benchmarks.comparison import MIB, Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET = "objects"
_KEY = "large.bin"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    root, targets = bench.scratch / "root", bench.scratch / "targets"
    source = root / _BUCKET / _KEY
    source.parent.mkdir(parents=True)
    targets.mkdir()
    inputs.large_file(source, bench.scale.large)
    url = f"s3://{_BUCKET}/{_KEY}"

    def target(trial: str) -> str:
        return str(targets / trial)

    with nginx(tools.required("nginx"), root) as endpoint:
        host, _, port = endpoint.url.rpartition("/")[2].partition(":")
        raw = (host, port, f"/{_BUCKET}/{_KEY}", str(bench.scale.large))
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("cp", url, target(trial))),
                Contestant("s5cmd", lambda trial: tools.s5cmd("cp", url, target(trial))),
                Contestant(
                    "rclone",
                    lambda trial: tools.rclone("copyto", f"{tools.REMOTE}:{_BUCKET}/{_KEY}", target(trial)),
                ),
                Contestant(
                    "obstore", lambda trial: tools.peer("obstore", "get", _BUCKET, _KEY, target(trial))
                ),
                Contestant("boto3", lambda trial: tools.peer("boto3", "get", _BUCKET, _KEY, target(trial))),
                Contestant("raw sockets", lambda trial: tools.peer("raw_sockets", *raw, target(trial))),
            ),
            tools.environment(endpoint, bench.scratch),
            verify=lambda trial, _output, first: inputs.require_same_file(
                source, targets / trial, content=first
            ),
            clear=lambda trial: (targets / trial).unlink(missing_ok=True),
        )


ROW = Comparison(
    name="big_down",
    title="{large} down (nginx)",
    bars=(Bar("wall", 0.95, "s5cmd"), Bar("cpu", 0.7, "s5cmd"), Bar("rss", 150 * MIB)),
    open=_open,
    needs=("nginx",),
)
