"""Shows and exports the plan of a bulk job."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from haulyard.cli import exits, jobs
from haulyard.errors import ConfigError
from haulyard.jobs.model import Action
from haulyard.jobs.plan import Plan
from haulyard.journal.reporting import wording
from haulyard.observe.lines import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from haulyard.cli.context import Context
    from haulyard.cli.writer import Writer
    from haulyard.journal.folder import JobFolder

#: Rows that are shown without a query, and those by which columns are made wide enough.
_FIRST: Final = 20
_MEASURED: Final = 100
_WIDEST: Final = 80


class Row(NamedTuple):
    """One row of an answer, for programs."""

    values: dict[str, object]

    @property
    def kind(self) -> str:
        """The name of such results in JSON."""
        return "row"

    def text(self) -> str:
        """Return it for people; tables are aligned elsewhere."""
        return "  ".join(map(_cell, self.values.values()))

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return self.values


@dataclass(frozen=True, slots=True)
class Shown:
    """The summary of a plan as `haul plan` prints it."""

    kind: ClassVar[str] = "plan"

    plan: Plan

    def text(self) -> str:
        """Return it for people."""
        return "\n".join(self.plan.summary.lines(next_step=False))

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return self.plan.summary.fields()


def show(folder: JobFolder, sql: str, context: Context) -> int:
    """Show the summary and the first rows, or what a query comes to."""
    plan = Plan(folder)
    if sql:
        answer = plan.query(sql)
        _tell(answer.columns, answer.rows, context)
        return exits.OK
    context.output.result(Shown(plan))
    first = list(islice(plan.operations(), _FIRST + 1))
    if not context.output.as_json:
        context.output.lines([""])
    columns = ("action", "rule", "size", "key", "destination", "conflict")
    rows = (
        (
            Action(each.action).word,
            plan.rule(each.rule),
            each.size if each.size >= 0 else None,
            each.key,
            each.destination,
            _conflict(each.conflict),
        )
        for each in first[:_FIRST]
    )
    _tell(columns, rows, context)
    if len(first) > _FIRST:
        more = jobs.command("plan show", folder.name, context, "--sql 'SELECT * FROM plan'")
        context.output.note(f"the first {_FIRST} of {plan.summary.objects:,}; all:  {more}")
    return exits.OK


def export(folder: JobFolder, target: str, form: str, context: Context) -> int:
    """Write the plan to a file, or to standard output."""
    plan = Plan(folder)
    if target != "-":
        count = plan.export(target, form)
        context.output.note(f"{wording.things(count, 'row')} written to {target}")
        return exits.OK
    writer = context.output.writer
    if form == "parquet" and writer.shows_results:
        raise ConfigError(
            "Parquet is not for terminals", hint="name a file: haul plan export JOB plan.parquet"
        )
    stream = _Standard(writer)
    with io.BufferedWriter(stream) as buffered:
        plan.export(buffered, form)
    return exits.OK


class _Standard(io.RawIOBase):
    """Standard output, as what writes files wants it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:  # noqa: ANN401 -- anything with bytes in it
        piece = bytes(content)
        self._writer.direct(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written


def _tell(columns: Sequence[str], rows: Iterable[Sequence[object]], context: Context) -> None:
    """Write rows as they come: aligned for people, an object a line for programs."""
    output = context.output
    if output.as_json:
        for row in rows:
            output.result(Row(dict(zip(columns, row, strict=True))))
        return
    for line in _table(columns, rows):
        output.lines([line])


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Align columns by the first rows; what is wider later sticks out, and nothing is cut."""
    remaining = iter(rows)
    first = [tuple(map(_cell, row)) for row in islice(remaining, _MEASURED)]
    heads = tuple(map(str, columns))
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(heads, *first, strict=True)]
    for row in chain([heads], first, (tuple(map(_cell, row)) for row in remaining)):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes):
        return value.hex()
    return escape(str(value))


def _conflict(number: int) -> str:
    from haulyard.jobs.model import Conflict

    return "" if number == Conflict.NONE else Conflict(number).word
