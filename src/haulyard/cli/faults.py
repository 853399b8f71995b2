"""How a command ends that could not go on: what is said, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import exits
from haulyard.errors import HaulError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.cli.output import Output


def report(error: BaseException, output: Output) -> int:
    """Say what stopped the command and return its exit code."""
    cause = pick(error)
    code = exits.exit_code(cause)
    if output.writer.failed:
        output.writer.abandon()
    if isinstance(cause, BrokenPipeError):
        return code
    try:
        output.writer.flush()
        if output.trace:
            import traceback

            output.stack("".join(traceback.format_exception(error)))
        if code == exits.INTERRUPTED:
            output.note("interrupted")
        else:
            output.error(explain(cause))
    except OSError:
        # Nobody is left to be told; the code says it.
        output.writer.abandon()
    return code


def pick(error: BaseException) -> BaseException:
    """Return the one error to speak of where task groups raised several."""
    leaves = list(_leaves(error))
    for types in (BrokenPipeError, KeyboardInterrupt, HaulError):
        for leaf in leaves:
            if isinstance(leaf, types):
                return leaf
    return leaves[0]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def explain(error: BaseException) -> BaseException:
    """Return what is to be said; an error that nobody foresaw gets its type and a way to see more."""
    if isinstance(error, (HaulError, OSError)):
        return error
    text = f"unexpected {type(error).__name__}: {error}"
    return HaulError(text, hint="run it again with --log-level debug, and report what it prints")
