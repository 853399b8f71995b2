"""The bucket of the embedded store that trials write to, each under a prefix of its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks import inputs, tools

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BUCKET = "benchmark"
_INSPECT = tools.PEERS / "inspect_store.py"


def url(prefix: str) -> str:
    """Return the URL of a prefix, with its slash."""
    return f"s3://{BUCKET}/{prefix}/"


def remote(prefix: str) -> str:
    """Return rclone's name for a prefix."""
    return f"{tools.REMOTE}:{BUCKET}/{prefix}"


def make_bucket(environ: Mapping[str, str]) -> None:
    """Make the bucket, and have the store set up what it needs for the first object in it."""
    tools.prepare(tools.s5cmd("mb", f"s3://{BUCKET}"), environ)
    tools.prepare(tools.s5cmd("cp", str(_INSPECT), url("first")), environ)


def fill(environ: Mapping[str, str], source: Path, prefix: str) -> None:
    """Upload a directory under a prefix."""
    tools.prepare(tools.s5cmd("cp", f"{source}/", url(prefix)), environ)


def require(environ: Mapping[str, str], prefix: str, count: int, size: int) -> None:
    """Raise WorkNotDoneError unless ``count`` objects of ``size`` bytes in all lie under a prefix."""
    found_count, found_size = map(int, _inspect(environ, "count", BUCKET, f"{prefix}/").split())
    inputs.require_total(count, size, found_count, found_size)


def require_content(environ: Mapping[str, str], key: str, expected: Path, scratch: Path) -> None:
    """Raise WorkNotDoneError unless an object holds the bytes of a file."""
    copy = scratch / "fetched"
    try:
        _inspect(environ, "fetch", BUCKET, key, str(copy))
        inputs.require_same_file(expected, copy, content=True)
    finally:
        copy.unlink(missing_ok=True)


def _inspect(environ: Mapping[str, str], *arguments: str) -> str:
    command = [tools.PYTHON, str(_INSPECT), *arguments]
    answer = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    return answer.stdout
