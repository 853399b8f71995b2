"""The scripted API as a process of its own: what starts it, and what runs in it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from haulyard.testing._api_script import Call, Rule, read_log
from haulyard.testing._api_server import HOST, ApiServer, bound, loop_factory

if TYPE_CHECKING:
    import os
    import socket
    from collections.abc import Sequence
    from types import TracebackType

_MODULE: Final = "haulyard.testing.api"


class ApiProcess:
    """The scripted API as a process of its own: a context manager; killed and started again at will.

    Args:
        log: The file to which it appends each call before it is answered.
        rules: Rules as `ApiServer` takes them, without functions.
        limit: As for `ApiServer`.
        bodies: Whether the log keeps bodies.
    """

    def __init__(
        self,
        log: str | os.PathLike[str],
        *rules: Rule,
        limit: tuple[int, float] | None = None,
        bodies: bool = True,
    ) -> None:
        self._path = str(log)
        self._options = [f"--log={log}", *(f"--rule={_spelled(rule)}" for rule in rules)]
        self._options += [] if limit is None else [f"--limit={limit[0]}/{limit[1]}"]
        self._options += [] if bodies else ["--no-bodies"]
        self._holder: socket.socket
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._holder = bound(0)
        try:
            self.come_back()
        except BaseException:
            self._holder.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.die()
        self._holder.close()

    @property
    def port(self) -> int:
        """The port it listens on, the same after `come_back`."""
        port: int = self._holder.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its origin: `http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.port}"

    @property
    def calls(self) -> list[Call]:
        """Every call so far, read from the log."""
        return read_log(self._path)

    def die(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def come_back(self) -> None:
        """Start it, and return when it listens.

        Raises:
            RuntimeError: If it does not start; standard error says why.
        """
        command = [sys.executable, "-m", _MODULE, f"--port={self.port}", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        if self._process.stdout is None or not self._process.stdout.readline():
            self.die()
            raise RuntimeError("the scripted API did not start")


def _spelled(rule: Rule) -> str:
    if rule.where is not None or callable(rule.body):
        raise ValueError("a function cannot be handed to another process")
    defaults = Rule()
    names = (name for name in Rule.__dataclass_fields__ if getattr(rule, name) != getattr(defaults, name))
    told = {name: getattr(rule, name) for name in names}
    if isinstance(rule.body, bytes):
        told["body"] = rule.body.decode()
    return orjson.dumps(told).decode()


_OPTIONS = ["port=", "log=", "limit=", "rule=", "no-bodies", "help"]
_USAGE = """\
usage: python -m haulyard.testing.api [--port N] [--log FILE] [--limit CALLS/SECONDS]
                                       [--rule JSON ...] [--no-bodies]
  --port       where to listen on the loopback interface; any free port unless stated
  --log        append each call to FILE, a line of JSON each
  --limit      answer 429 to what exceeds so many calls in so many seconds, 1 unless stated
  --rule       the arguments of a Rule: {"status": 429, "retry_after": 0.1, "times": 1}
  --no-bodies  do not remember what was sent
It prints its URL, and serves until SIGTERM or SIGINT."""


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    import getopt  # argparse is the command line's alone

    try:
        options, rest = getopt.getopt(arguments, "", _OPTIONS)
    except getopt.GetoptError as error:
        raise SystemExit(f"{error}\n{_USAGE}") from None
    if rest:
        raise SystemExit(f"not an option: {rest[0]}\n{_USAGE}")
    if ("--help", "") in options:
        sys.stdout.write(f"{_USAGE}\n")
        return
    given: dict[str, Any] = {"in_memory": False}
    rules: list[Rule] = []
    for name, value in options:
        match name:
            case "--port":
                given["port"] = int(value)
            case "--log":
                given["log"] = value
            case "--no-bodies":
                given["bodies"] = False
            case "--limit":
                calls, _, seconds = value.partition("/")
                given["limit"] = int(calls), float(seconds or 1)
            case _:
                rules.append(Rule(**orjson.loads(value)))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(ApiServer(*rules, **given)))


async def _serve(server: ApiServer) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with server:
        with closing(sys.stdout):
            sys.stdout.write(f"{server.url}\n")
        await ended.wait()
