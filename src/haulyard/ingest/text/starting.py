"""A file of text opened: what writes its rows in which way, and its blocks."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from haulyard.ingest.text.cutting import Cutter, LineEnds, RecordEnds
from haulyard.ingest.text.delimited import DelimitedForm, with_ways
from haulyard.ingest.text.flight import blocks, most_of
from haulyard.ingest.text.json_array import array_blocks
from haulyard.ingest.text.json_lines import JsonForm, first_names
from haulyard.ingest.text.opening import open_delimited
from haulyard.ingest.text.streams import opened
from haulyard.ingest.text.values import check_type
from haulyard.records.formats.detection import HEAD
from haulyard.records.formats.json_values import begins_array

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    import pyarrow as pa

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.ingest.text.cutting import Block
    from haulyard.ingest.text.forms import Form
    from haulyard.ingest.text.streams import Lane, Opened
    from haulyard.models.body import Buffer


class Started(NamedTuple):
    """A file whose rows can be read: ``names`` are its columns, ``line`` is the number of its first row's.

    ``schema`` is what was asked for; it says how dates are written, if that is not as ISO has them.
    """

    form: Form
    schema: pa.Schema | None
    names: tuple[str, ...]
    blocks: AsyncGenerator[Block]
    line: int
    encoding: str


@asynccontextmanager
async def starting(
    source: SourceFile,
    stream: AsyncIterator[Buffer],
    options: ReadOptions,
    schema: pa.Schema | None,
    lane: Lane,
    size: int,
    count: Callable[[int], None],
    emit: Emit,
) -> AsyncGenerator[Started]:
    """Open a file, whose blocks are to have about ``size`` bytes; ``count`` is told of stored bytes.

    Raises:
        IngestError: It has no columns, is damaged, or not in its encoding.
        ConfigError: A type of ``schema`` cannot be read from text, or an option is wrong.
    """
    file = await opened(source, stream, options, lane, count, emit)
    start = _delimited if file.form in {"csv", "tsv"} else _json
    started = await start(file, source, options, schema, lane, size, emit)
    async with aclosing(started.blocks):
        yield started


async def _delimited(
    file: Opened,
    source: SourceFile,
    options: ReadOptions,
    schema: pa.Schema | None,
    lane: Lane,
    size: int,
    emit: Emit,
) -> Started:
    for field in schema or ():
        check_type(field.name, field.type)
    known = schema.names if schema is not None else ()
    layout, text, line = await open_delimited(file, source.uri, options, known, emit)
    ends = RecordEnds(layout.dialect)
    if schema is not None:
        head = await text.head(HEAD)
        head = head if text.ended else head[: ends.last(head)]
        schema = await lane.run(with_ways, schema, head, layout)
    cutter = Cutter(ends, size=size, most=most_of(options.memory))
    return Started(
        DelimitedForm(layout, options.columns),
        schema,
        layout.names,
        blocks(text, cutter, lane),
        line,
        layout.charset.name.upper(),
    )


async def _json(
    file: Opened,
    source: SourceFile,
    options: ReadOptions,
    schema: pa.Schema | None,
    lane: Lane,
    size: int,
    emit: Emit,  # noqa: ARG001 -- as for the others
) -> Started:
    names = await first_names(file, source.uri, schema)
    form = JsonForm(source.uri, file.charset, names, options, is_strict=schema is None)
    most = most_of(options.memory)
    if file.form == "json" or begins_array(await file.text.head(1)):
        found = array_blocks(file, source.uri, lane, size, most)
    else:
        found = blocks(file.text, Cutter(LineEnds(), size=size, most=most), lane)
    return Started(form, schema, names, found, 1, file.charset.name.upper())
