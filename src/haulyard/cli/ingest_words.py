"""What the library says of its arguments, said of the flags of `haul ingest`. Pure.

Hints of `haulyard.ingest` are those of a library: ``on_drift='add-columns' makes nulls …``, ``columns= reads
only …``. On a command line the same is called ``--on-drift add-columns`` and ``--columns``.
"""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from haulyard.cli.faults import pick
from haulyard.errors import HaulError
from haulyard.events import Warned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.events import Emit, Event

#: Arguments whose flags are not called as they are.
_FLAGS: Final = {
    "schema": "--schema-file",
    "memory": "--memory-limit",
    "nulls": "--null",
    "header=False": "--no-header",
    "hive=False": "--no-hive",
    "max_rejects=None": "--max-rejects -1",
    "quote=''": "--quote none",
    "model": "--embed",
}
_NAMES: Final = (
    *("columns", "compression", "db", "delimiter", "encoding", "escape", "force", "format", "header", "hive"),
    *("key", "manifest", "max_rejects", "memory", "mode", "names", "nulls", "on_drift", "quote", "recursive"),
    *("rejects", "schema", "table", "where"),
)
_VALUE: Final = r"'[^']*'|\[[^\]]*\]|True\b|False\b|None\b|N\b|[0-9]+\b(?![/.=])"
#: An argument as it is written in Python, maybe without a value; not a part of a path or URL.
_ARGUMENT: Final = re.compile(
    rf"(?<![\w/.'\"=-])(?:Embedding\((?P<of>\w+)=(?P<vector>{_VALUE})?\)"
    rf"|(?P<name>{'|'.join(_NAMES)})=(?P<value>{_VALUE}|(?=[\s,;:)]|$)))"
)


def in_flags(text: str) -> str:
    """Return a hint with flags for arguments.

    >>> in_flags("on_drift='add-columns' makes nulls; columns= takes those that all have")
    '--on-drift add-columns makes nulls; --columns takes those that all have'
    """
    return _ARGUMENT.sub(_flag, text)


@contextmanager
def speaking_flags() -> Iterator[None]:
    """Let the hint of an error that ends the block speak of flags."""
    try:
        yield
    except BaseException as error:
        cause = pick(error)
        if isinstance(cause, HaulError):
            cause.hint = in_flags(cause.hint)
        raise


def warning_of_flags(emit: Emit) -> Emit:
    """Return where events go, with warnings that speak of flags."""

    def emitted(event: Event) -> None:
        emit(event._replace(hint=in_flags(event.hint)) if isinstance(event, Warned) else event)

    return emitted


def _flag(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    if found["of"]:
        name, value = found["of"], found["vector"] or ""
        flag = _FLAGS.get(name, f"--embed-{name}")
    elif (whole := f"{name}={value}") in _FLAGS:
        return _FLAGS[whole]
    else:
        flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if value in {"", "True"}:
        return flag
    if value.startswith("["):
        value = ",".join(part.strip(" '") for part in value[1:-1].split(","))
    return f"{flag} {shlex.quote(value.strip(chr(39)))}"
