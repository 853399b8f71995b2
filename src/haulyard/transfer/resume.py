"""What a killed multipart upload leaves behind so that the same command continues it.

One file an upload, in ``state_dir``: JSON lines that are only ever appended to, so that a kill at any moment
leaves a readable file (a last line that was cut is dropped). The order of the lines is the protocol:

1. ``intent``: what is to be made of what, written before the upload is created;
2. ``upload``: the upload id, written as soon as the store has given it;
3. ``part``: one line a finished part;
4. ``completing``: written before the store is asked to complete the upload.

A file with an intent and no id tells that the process died in between: the store may hold an upload that
nobody knows the id of. The file is locked while the upload runs, and removed when it has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from haulyard.errors import ConfigError, Conflict, HaulError, NotFound, StoreError
from haulyard.models import Checksum, PartInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.stores.base import Store

_VERSION = 1


class Intent(NamedTuple):
    """What an upload is made of; an unfinished one is continued only where all of it is the same.

    ``source`` tells one content of the source from the next, ``part_size`` is in bytes, ``properties`` a
    digest of the object's properties (which are fixed when an upload is created). ``token`` is the write
    token that the object carries, ``""`` for none; ``store`` and ``key`` are where the object will be.
    """

    source: tuple[int | str, ...]
    part_size: int
    properties: str
    token: str
    store: str
    key: str

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
        self.is_completing = False
        self._load()

    @classmethod
    def open(cls, state_dir: str, source: str, destination: str) -> Self:
        """Open (or make) the record of the upload of ``source`` to ``destination``.

        Raises:
            Conflict: Another process uploads the same file to the same key.
            ConfigError: The directory of records cannot be written.
        """
        folder = _folder(state_dir)
        name = blake2b(f"{source}\0{destination}".encode(errors="surrogateescape"), digest_size=16)
        path = os.path.join(folder, f"{name.hexdigest()}.jsonl")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            while (fd := _lock(path, os.O_CREAT)) is None:
                # Its last owner removed the file between our opening and our locking it.
                pass
        except BlockingIOError:
            raise Conflict(
                f"{source} is on its way to the same place already, by another task or process",
                operation="upload",
                key=source,
                hint="wait for it to end, then run the command again",
            ) from None
        except OSError as error:
            raise ConfigError(
                f"what an interrupted upload needs to go on cannot be kept in {folder}: {error.strerror}",
                hint="set HAUL_STATE_DIR to a directory that can be written",
            ) from error
        return cls(fd, path)

    def begin(self, intent: Intent) -> None:
        """Forget what was, and write down what is about to be created."""
        os.ftruncate(self._fd, 0)
        self._forget()
        self.intent = intent
        self._append({"v": _VERSION, "intent": intent._asdict()})

    def created(self, upload_id: str) -> None:
        """Write down the id that the store gave."""
        self.upload_id = upload_id
        self._append({"upload": upload_id})

    def finished(self, part: PartInfo) -> None:
        """Write down a part that the store has."""
        self.parts[part.number] = part
        line = {"part": part.number, "etag": part.etag, "size": part.size, "checksum": part.checksum}
        self._append(line)

    def completing(self) -> None:
        """Write down that the store will now be asked to complete the upload."""
        self._append({"completing": True})

    def remove(self) -> None:
        """Remove the record: the upload has ended."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        self.close()

    def close(self) -> None:
        """Close the record and leave it for the next run; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._fd, text)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        if written < len(text):
            raise self._unwritable("the disk is full")

    def _unwritable(self, reason: str) -> StoreError:
        return StoreError(
            f"the record of the upload, {self._path}: {reason}",
            operation="upload",
            hint="make room there, or set HAUL_STATE_DIR to another directory, and run the command again",
        )

    def _load(self) -> None:
        """Read the lines up to the first that is damaged; what comes after it is cut off."""
        end = 0
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            for line in _lines(self._fd):
                self._take(json.loads(line))
                end += len(line)
        os.ftruncate(self._fd, end)

    def _take(self, line: dict[str, Any]) -> None:
        if "intent" in line:
            if line["v"] != _VERSION:
                raise ValueError(line["v"])
            fields = line["intent"]
            self.intent = Intent(**fields | {"source": tuple(fields["source"])})
        elif "upload" in line:
            self.upload_id = line["upload"]
        elif "completing" in line:
            self.is_completing = True
        else:
            number, checksum = line["part"], line["checksum"]
            self.parts[number] = PartInfo(
                number, line["etag"], line["size"], None if checksum is None else Checksum(*checksum)
            )

    def _forget(self) -> None:
        self.upload_id = ""
        self.is_completing = False
        self.parts.clear()


def noted_parts(state_dir: str, store: str, key: str) -> int:
    """How many parts of uploads to ``key`` are written down: those that another run does not send again.

    ``store`` is the store's identity. The records may be under way in another process.
    """
    folder, count = _folder(state_dir), 0
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            # One that is just being begun, or has just ended.
            with suppress(ValueError, FileNotFoundError), open(os.path.join(folder, name), "rb") as file:
                intent, *rest = map(json.loads, _lines(file.fileno()))
                if (intent["intent"]["store"], intent["intent"]["key"]) == (store, key):
                    count += sum("part" in line for line in rest)
    return count


async def forget_completed(state_dir: str, store: Store) -> None:
    """Remove records of uploads to ``store`` that it completed although nobody heard so.

    Who uploads the same again looks at its own record; but what was completed may be in place by now, and
    never be uploaded again.
    """
    folder = _folder(state_dir)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            fd = _lock(os.path.join(folder, name), 0)
            if fd is None:
                continue
            record = UploadRecord(fd, os.path.join(folder, name))
            try:
                if await _has_ended(record, store):
                    record.remove()
            finally:
                record.close()


async def _has_ended(record: UploadRecord, store: Store) -> bool:
    intent = record.intent
    if intent is None or not record.is_completing or intent.store != store.identity:
        return False
    try:
        async for _ in store.list_parts(intent.key, record.upload_id):
            return False
    except NotFound:
        return True
    except HaulError:
        return False
    return False


def _folder(state_dir: str) -> str:
    return os.path.join(state_dir, "uploads")


def _lock(path: str, flags: int) -> int | None:
    """Open and lock the file; None where it lost its name meanwhile, BlockingIOError where it is locked."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            return fd
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _lines(fd: int) -> Iterator[bytes]:
    """Yield the whole lines with their ends."""
    text = os.pread(fd, os.fstat(fd).st_size, 0)
    for line in text.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield line
