"""`haul spool` and `haul ship` in a process that kills itself at a numbered step.

Forks for every command, as `tests.crash.jobs.driver` does. A step is whatever can be seen from outside: all
are counted together, from 1, and each is written to a file before it is made:

=======  ==========================================================================================
write    bytes into a file of the spool directory
sync     fsync of a file or a directory
name     a file gets a name: it is made, linked or renamed
remove   a file loses its name
commit   a transaction of what the shipper remembers
request  a request to the store; ``after`` it the answer has arrived and nobody has seen it
told     a client of the socket is told what is durable
=======  ==========================================================================================

Where the order names one of them (``step:3:before``) the process ends there by SIGKILL; with ``half`` instead
of ``before`` a write gets half-way, and with ``power`` the disk loses all that was not synced by then.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.crash.jobs.driver import Points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds after which a command is considered to hang, and ended.
_PATIENCE = 60
_WANTED = (
    "haulyard.cli.dispatch",
    "haulyard.cli.faults",
    "haulyard.cli.running",
    "haulyard.cli.ship_run",
    "haulyard.cli.spool_run",
    "haulyard.stores.access",
    "haulyard.stores.assemble",
    "haulyard.stores.profiles",
)
_STEP = "step"


class Disk:
    """What a disk would still have if the power failed now: as bad as POSIX allows.

    Bytes are there once their file was synced, names once their directory was. Old names and contents are
    kept aside, in ``aside``, until then.
    """

    def __init__(self, aside: str) -> None:
        self._aside = aside
        os.makedirs(aside)
        self._sizes: dict[tuple[int, int], tuple[int, int]] = {}
        self._names: list[tuple[str, Callable[[], None]]] = []
        self._count = 0

    def writes(self, descriptor: int) -> None:
        """Bytes are about to be added to a file."""
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) not in self._sizes:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
            self._sizes[status.st_dev, status.st_ino] = own, status.st_size

    def synced(self, descriptor: int) -> None:
        """A file, or a directory, is on the disk."""
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self._names = [(directory, undo) for directory, undo in self._names if directory != path]
        elif known := self._sizes.pop((status.st_dev, status.st_ino), None):
            os.close(known[0])

    def made(self, path: str) -> None:
        """A file has got its first name."""
        self._names.append((os.path.dirname(path), lambda: _unlink(path)))

    def named(self, source: str | None, path: str, before: str | None) -> None:
        """``path`` is the name of another file now, or with ``source`` None of none; ``before`` had it."""

        def undo() -> None:
            if source is not None:
                _rename(path, source)
            if before is not None:
                _rename(before, path)

        self._names.append((os.path.dirname(path), undo))

    def held(self, path: str) -> str | None:
        """Keep what has this name now; return where."""
        if not os.path.lexists(path):
            return None
        self._count += 1
        held = os.path.join(self._aside, str(self._count))
        _link(path, held, follow_symlinks=False)
        return held

    def lose(self) -> None:
        """Lose what was not synced."""
        for _, undo in reversed(self._names):
            undo()
        for descriptor, size in self._sizes.values():
            os.ftruncate(descriptor, size)


_link, _open, _rename, _unlink, _write = os.link, os.open, os.rename, os.unlink, os.write


class Steps(Points):
    """Counts steps; ``root`` is where the files are that matter."""

    def __init__(self, target: str, trace: str, root: str) -> None:
        super().__init__(target, trace)
        self.root = root + os.sep
        self.disk = Disk(trace + ".aside") if target.endswith(":power") else None
        self._is_half = target.endswith(":half")

    @contextmanager
    def step(self, kind: str, what: str) -> Iterator[bool]:
        """Make one step; True where it is to be made by half, and then to end."""
        here = _STEP, next(self._counters[_STEP])
        _write(self._trace, f"{_STEP} {here[1]} {os.getpid()} {kind} {what}\n".encode(errors="replace"))
        is_here = here == self._target
        if is_here and self.disk is not None:
            self.disk.lose()
        if is_here and self._moment in {"before", "power"}:
            self._kill()
        yield is_here and self._is_half
        if is_here:
            self._kill()

    def concerns(self, descriptor: int) -> str | None:
        """Return the path of a descriptor if that is a file that matters, else None."""
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        return path if path.startswith(self.root) and not path.startswith(self.root + "runs/") else None

    def path(self, name: str, directory: int | None) -> str:
        """Return an absolute path."""
        base = os.getcwd() if directory is None else os.readlink(f"/proc/self/fd/{directory}")
        return os.path.join(base, os.fsdecode(name))


def install(steps: Steps) -> None:
    """Put the steps where the programs pass."""
    from haulyard.http.client import HttpClient
    from haulyard.spool import listening
    from haulyard.spool.shipped import State

    send, change, line = HttpClient.send, State._change, listening._line

    async def sending(client: HttpClient, *words: Any, **more: Any) -> Any:
        with steps.step("request", f"{words[0]} {words[2]}?{words[3]}"):
            return await send(client, *words, **more)

    @contextmanager
    def changing(state: State) -> Iterator[Any]:
        with steps.step("commit", ""), change(state) as execute:
            yield execute

    def telling(fields: dict[str, object]) -> bytes:
        with steps.step("told", str(fields)):
            return line(fields)

    for place, name, replacement in (
        (HttpClient, "send", sending),
        (State, "_change", changing),
        (listening, "_line", telling),
    ):
        setattr(place, name, replacement)
    _Seams(steps).install()


class _Seams:
    """Functions that stand in for those of `os`, with steps in them."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._disk = steps.disk

    def install(self) -> None:
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._syncing(getattr(os, name)))
        for name in ("rename", "replace", "link"):
            setattr(os, name, self._naming(getattr(os, name)))
        for name, replacement in (("write", self._write), ("open", self._open), ("unlink", self._remove)):
            setattr(os, name, replacement)

    def _write(self, descriptor: int, data: bytes) -> int:
        if (path := self._steps.concerns(descriptor)) is None:
            return _write(descriptor, data)
        with self._steps.step("write", os.path.basename(path)) as is_half:
            if self._disk is not None:
                self._disk.writes(descriptor)
            return _write(descriptor, data[: len(data) // 2] if is_half else data)

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            with self._steps.step("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))):
                real(descriptor)
                if self._disk is not None:
                    self._disk.synced(descriptor)

        return sync

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        whole = self._steps.path(path, dir_fd)
        if not flags & os.O_CREAT or os.path.lexists(whole):
            return _open(path, flags, mode, dir_fd=dir_fd)
        with self._steps.step("name", os.path.basename(whole)):
            descriptor = _open(path, flags, mode, dir_fd=dir_fd)
            if self._disk is not None:
                self._disk.made(whole)
        return descriptor

    def _naming(self, real: Callable[..., None]) -> Callable[..., None]:
        def name(source: str, destination: str, **more: Any) -> None:
            old = self._steps.path(source, more.get("src_dir_fd"))
            new = self._steps.path(destination, more.get("dst_dir_fd"))
            with self._steps.step("name", os.path.basename(new)):
                before = self._disk.held(new) if self._disk is not None else None
                real(source, destination, **more)
                if self._disk is not None and real is _link:
                    self._disk.made(new)
                elif self._disk is not None:
                    self._disk.named(old, new, before)

        return name

    def _remove(self, path: str, *, dir_fd: int | None = None) -> None:
        whole = self._steps.path(path, dir_fd)
        if not os.path.lexists(whole):
            # It raises what has to be raised.
            _unlink(path, dir_fd=dir_fd)
            return
        with self._steps.step("remove", os.path.basename(whole)):
            before = self._disk.held(whole) if self._disk is not None else None
            _unlink(path, dir_fd=dir_fd)
            if self._disk is not None:
                self._disk.named(None, whole, before)


def run(order: dict[str, Any]) -> int:
    """Be the program."""
    from haulyard.cli.main import main

    signal.alarm(_PATIENCE)
    for descriptor, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.argv = ["haul", *order["words"]]
    install(Steps(order["point"], order["trace"], order["cwd"]))
    code = main()
    sys.stdout.flush()
    return code


def start(order: dict[str, Any]) -> int:
    """Return the id of a new process that is the program."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        code = run(order)
    finally:
        # Nothing of the parent is to be ended here.
        os._exit(code)


def serve() -> None:
    """Take orders until stdin ends; each is answered by one line."""
    for name in _WANTED:
        import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = start(order)
        print(answer, flush=True)  # noqa: T201 -- the answer


if __name__ == "__main__":
    serve()
