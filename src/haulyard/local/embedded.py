"""The embedded store as a value with four verbs: start, stop, status, run."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from haulyard.errors import ConfigError, StoreError
from haulyard.local import launcher, weed
from haulyard.local.datadir import DataDir, State, default_data_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

REGION = "us-east-1"
"""The region to sign for; SeaweedFS takes any."""

_ATTEMPTS = 5
_POLL_SECONDS = 0.02
_PORT_TAKEN = "Port allocation failed"
"""What ``weed mini`` logs before it gives up because another process holds one of its ports."""


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What is known about the embedded store in one data directory."""

    data_dir: Path
    running: bool
    endpoint_url: str
    """Where S3 is spoken, ``""`` if not running."""
    pid: int | None
    credentials_file: Path
    log_file: Path


class EmbeddedStore:
    """A SeaweedFS on loopback whose data and credentials live in ``data_dir``.

    ``data_dir`` is ``HAUL_LOCAL_DIR``, else ``.haul/local``, where none is given. There is one server for a
    data directory, whichever process asks; its endpoint stays the same from start to start while its port
    is free. As a context manager it is started on entering and stopped on leaving, unless it already ran.
    """

    def __init__(self, data_dir: Path | str | None = None) -> None:
        self._dir = DataDir(default_data_dir(os.environ) if data_dir is None else Path(data_dir))
        self._marker = weed.data_flag(self._dir.data)
        self._guarded: launcher.Launched | None = None

    def start(self, *, attached: bool = False, timeout: float = 30.0) -> EmbeddedStatus:
        """Start the server and return when it serves its objects; one that already runs is left as it is.

        ``attached`` ends it together with this process; otherwise it runs until `stop`. ``timeout`` is in
        seconds. Raises ConfigError if the ``weed`` program or the directory cannot be used, StoreError if
        the server does not come up.
        """
        program = weed.find_weed()
        self._dir.create()
        with self._dir.lock():
            status = self.status()
            if status.running:
                return status
            # Whoever started it was killed before it was ready.
            self._stop(grace=0.0)
            access_key = self._dir.credentials().access_key
            candidates = weed.candidate_ports(self._dir.state().ports, random.SystemRandom())
            for _ in range(_ATTEMPTS):
                if self._came_up(program, next(candidates), access_key, attached=attached, timeout=timeout):
                    return self.status()
        raise self._failure("found no free ports")

    def stop(self, *, grace: float = 5.0) -> bool:
        """Stop the server and return when it is gone; False if none ran.

        After ``grace`` seconds it is killed; acknowledged writes are with the operating system by then and
        are not lost. Raises StoreError if it belongs to another user.
        """
        if not self._dir.path.is_dir():
            return False
        with self._dir.lock():
            return self._stop(grace)

    def status(self) -> EmbeddedStatus:
        """Whether the server runs and where; never raises and changes nothing."""
        state = self._dir.state()
        running = (
            state.ports is not None
            and state.pid is not None
            and state.ready
            and launcher.is_alive(state.pid, self._marker)
        )
        return EmbeddedStatus(
            data_dir=self._dir.path,
            running=running,
            endpoint_url=f"http://{weed.HOST}:{state.ports.s3}" if running and state.ports else "",
            pid=state.pid if running else None,
            credentials_file=self._dir.credentials_file,
            log_file=self._dir.log_file,
        )

    def run(self, on_ready: Callable[[EmbeddedStatus], None] | None = None) -> None:
        """Start the server, call ``on_ready``, and stay until it is stopped from elsewhere or interrupted.

        It ends with this process, however that ends. Raises StoreError if it already runs or dies.
        """
        status = self.start(attached=True)
        guarded = self._guarded
        if guarded is None or guarded.guard is None:
            message = f"The embedded store in {self._dir.path} already runs as process {status.pid}."
            raise StoreError(
                message,
                store="embedded",
                operation="run",
                hint="stop it with: haul local stop, or use another directory",
            )
        try:
            if on_ready is not None:
                on_ready(status)
            guarded.guard.wait()
            with self._dir.lock():
                stopped = self._dir.state().pid is None
            if not stopped:
                raise self._failure("ended by itself", "run")
        finally:
            self.stop()

    def environment(self) -> dict[str, str]:
        """The variables with which any S3 client finds this store. Raises ConfigError if it does not run."""
        status = self.status()
        if not status.running:
            message = f"The embedded store in {self._dir.path} is not running."
            raise ConfigError(message, hint="start it with: haul local start")
        credentials = self._dir.credentials()
        return {
            "AWS_ENDPOINT_URL_S3": status.endpoint_url,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_REGION": REGION,
        }

    def __enter__(self) -> Self:
        self.start(attached=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guarded is not None:
            self.stop()

    def _came_up(
        self, program: str, ports: weed.Ports, access_key: str, *, attached: bool, timeout: float
    ) -> bool:
        """Start the server on ``ports`` and wait for it; False if another process was quicker to a port."""
        self._dir.rotate_log()
        self._dir.forget_saved_options()
        arguments = weed.arguments(data=self._dir.data, identities=self._dir.credentials_file, ports=ports)
        launched = launcher.launch(
            [program, *arguments],
            log_file=self._dir.log_file,
            directory=self._dir.path,
            environment=weed.process_environment(os.environ),
            attached=attached,
        )
        self._guarded = launched if attached else None
        state = State(ports, launched.pid)
        self._dir.note(state)
        try:
            ready = self._wait_until_ready(state, access_key, timeout)
        except BaseException:
            self._stop(grace=0.0)
            raise
        if ready:
            self._dir.note(replace(state, ready=True))
            return True
        self._stop(grace=0.0)
        if _PORT_TAKEN in self._dir.log_tail(lines=20):
            return False
        raise self._failure("ended while it started")

    def _wait_until_ready(self, state: State, access_key: str, timeout: float) -> bool:
        """Wait until objects can be read and written; False if the process ended instead."""
        deadline = time.monotonic() + timeout
        while launcher.is_alive(state.pid or 0, self._marker):
            if state.ports is not None and weed.is_ready(state.ports, access_key):
                return True
            if time.monotonic() >= deadline:
                raise self._failure(f"was not ready after {timeout:g} s")
            time.sleep(_POLL_SECONDS)
        return False

    def _stop(self, grace: float) -> bool:
        state = self._dir.state()
        running = state.pid is not None and launcher.is_alive(state.pid, self._marker)
        if running and state.pid is not None:
            try:
                gone = launcher.terminate(state.pid, self._marker, grace=grace)
            except PermissionError as error:
                raise self._failure(f"runs as process {state.pid} of another user", "stop") from error
            if not gone:
                raise self._failure(f"does not end: process {state.pid} ignores SIGKILL", "stop")
        if self._guarded is not None:
            self._guarded.release()
            self._guarded = None
        if state.ports is not None:
            weed.remove_sockets(state.ports)
        self._dir.note(State(state.ports))
        return running

    def _failure(self, what: str, operation: str = "start") -> StoreError:
        logged = self._dir.log_tail()
        message = f"The embedded store in {self._dir.path} {what}."
        hint = f"Its log is {self._dir.log_file}" + (f"; it ends with:\n{logged}" if logged else ".")
        return StoreError(message, store="embedded", operation=operation, hint=hint)
