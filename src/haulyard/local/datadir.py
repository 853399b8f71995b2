"""The data directory of the embedded store: what lies in it, and who may touch it when.

::

    credentials.json   the generated key pair, in the form that `weed` reads; mode 0600
    state.json         the ports, and the process while it runs
    weed.log           what the server printed since its last start; the run before in weed.log.1
    lock               held while somebody starts or stops it
    data/              SeaweedFS's own files
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import string
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.local.weed import Ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ACCESS_KEY_LENGTH = 20  # as AWS's own
_SECRET_KEY_LENGTH = 40
_LETTERS = string.ascii_letters + string.digits
_ANOTHER = "Choose another directory with --dir or HAUL_LOCAL_DIR."


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair; the secret is not shown by ``repr``."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class State:
    """What was noted about the server: its ports, its process id while it runs, and whether it was ready."""

    ports: Ports | None = None
    pid: int | None = None
    ready: bool = False


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """``HAUL_LOCAL_DIR``, else ``.haul/local`` below the current directory."""
    return Path(environ.get("HAUL_LOCAL_DIR") or ".haul/local")


class DataDir:
    """Paths and files below one data directory. Nothing is created before `create`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.credentials_file = self.path / "credentials.json"
        self.log_file = self.path / "weed.log"
        self.data = self.path / "data"
        self._state_file = self.path / "state.json"

    def create(self) -> None:
        """Make the directory, for the user alone. Raises ConfigError where that cannot be."""
        if "," in str(self.path):
            message = (
                f"The data directory {self.path} has a comma in its path, which SeaweedFS takes for two."
            )
            raise ConfigError(message, hint=_ANOTHER)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.data.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            message = f"The data directory {self.path} cannot be made: {error.strerror}."
            raise ConfigError(message, hint=_ANOTHER) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from starting or stopping the same store; waits for them to finish."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            message = f"The data directory {self.path} cannot be used: {error.strerror}."
            raise ConfigError(message, hint=_ANOTHER) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def credentials(self) -> Credentials:
        """The key pair of this store, generated the first time. Raises ConfigError if its file is damaged."""
        if not self.credentials_file.exists():
            self._write_privately(self.credentials_file, _identities(_generate()))
        try:
            # A file restored from a backup or copied about may have become readable for others.
            self.credentials_file.chmod(0o600)
            stored = json.loads(self.credentials_file.read_text())
            pair = stored["identities"][0]["credentials"][0]
            return Credentials(str(pair["accessKey"]), str(pair["secretKey"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            message = f"The credentials in {self.credentials_file} cannot be read."
            raise ConfigError(
                message, hint="remove the file; new ones are generated at the next start"
            ) from error

    def state(self) -> State:
        """What was noted last; an absent or damaged file says nothing is running."""
        try:
            noted = json.loads(self._state_file.read_text())
            return State(Ports(**noted["ports"]), noted["pid"], noted["ready"])
        except (OSError, ValueError, LookupError, TypeError):
            return State()

    def note(self, state: State) -> None:
        """Replace the state file in one step."""
        self._write_privately(self._state_file, asdict(state))

    def rotate_log(self) -> None:
        """Begin a new log and keep the one before."""
        with contextlib.suppress(FileNotFoundError):
            self.log_file.replace(self.log_file.with_name("weed.log.1"))

    def log_tail(self, *, lines: int = 3) -> str:
        """The last lines of the log, for an error message."""
        try:
            written = self.log_file.read_text(errors="replace").split("\n")
        except OSError:
            return ""
        return "\n".join([line for line in written if line.strip()][-lines:])

    def forget_saved_options(self) -> None:
        """Remove the options that ``weed mini`` saved: it prefers them to a newer release's defaults."""
        (self.data / "mini.options").unlink(missing_ok=True)

    def _write_privately(self, path: Path, value: object) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            json.dump(value, file, indent=2)
        temporary.replace(path)


def _generate() -> Credentials:
    upper = string.ascii_uppercase + string.digits
    access_key = "HAUL" + "".join(secrets.choice(upper) for _ in range(_ACCESS_KEY_LENGTH - 4))
    return Credentials(access_key, "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_KEY_LENGTH)))


def _identities(credentials: Credentials) -> dict[str, object]:
    """The form of SeaweedFS's ``-s3.config`` file, with one identity that may do everything."""
    pair = {"accessKey": credentials.access_key, "secretKey": credentials.secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "haulyard", "credentials": [pair], "actions": actions}]}
