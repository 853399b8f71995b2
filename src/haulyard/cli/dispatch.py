"""From words to an exit code: finds the command, parses, resolves settings, runs, says what went wrong."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

from haulyard.cli import commands, exits
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from haulyard.cli.context import Connect, Context, ResolveOwned
    from haulyard.cli.output import Output
    from haulyard.config import Setting, Settings
    from haulyard.events import Emit
    from haulyard.stores.assemble import Connection


# uvloop and flock are missing there.
_SUPPORTED = os.name == "posix"


class Process(NamedTuple):
    """What a command line runs in; tests give their own. ``connect`` None means real connections."""

    environ: Mapping[str, str]
    cwd: str
    out: BinaryIO
    err: BinaryIO
    connect: Connect | None = None

    @classmethod
    def of_this(cls) -> Process:
        """Return this process's own environment, directory and streams."""
        _occupy_standard_streams()
        return cls(os.environ, os.getcwd(), _binary(sys.stdout, 1), _binary(sys.stderr, 2))


def _occupy_standard_streams() -> None:
    """Let no file or socket that is opened later become a standard stream that was closed.

    What is read from or written to a closed stream fails as if it were still closed; standard error is the
    exception, for nobody could be told.
    """
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)


def _binary(stream: TextIO | None, fd: int) -> BinaryIO:
    # Python has None for a stream that was closed when it started.
    return stream.buffer if stream is not None else open(fd, "wb", closefd=False)


def dispatch(words: Sequence[str], process: Process) -> int:
    """Run the command line ``words`` and return its exit code; never raises for what a user can cause."""
    from haulyard.cli.output import Output
    from haulyard.cli.writer import Writer

    output = Output(Writer(process.out, process.err), as_json="--json" in words)
    try:
        code = _dispatch(words, process, output)
        output.writer.flush()
    except BaseException as error:  # noqa: BLE001 -- the one place where every error ends
        from haulyard.cli.faults import report

        return report(error, output)
    return code


def _dispatch(words: Sequence[str], process: Process, output: Output) -> int:
    if not _SUPPORTED:
        raise ConfigError("Windows is not supported", hint="use the Windows Subsystem for Linux")
    if not words or words[0] in {"-h", "--help"}:
        output.lines([commands.overview()])
        return exits.OK if words else exits.USAGE
    if words[0] == "help":
        return _dispatch([*words[1:2], "--help"], process, output)
    verb, rest = split_verb(words)
    module = commands.load(verb)
    output.verb = verb

    from haulyard.cli.flags import settings_given
    from haulyard.cli.parsing import HelpRequested, build
    from haulyard.config import resolve, resolve_owned
    from haulyard.events import Warned
    from haulyard.stores.profiles import profile_values

    try:
        arguments = build(verb, module).read(rest)
    except HelpRequested as request:
        output.lines([str(request)])
        return exits.OK
    given = settings_given(arguments)

    def resolve_with(further: Mapping[str, object]) -> Settings:
        return resolve({**given, **further}, process.environ, process.cwd, profile_values)

    def resolve_owned_with(
        table: Mapping[str, Setting], flags: Mapping[str, object]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        return resolve_owned(table, flags, process.environ, process.cwd)

    settings = resolve_with({})
    output.as_json, output.trace = settings.json, settings.log_level == "debug"
    options = module.read(arguments)
    context = _open_context(settings, output, process, resolve_with, resolve_owned_with)
    for warning in settings.warnings:
        context.emit(Warned(warning))
    outcome = module.run(options, context)
    if isinstance(outcome, int):
        return outcome

    from haulyard.cli.running import drive

    if settings.log_level not in {"debug", "info"}:
        return drive(outcome, context)
    return _drive_and_count(outcome, context)


def _drive_and_count(outcome: Coroutine[object, object, int], context: Context) -> int:
    from haulyard.cli.running import drive
    from haulyard.observe.stats import Statistics

    statistics = Statistics()
    context.subscribers.add(statistics)
    try:
        return drive(outcome, context)
    finally:
        context.output.statistics(statistics)


def split_verb(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the verb and the words around it; flags that stand before it come first.

    Raises:
        ConfigError: There is no verb, or a flag before it that commands do not share.
    """
    if not words[0].startswith("-"):
        return words[0], list(words[1:])
    from haulyard.cli.flags import takes_value

    known = takes_value()
    position = 0
    while position < len(words) and words[position].startswith("-"):
        name, equals, _ = words[position].partition("=")
        if name not in known:
            raise ConfigError(
                f"{name} is not a flag that may stand before the verb",
                hint="put the flags of a command behind its verb; haul --help lists the verbs",
            )
        position += 2 if known[name] and not equals else 1
    if position >= len(words):
        raise ConfigError("there is no verb", hint="haul --help lists the verbs")
    return words[position], [*words[:position], *words[position + 1 :]]


def _open_context(
    settings: Settings,
    output: Output,
    process: Process,
    resolve: Callable[[Mapping[str, object]], Settings],
    resolve_owned: ResolveOwned,
) -> Context:
    from haulyard.cli.context import Connections, Context
    from haulyard.cli.stop import Stop
    from haulyard.observe.log import Log
    from haulyard.observe.subscribers import Subscribers

    subscribers = Subscribers()
    log = Log(settings.log_level, settings.log_file, output.log, as_json=settings.json)
    subscribers.add(log, requests=bool(settings.log_file) or settings.log_level == "debug")

    def connect(settings: Settings, emit: Emit, *, rate: float = 0.0) -> Connection:
        # Everything that speaks S3: 60 ms that commands without a connection do not pay.
        from haulyard.stores.assemble import Connection

        return Connection(settings, emit, observed=subscribers.wants_requests, rate=rate)

    connections = Connections(process.connect or connect)
    return Context(settings, output, Stop(), connections, subscribers, resolve, resolve_owned)
