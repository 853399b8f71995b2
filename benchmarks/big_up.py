"""One large file uploaded to the embedded store, which is a new one for each trial."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, stored, tools
from benchmarks.comparison import MIB, Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEY = "large.bin"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    source = bench.scratch / _KEY
    inputs.large_file(source, bench.scale.large)
    environ = tools.environment(None, bench.scratch)
    server = ExitStack()

    def prepare(_trial: str) -> None:
        # A store that was filled by others would be slower, and does not give space back at once.
        endpoint = server.enter_context(seaweedfs(bench.scratch))
        environ.update(tools.environment(endpoint, bench.scratch))
        stored.make_bucket(environ)

    def verify(trial: str, _output: Path, first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        stored.require(environ, trial, 1, bench.scale.large)
        if first:
            stored.require_content(environ, f"{trial}/{_KEY}", source, bench.scratch)

    def script(library: str, trial: str) -> list[str]:
        return tools.peer(library, "put", str(source), stored.BUCKET, f"{trial}/{_KEY}")

    with server:
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("cp", str(source), stored.url(trial))),
                Contestant("s5cmd", lambda trial: tools.s5cmd("cp", str(source), stored.url(trial))),
                Contestant("rclone", lambda trial: tools.rclone("copy", str(source), stored.remote(trial))),
                Contestant("obstore", lambda trial: script("obstore", trial)),
                Contestant("boto3", lambda trial: script("boto3", trial)),
            ),
            environ,
            verify,
            prepare,
            clear=lambda _trial: server.close(),
        )


ROW = Comparison(
    name="big_up",
    title="{large} up",
    bars=(Bar("wall", 1.0, "s5cmd"), Bar("rss", 200 * MIB)),
    open=_open,
)
