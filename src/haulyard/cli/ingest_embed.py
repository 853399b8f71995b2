"""The flags of `haul ingest` that ask for a column of vectors, judged before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.cli.process_options import parse_rate
from haulyard.config.kinds import parse_duration
from haulyard.errors import ConfigError
from haulyard.observe.lines import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.ingest.embedding.model import Embedded, Embedding

_GROUP = "embedding"
#: Flags that mean nothing without a model, by their names in the namespace.
_NAMES = ("column", "into", "url", "dimensions", "rate", "batch", "timeout", "strict", "new")


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument_group(_GROUP).add_argument
    add("--embed", default="", metavar="MODEL", help="add a column of vectors, made by this model")
    add("--embed-column", default="", metavar="NAME", help="of these texts; else of the only column of text")
    add("--embed-into", default="", metavar="NAME", help="what the vectors are called (NAME_embedding)")
    add("--embed-url", default="", metavar="URL", help="OpenAI-compatible endpoint (OPENAI_BASE_URL)")
    add("--embed-dimensions", type=int, metavar="N", help="numbers of a vector; else as the model has it")
    add(
        "--embed-rate",
        action="append",
        default=[],
        metavar="N/PERIOD",
        help="calls at most (50/s): 500/m, 10000/day; may be repeated, all of them hold",
    )
    add("--embed-batch", type=int, metavar="N", help="texts of a call (100)")
    add("--embed-timeout", default="", metavar="TIME", help="of one call (120s)")
    add("--embed-strict", action="store_true", help="load nothing where a text has no vector")
    add("--embed-new", action="store_true", help="throw away what a load that was cut short has kept")


def read(arguments: Namespace) -> Embedding | None:
    """Return what is asked for, None where it is nothing.

    Raises:
        ConfigError: A flag is not what it has to be, or there is no model.
    """
    from haulyard.ingest.embedding.model import Embedding

    given: dict[str, Any] = {name: getattr(arguments, f"embed_{name}") for name in _NAMES}
    given = {name: value for name, value in given.items() if value or (value == 0 and value is not False)}
    if not arguments.embed:
        if given:
            flag = f"--embed-{next(iter(given))}"
            raise ConfigError(
                f"{flag} is for embedding, and no model is named", hint=f"write --embed MODEL {flag} …"
            )
        return None
    if "rate" in given:
        given["limits"] = tuple(parse_rate(each, "--embed-rate") for each in given.pop("rate"))
    if "timeout" in given:
        given["timeout"] = _timeout(given["timeout"])
    return Embedding(arguments.embed, **given)


def lines_of(embedded: Embedded) -> list[str]:
    """Return what an embedding came to, for people."""
    one = embedded
    size = f" of {one.dimensions:,} numbers" if one.dimensions else ""
    made, calls = _counted(one.texts - one.failed, "text"), _counted(one.calls, "call")
    lines = [f"{made} embedded by {escape(one.model)} in {calls}: vectors{size} in {escape(one.into)}"]
    if empty := one.rows_without - one.rows_failed:
        lines.append(f"without a text, and so without a vector: {_counted(empty, 'row')}")
    if one.failed:
        rows = _counted(one.rows_failed, "row")
        lines.append(f"without a vector, because {_counted(one.failed, 'text')} failed: {rows}")
        lines += [f"  {escape(text)!r}: {escape(why)}" for text, why in one.samples]
        lines.append(f"  haul process --dead-letters {one.job} lists them")
    return lines


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _timeout(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--embed-timeout {text!r} is no time", hint="write --embed-timeout 2m") from error
    if seconds <= 0:
        raise ConfigError("--embed-timeout is longer than nothing", hint="write --embed-timeout 2m")
    return seconds
