"""What the comparisons work on, and whether it arrived: random bytes, the same in every run."""

from __future__ import annotations

import filecmp
import os
import random
from typing import TYPE_CHECKING

from benchmarks.comparison import MIB, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Directories that the small files lie in.
DIRECTORIES = 20


def small_files(directory: Path, count: int, size: int) -> list[str]:
    """Create ``count`` files of ``size`` bytes in a few directories; return their relative names."""
    source = random.Random(count)
    for number in range(DIRECTORIES):
        (directory / f"part-{number:02}").mkdir(parents=True)
    names = [f"part-{number % DIRECTORIES:02}/object-{number:06}.bin" for number in range(count)]
    for name in names:
        (directory / name).write_bytes(source.randbytes(size))
    return names


def large_file(path: Path, size: int) -> None:
    """Create a file of ``size`` bytes; it is never held in memory."""
    source = random.Random(size)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(source.randbytes(min(MIB, size - start)))


def require_same_tree(expected: Path, actual: Path, *, content: bool) -> None:
    """Raise WorkNotDoneError unless both trees hold the same: by count and size, by content if asked."""
    require_same_files(dict(_sizes(expected)), dict(_sizes(actual)))
    if content:
        names = [name for name, _ in _sizes(expected)]
        _, different, unread = filecmp.cmpfiles(expected, actual, names, shallow=False)
        if different or unread:
            raise WorkNotDoneError(f"{len(different) + len(unread)} files differ in content")


def require_same_files(expected: dict[str, int], actual: dict[str, int]) -> None:
    """Raise WorkNotDoneError unless both hold as many names and bytes."""
    require_total(len(expected), sum(expected.values()), len(actual), sum(actual.values()))


def require_total(count: int, size: int, found_count: int, found_size: int) -> None:
    """Raise WorkNotDoneError unless as many objects and bytes were found as expected."""
    if (count, size) != (found_count, found_size):
        raise WorkNotDoneError(
            f"expected {count} objects with {size} bytes, found {found_count} with {found_size}"
        )


def require_same_file(expected: Path, actual: Path, *, content: bool) -> None:
    """Raise WorkNotDoneError unless both files are as long and, if asked, hold the same bytes."""
    if not actual.is_file() or actual.stat().st_size != expected.stat().st_size:
        raise WorkNotDoneError("the file did not arrive, or not all of it")
    if content and not filecmp.cmp(expected, actual, shallow=False):
        raise WorkNotDoneError("the file differs in content")


def require_lines(output: Path, count: int) -> None:
    """Raise WorkNotDoneError unless a program printed ``count`` lines."""
    with output.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(MIB), b""))
    if lines != count:
        raise WorkNotDoneError(f"expected {count} lines, found {lines}")


def _sizes(directory: Path) -> Iterator[tuple[str, int]]:
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            yield os.path.relpath(path, directory), os.stat(path).st_size
