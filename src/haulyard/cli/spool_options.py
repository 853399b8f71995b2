"""What `haul spool` was asked for: its flags judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from haulyard.config.kinds import parse_duration, parse_size
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Literal, TypeVar

    T = TypeVar("T", int, float)

FORMS: Final = ("json", "xml")
FRAMINGS: Final = ("lines", "documents", "length")
COMPRESSIONS: Final = ("gzip", "zstd")


@dataclass(frozen=True, slots=True)
class Options:
    """What is written where; sizes are in bytes, the age in seconds, ``min_free`` None is the default."""

    directory: str
    form: Literal["json", "xml"]
    framing: str
    root: str
    max_bytes: int
    max_age: float
    max_events: int
    max_event: int
    compress: str
    socket: str
    min_free: int | None


def read(arguments: Namespace) -> Options:
    """Validate the arguments.

    Raises:
        ConfigError: One of them is not what it has to be.
    """
    expected = "lines" if arguments.format == "json" else "documents"
    if arguments.framing not in {"", expected, "length"}:
        raise ConfigError(
            f"{arguments.format} does not come as {arguments.framing}",
            hint=f"write --framing {expected} or --framing length",
        )
    if arguments.max_events < 0:
        raise ConfigError("--max-events is a number of events", hint="write --max-events 10000")
    min_free = arguments.min_free
    return Options(
        directory=arguments.directory,
        form=arguments.format,
        framing=arguments.framing or expected,
        root=arguments.root,
        max_bytes=_positive("--max-size", arguments.max_size),
        max_age=_value("--max-age", arguments.max_age, parse_duration, "5m, 30s or 0"),
        max_events=arguments.max_events,
        max_event=_positive("--max-event", arguments.max_event),
        compress=arguments.compress,
        socket=arguments.socket,
        min_free=_value("--min-free", min_free, parse_size, "1GiB or 0") if min_free else None,
    )


def _positive(flag: str, text: str) -> int:
    size = _value(flag, text, parse_size, "64MiB")
    if size < 1:
        raise ConfigError(f"{flag} is at least one byte", hint=f"write {flag} 64MiB")
    return size


def _value(flag: str, text: str, parse: Callable[[str], T], example: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise ConfigError(f"{flag} {text!r} is not understood", hint=f"write {flag} {example}") from None
