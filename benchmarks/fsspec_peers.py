"""Who takes part in the comparisons of filesystems, and how a trial of each of them is begun and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import stored, tools
from benchmarks.comparison import Contestant, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def contestants(verb: str, prefix: Callable[[str], str], *arguments: str) -> tuple[Contestant, ...]:
    """Return all of them, doing ``verb`` below a prefix that may depend on the trial."""

    def through_fsspec(library: str) -> Callable[[str], list[str]]:
        return lambda trial: tools.peer(
            "fsspec", library, verb, f"{stored.BUCKET}/{prefix(trial)}/", *arguments
        )

    return (
        Contestant("haul", through_fsspec("haul")),
        Contestant("s3fs", through_fsspec("s3fs"), warmed=False),
        Contestant("obstore", through_fsspec("obstore")),
        Contestant(
            "opendal",
            lambda trial: tools.peer("opendal", verb, stored.BUCKET, f"{prefix(trial)}/", *arguments),
        ),
    )


def require_number(output: Path, expected: int) -> None:
    """Raise WorkNotDoneError unless a program printed this number."""
    found = output.read_text().strip()
    if found != str(expected):
        raise WorkNotDoneError(f"expected {expected}, the program found {found or 'nothing'}")
