"""The program in a process that kills itself at a numbered point.

Started once, this file imports the program and then forks for every command that it is told to run, one
order a line on stdin: starting Python anew would take five times as long. In the child each point is counted
by its kind, from 1, and written to a file before it is passed:

=======  ==========================================================================================
commit   a transaction of a shard's journal
request  a request to the store; ``after`` it the answer has arrived and nobody has seen it
rename   a file gets its name: a sealed shard, ``state.json`` …
amend    rows of a sealed plan change, in one transaction
=======  ==========================================================================================

Where the order names one of them (``commit:3:before``), the process ends there by SIGKILL.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds after which a command is considered to hang, and ended.
_PATIENCE = 100
#: What a worker process, which is started afresh, has to know.
_OF_WORKERS = "CRASH_WORKERS"


#: What the commands import by and by.
_WANTED = (
    "haulyard.cli.apply",
    "haulyard.cli.dispatch",
    "haulyard.cli.faults",
    "haulyard.cli.jobs_run",
    "haulyard.cli.plan_make",
    "haulyard.cli.running",
    "haulyard.cli.undo",
    "haulyard.observe.progress",
    "haulyard.stores.access",
    "haulyard.stores.assemble",
    "haulyard.stores.profiles",
)


class Points:
    """Counts points, and ends the process at the one that was named; at ``kind:0:…`` at none."""

    def __init__(self, target: str, trace: str, *, claim: str = "") -> None:
        kind, number, self._moment = target.split(":")
        self._target = kind, int(number)
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._claim = claim
        # `next` of a counter is one step, whichever thread takes it.
        self._counters: defaultdict[str, count[int]] = defaultdict(lambda: count(1))

    @contextmanager
    def passing(self, kind: str, what: str) -> Iterator[None]:
        here = kind, next(self._counters[kind])
        os.write(self._trace, f"{kind} {here[1]} {os.getpid()} {what}\n".encode())
        if here == self._target and self._moment == "before":
            self._kill()
        yield
        if here == self._target and self._moment == "after":
            self._kill()

    def _kill(self) -> None:
        if self._claim:
            try:
                # Of several processes that come to this point one ends.
                os.close(os.open(self._claim, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
        os.kill(os.getpid(), signal.SIGKILL)


def install(points: Points) -> None:
    """Put the points where the program passes."""
    from haulyard.http.client import HttpClient
    from haulyard.journal import amending
    from haulyard.journal.writer import Writer

    send, execute, seal_anew = HttpClient.send, Writer._execute, amending._seal_anew

    async def sending(client: HttpClient, *words: Any, **more: Any) -> Any:
        with points.passing("request", f"{words[0]} {words[2]}?{words[3]}"):
            return await send(client, *words, **more)

    def executing(writer: Writer, statement: str, parameters: Any) -> None:
        with points.passing("commit", statement.split()[2]):
            execute(writer, statement, parameters)

    def sealing(*words: Any) -> None:
        with points.passing("amend", os.path.basename(words[1])):
            seal_anew(*words)

    def named(real: Callable[..., None]) -> Callable[..., None]:
        def naming(source: str, destination: str, **more: Any) -> None:
            with points.passing("rename", os.path.basename(destination)):
                real(source, destination, **more)

        return naming

    seams: list[tuple[Any, str, Callable[..., Any]]] = [
        (HttpClient, "send", sending),
        (Writer, "_execute", executing),
        (amending, "_seal_anew", sealing),
        *((os, name, named(getattr(os, name))) for name in ("rename", "replace", "link")),
    ]
    for place, name, replacement in seams:
        setattr(place, name, replacement)


def make_smaller(*, page_size: int = 0, shard_rows: int = 0, max_put_size: int = 0) -> None:
    """Give pages of listings and shards fewer rows, and let copies be made by parts earlier."""
    from haulyard.jobs.planning import recording
    from haulyard.models import ListOptions
    from haulyard.stores import s3

    if page_size:
        listing, default = s3.S3Store.list, ListOptions()

        def in_small_pages(store: Any, prefix: str = "", options: ListOptions = default) -> Any:
            return listing(store, prefix, replace(options, page_size=page_size))

        s3.S3Store.list = in_small_pages  # type: ignore[method-assign, assignment]
    if shard_rows:
        recording.__dict__["SHARD_ROWS"] = shard_rows
    if max_put_size:
        real = s3.default_capabilities
        s3.__dict__["default_capabilities"] = lambda *words, **more: replace(
            real(*words, **more), max_put_size=max_put_size
        )


def import_program() -> None:
    """Import what a job needs, so that no child has to. Nothing of it may start a thread."""
    for name in _WANTED:
        import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1


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
    if size := order["file_size"]:
        # Python ignores the signal that would end the process.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    make_smaller(**order["smaller"])
    trace = os.path.abspath(order["trace"])
    if order["in_workers"]:
        os.environ[_OF_WORKERS] = json.dumps([order["point"], trace, f"{trace}.claimed", order["smaller"]])
    else:
        install(Points(order["point"], trace))
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
    import_program()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = start(order)
        print(answer, flush=True)  # noqa: T201 -- the answer


if __name__ == "__main__":
    serve()
elif __name__ == "__mp_main__" and _OF_WORKERS in os.environ:
    # A worker process of the program.
    _point, _trace, _claim, _smaller = json.loads(os.environ[_OF_WORKERS])
    make_smaller(**_smaller)
    install(Points(_point, _trace, claim=_claim))
