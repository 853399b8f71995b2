"""A job's directory, and the small documents in it.

::

    job.json         what the job is to do; written once
    job.lock         held by the process that works on the job
    state.json …     other documents, replaced as a whole
    shards/          00000.db …, then ordered-00000.db …; see `haulyard.journal.building`
    report/          what reports are written to

A document is one JSON object, ``{"content": {…}, "sha256": "…"}``, with the digest of the content as JSON
without spaces and with sorted keys. It is for people to read and for Haulyard to write: an edited one is
refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError, JobError
from haulyard.journal import durable
from haulyard.journal.lock import Holder, Lock, holder_of
from haulyard.journal.mounts import refuse_network_filesystem
from haulyard.journal.names import check_name, derived_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Holder", "JobFolder", "check_name", "derived_name", "list_jobs"]

_SPECIFICATION = "job"
_ELSEWHERE = "HAUL_JOB_DIR names another directory"


class JobFolder:
    """One job's directory: ``path`` is absolute, ``name`` its last part."""

    def __init__(self, path: str, specification: Mapping[str, Any]) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.specification = specification

    @classmethod
    def create(cls, directory: str, name: str, specification: Mapping[str, object]) -> JobFolder:
        """Make the directory of a new job below ``directory``.

        ``specification`` is anything that JSON can hold. A directory whose making was interrupted is used.

        Raises:
            JobError: There is such a job already.
            ConfigError: The name is none, ``directory`` is on a network filesystem or cannot be written.
        """
        check_name(name)
        directory = os.path.abspath(directory)
        refuse_network_filesystem(directory)
        path = os.path.join(directory, name)
        content = _sealed(specification)
        try:
            os.makedirs(os.path.join(path, "shards"), exist_ok=True)
            durable.create(_document(path, _SPECIFICATION), content)
            durable.fsync_directory(directory)
        except FileExistsError:
            raise JobError(
                f"there is a job {name} already, in {directory}",
                hint="go on with it, or start over with --new",
            ) from None
        except OSError as error:
            raise ConfigError(
                f"the job cannot be kept in {path}: {error.strerror}", hint=_ELSEWHERE
            ) from error
        return cls(path, json.loads(content)["content"])

    @classmethod
    def open(cls, directory: str, name: str) -> JobFolder:
        """Open the directory of a job that was created.

        Raises:
            JobError: There is no such job, or its ``job.json`` is damaged.
            ConfigError: The name is none, or ``directory`` is on a network filesystem.
        """
        check_name(name)
        directory = os.path.abspath(directory)
        refuse_network_filesystem(directory)
        path = os.path.join(directory, name)
        specification = _read(path, _SPECIFICATION)
        if specification is None:
            near = nearest(name, list_jobs(directory))
            raise JobError(
                f"there is no job {name} in {directory}",
                hint=f"did you mean {near}? haul status lists all" if near else "haul status lists all jobs",
            )
        return cls(path, specification)

    @classmethod
    def exists(cls, directory: str, name: str) -> bool:
        """Whether there is a job of this name."""
        check_name(name)
        return os.path.exists(_document(os.path.join(directory, name), _SPECIFICATION))

    @property
    def shards(self) -> str:
        """The directory of the shards."""
        return os.path.join(self.path, "shards")

    def read(self, document: str) -> dict[str, Any] | None:
        """Return the content of a document (``state``, ``summary``), None if it was never written.

        Raises:
            JobError: It is damaged, or was edited, or cannot be read.
        """
        return _read(self.path, document)

    def write(self, document: str, content: Mapping[str, object]) -> None:
        """Replace a document; it is on the disk when this returns.

        Raises:
            JobError: It cannot be written (a full disk …); the one before is untouched.
        """
        path = _document(self.path, document)
        try:
            durable.replace(path, _sealed(content))
        except OSError as error:
            raise JobError(
                f"{path} cannot be written: {error.strerror}",
                hint="make room, or make it writable, and run the same command again",
            ) from error

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Keep other processes from working on the job; ``command`` tells them who does.

        Raises:
            JobError: Another one does; the message names its process id, host, command and beginning.
        """
        with Lock.acquire(self._lock_file, command=command, what=f"job {self.name}"):
            yield

    def holder(self) -> Holder | None:
        """Return who works on the job at this moment, None if nobody does."""
        return holder_of(self._lock_file)

    def shard_paths(self) -> list[str]:
        """Return the paths of the sealed shards: the normal ones in order, then those that are ordered."""
        with suppress(FileNotFoundError):
            names = [name for name in os.listdir(self.shards) if name.endswith(".db")]
            names.sort(key=lambda name: (name.startswith("ordered-"), len(name), name))
            return [os.path.join(self.shards, name) for name in names]
        return []

    def set_aside(self) -> str:
        """Give the job the first free name of ``NAME-1``, ``NAME-2`` …, and return that.

        Raises:
            JobError: A process works on it or on one of its shards, or it cannot be renamed.
        """
        directory = os.path.dirname(self.path)
        with self._unused("set aside"):
            names = (f"{self.name}-{number}" for number in count(1))
            name = next(name for name in names if not os.path.lexists(os.path.join(directory, name)))
            try:
                os.rename(self.path, os.path.join(directory, name))
                durable.fsync_directory(directory)
            except OSError as error:
                raise JobError(
                    f"job {self.name} cannot be renamed to {name}: {error.strerror}",
                    hint=f"rename {self.path} by hand, or give the new job another name",
                ) from error
        return name

    @contextmanager
    def _unused(self, command: str) -> Iterator[None]:
        with Lock.acquire(self._lock_file, command=command, what=f"job {self.name}"):
            for path in self.shard_paths():
                if holder := holder_of(path + ".lock"):
                    raise JobError(
                        f"job {self.name} is in use by {holder}", hint="wait until it has ended, or stop it"
                    )
            yield

    def remove(self) -> None:
        """Remove the job with all that it knows; not from within `lock`, which it takes itself.

        Raises:
            JobError: A process works on it or on one of its shards, or the files cannot be removed.
        """
        # Out of the way in one step: a job that is half removed would look like one that is damaged.
        removed = os.path.join(os.path.dirname(self.path), f".{self.name}.removed")
        with self._unused("remove"):
            try:
                if os.path.lexists(removed):
                    shutil.rmtree(removed)
                os.rename(self.path, removed)
                shutil.rmtree(removed)
            except OSError as error:
                raise JobError(
                    f"job {self.name} cannot be removed: {error.filename}: {error.strerror}",
                    hint=f"remove {self.path} by hand",
                ) from error

    @property
    def _lock_file(self) -> str:
        return os.path.join(self.path, "job.lock")


def list_jobs(directory: str) -> list[str]:
    """Return the names of the jobs in ``directory``, sorted; none where it does not exist.

    What is no job's directory is passed over. A job whose ``job.json`` is damaged is among them.
    """
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"jobs cannot be listed in {directory}: {error.strerror}", hint=_ELSEWHERE
        ) from error
    return sorted(
        name for name in names if os.path.isfile(_document(os.path.join(directory, name), _SPECIFICATION))
    )


def _document(path: str, name: str) -> str:
    return os.path.join(path, f"{name}.json")


def _sealed(content: Mapping[str, object]) -> bytes:
    # Once to and fro: tuples become lists and keys strings before the digest is taken, as when it is read.
    plain = json.loads(json.dumps(content))
    document = {"content": plain, "sha256": _digest(plain)}
    return json.dumps(document, indent=2).encode() + b"\n"


def _digest(content: Mapping[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(path: str, name: str) -> dict[str, Any] | None:
    path = _document(path, name)
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
        content = document["content"]
        if isinstance(content, dict) and _digest(content) == document["sha256"]:
            return content
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JobError(
            f"{path} cannot be read: {error.strerror}", hint="make it readable for this user"
        ) from error
    except (ValueError, LookupError, TypeError):
        pass
    raise JobError(
        f"{path} is damaged: its content is not what was written",
        hint="restore it from a backup, or start over with --new",
    )
