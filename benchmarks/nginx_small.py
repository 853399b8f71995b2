"""Thousands of small objects downloaded from nginx, named one by one: the client's own cost of a request."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUCKET = "objects"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    root, lists, targets = (bench.scratch / name for name in ("root", "lists", "targets"))
    names = inputs.small_files(root / _BUCKET, bench.scale.files, bench.scale.file_size)
    lists.mkdir()
    (lists / "keys").write_text("".join(f"{name}\n" for name in names))
    expected = {name.rpartition("/")[2]: bench.scale.file_size for name in names}

    def commands(trial: str) -> str:
        return str(lists / trial)

    def prepare(trial: str) -> None:
        target = targets / trial
        target.mkdir(parents=True)
        lines = (f"cp s3://{_BUCKET}/{name} {target}/\n" for name in names)
        (lists / trial).write_text("".join(lines))

    def verify(trial: str, _output: Path, first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        # rclone alone keeps the directories of the keys.
        arrived = {path.name: path for path in (targets / trial).rglob("*.bin")}
        inputs.require_same_files(expected, {name: path.stat().st_size for name, path in arrived.items()})
        for name in names if first else ():
            inputs.require_same_file(root / _BUCKET / name, arrived[name.rpartition("/")[2]], content=True)

    def clear(trial: str) -> None:
        shutil.rmtree(targets / trial)
        (lists / trial).unlink()

    with nginx(tools.required("nginx"), root) as endpoint:
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("run", commands(trial))),
                Contestant("s5cmd", lambda trial: tools.s5cmd("run", commands(trial))),
                Contestant(
                    "rclone",
                    lambda trial: tools.rclone(
                        "copy",
                        f"{tools.REMOTE}:{_BUCKET}",
                        str(targets / trial),
                        f"--files-from-raw={lists / 'keys'}",
                        "--no-traverse",
                    ),
                ),
                Contestant(
                    "obstore",
                    lambda trial: tools.peer(
                        "obstore", "named", _BUCKET, str(lists / "keys"), str(targets / trial)
                    ),
                ),
            ),
            tools.environment(endpoint, bench.scratch),
            verify,
            prepare,
            clear,
        )


ROW = Comparison(
    name="nginx_small",
    title="{files:,} objects of 4 KiB down, named one by one (nginx)",
    bars=(Bar("wall", 0.3, "s5cmd"),),
    open=_open,
    needs=("nginx",),
)
