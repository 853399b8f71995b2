"""What a killed multipart upload leaves behind so that the same command continues it.

One file an upload, in ``state_dir``: JSON lines that are only ever appended to, so that a kill at any moment
leaves a readable file (a last line that was cut is dropped). The order of the lines is the protocol:

1. ``intent``: the fingerprint of the source, written before the upload is created;
2. ``upload``: the upload id, written as soon as the store has given it;
3. ``part``: one line a finished part.

A file with an intent and no id tells that the process died in between: the store may hold an upload that
nobody knows the id of. The file is locked while the upload runs, and removed when it has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from haulyard.checksums import checksum_of
from haulyard.errors import Conflict
from haulyard.models import PartInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION = 1


class Intent(NamedTuple):
    """What an upload is made of; an unfinished one is continued only where all of it is the same.

    ``source`` is the fingerprint of the file, ``part_size`` in bytes, ``properties`` a digest of the
    object's properties (which are fixed when an upload is created). ``token`` is the write token that the
    object carries, ``started`` the POSIX time of the first attempt.
    """

    source: tuple[int, ...]
    part_size: int
    properties: str
    token: str
    started: float

    def same_upload(self, other: Intent) -> bool:
        """Whether ``other`` would make the same object out of the same parts."""
        return self[:3] == other[:3]


class UploadRecord:
    """The record of one upload, open and locked."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self.intent: Intent | None = None
        self.upload_id = ""
        self.parts: dict[int, PartInfo] = {}
        self.digests: dict[int, bytes] = {}
        for line in _lines(fd):
            self._take(line)

    @classmethod
    def open(cls, state_dir: str, source: str, destination: str) -> Self:
        """Open (or make) the record of the upload of ``source`` to ``destination``.

        Raises:
            Conflict: another process uploads the same file to the same key.
        """
        folder = os.path.join(state_dir, "uploads")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        name = blake2b(f"{source}\0{destination}".encode(errors="surrogateescape"), digest_size=16)
        path = os.path.join(folder, f"{name.hexdigest()}.jsonl")
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise Conflict(
                    f"{source} is being uploaded to {destination} by another process",
                    operation="upload",
                    key=source,
                    hint="Wait for it to end, then run the command again.",
                ) from None
            # Its last owner may have removed the file between our opening and our locking it.
            if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
                return cls(fd, path)
            os.close(fd)

    def begin(self, intent: Intent) -> None:
        """Forget what was, and write down what is about to be created."""
        os.ftruncate(self._fd, 0)
        self.upload_id = ""
        self.parts.clear()
        self.digests.clear()
        self.intent = intent
        self._append({"v": _VERSION, "intent": intent._asdict()})

    def created(self, upload_id: str) -> None:
        """Write down the id that the store gave."""
        self.upload_id = upload_id
        self._append({"upload": upload_id})

    def finished(self, part: PartInfo, algorithm: str, digest: bytes) -> None:
        """Write down a part that the store has."""
        self.parts[part.number] = part
        self.digests[part.number] = digest
        line = {"part": part.number, "etag": part.etag, "size": part.size}
        self._append(line | {"algorithm": algorithm, "digest": digest.hex()})

    def remove(self) -> None:
        """Remove the record: the upload has ended."""
        os.unlink(self._path)
        self.close()

    def close(self) -> None:
        """Close the record and leave it for the next run; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, line: dict[str, Any]) -> None:
        os.write(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def _take(self, line: dict[str, Any]) -> None:
        if "intent" in line:
            fields = line["intent"]
            self.intent = Intent(**fields | {"source": tuple(fields["source"])})
        elif "upload" in line:
            self.upload_id = line["upload"]
        else:
            digest = bytes.fromhex(line["digest"])
            checksum = checksum_of(line["algorithm"], digest) if digest else None
            number = line["part"]
            self.parts[number] = PartInfo(number, line["etag"], line["size"], checksum)
            self.digests[number] = digest


def _lines(fd: int) -> Iterator[dict[str, Any]]:
    """Yield the whole lines; what a kill cut off is removed, so that the next line starts on its own."""
    text = os.pread(fd, os.fstat(fd).st_size, 0)
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        os.ftruncate(fd, len(whole))
    for line in whole.splitlines():
        yield json.loads(line)
