"""The file of a batch: its id, then a JSON line for each of its files; and the list that is made of it."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import SpoolError
from haulyard.journal import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUFFIX: Final = ".jsonl"


class Listed(NamedTuple):
    """A file that the store holds: key, bytes, digest and ETag (``""`` where unknown), and since when."""

    key: str
    size: int
    sha256: str = ""
    etag: str = ""
    at: float = 0.0


class Place(NamedTuple):
    """What the files of all batches have in common."""

    bucket: str
    prefix: str
    source: str = ""
    host: str = ""


class Batch(NamedTuple):
    """A batch: the id under which it is told of, and the files."""

    message: str
    place: Place
    files: Sequence[Listed]


def key(place: Place, name: str) -> str:
    """Return the key of the list of a sealed batch, ``name`` being that of its file."""
    return f"{place.prefix}_manifests/{name.removesuffix(SUFFIX)}.json"


def document(batch: Batch, name: str) -> bytes:
    """Return the list of a batch as it goes out. Of a file that was noted twice the last counts."""
    place = batch.place
    last = {one.key: one for one in batch.files}
    files = [
        {
            # As `FILES` of COPY INTO and Snowpipe's insertFiles take them: below the stage, with the size.
            "path": one.key.removeprefix(place.prefix),
            "size": one.size,
            "key": one.key,
            "sha256": one.sha256,
            "etag": one.etag,
            "shipped_at": _moment(one.at),
        }
        for one in last.values()
    ]
    told = {
        "batch": name.removesuffix(SUFFIX),
        "id": batch.message,
        **place._asdict(),
        "count": len(files),
        "bytes": sum(one.size for one in last.values()),
        "files": files,
    }
    return json.dumps(told, indent=1).encode() + b"\n"


def line(fields: Mapping[str, object]) -> bytes:
    """Return one line of JSON."""
    # ASCII, whatever a key holds.
    return json.dumps(fields).encode() + b"\n"


def order(name: str) -> tuple[str, int]:
    """Return the moment of a sealed batch's name, and its number in that second."""
    moment, _, number = name.removesuffix(SUFFIX).rpartition("-")
    return moment, int(number) if number.isdecimal() else 0


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write(path: str, at: int, content: bytes) -> None:
    """Have the file end with ``content``, at offset ``at``, durably; what a failure left there goes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, at)
        view = memoryview(content)
        while view:
            written = os.pwrite(descriptor, view, at)
            view, at = view[written:], at + written
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if at == len(content):  # it began at 0: the name may be new
        durable.fsync_directory(os.path.dirname(path))


def recover(path: str) -> tuple[Place | None, int, int]:
    """Cut a torn end off the open batch; return where its files went, how many they are, and its bytes."""
    try:
        with open(path, "rb") as file:
            lines = _whole(file.read())
    except FileNotFoundError:
        return None, 0, 0
    length = sum(map(len, lines))
    if len(lines) < 2:  # noqa: PLR2004 -- the id, and a file
        os.unlink(path)
        return None, 0, 0
    os.truncate(path, length)
    durable.fsync_file(path)
    return read(path).place, len(lines) - 1, length


def read(path: str) -> Batch:
    """Return what is in the file of a batch. Raises SpoolError where it is none."""
    with open(path, "rb") as file:
        lines = [json.loads(one) for one in _whole(file.read())]
    try:
        message = str(lines[0].pop("id"))
        return Batch(message, Place(**lines[0]), [Listed(**fields) for fields in lines[1:]])
    except (AttributeError, LookupError, TypeError) as error:
        raise SpoolError(
            f"{path} is no list of a batch",
            hint="somebody changed it: look at it, then remove it",
        ) from error


def _whole(content: bytes) -> list[bytes]:
    """Return the lines of JSON up to the first that is none, or is torn."""
    lines = []
    for one in content.splitlines(keepends=True):
        try:
            json.loads(one)
        except ValueError:
            break
        if not one.endswith(b"\n"):
            break
        lines.append(one)
    return lines


@contextmanager
def spool_errors(path: str) -> Iterator[None]:
    """Have OSErrors be SpoolErrors that name ``path``."""
    try:
        yield
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}", hint="the spool directory must be writable") from error
