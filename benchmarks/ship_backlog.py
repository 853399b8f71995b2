"""A backlog of small files shipped, each verified by a HEAD and deleted, beside `haul cp` of the same."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MEMORY = 150_000_000


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    count, scratch = 2 * bench.scale.files, bench.scratch
    nested, source = scratch / "nested", scratch / "source"
    names = inputs.small_files(nested, count, bench.scale.file_size)
    source.mkdir()
    for number, name in enumerate(names):
        (nested / name).rename(
            source / f"20250729_{number // 3600:02}{number // 60 % 60:02}{number % 60:02}.xml"
        )

    def prepare(trial: str) -> None:
        shutil.copytree(source, scratch / trial)

    with seaweedfs(scratch) as endpoint:
        environ = tools.environment(endpoint, scratch)
        stored.make_bucket(environ)

        def verify(trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            stored.require(environ, trial, count, count * bench.scale.file_size)
            left = [name for name in os.listdir(scratch / trial) if name.endswith(".xml")]
            if left and len(left) != count:
                raise WorkNotDoneError(f"{len(left)} files were left")

        def ship(trial: str) -> list[str]:
            return tools.haul(
                *(
                    "ship",
                    str(scratch / trial),
                    "--to",
                    stored.url(trial),
                    "--settle",
                    "0",
                    "--after",
                    "delete",
                )
            )

        yield Contest(
            (
                Contestant("haul", ship),
                Contestant(
                    "haul cp", lambda trial: tools.haul("cp", f"{scratch / trial}/", stored.url(trial))
                ),
            ),
            environ,
            verify,
            prepare,
            lambda trial: shutil.rmtree(scratch / trial),
        )


ROW = Comparison(
    name="ship_backlog",
    title="A backlog of twice {files:,} files of 4 KiB shipped: uploaded, verified, deleted",
    bars=(Bar("wall", 1.9, "haul cp"), Bar("rss", _MEMORY)),
    open=_open,
)
