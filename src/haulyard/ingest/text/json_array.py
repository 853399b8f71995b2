"""JSON that is no JSON Lines (an array, or values over as many lines as they like) as blocks of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import IngestError
from haulyard.ingest.model import again
from haulyard.ingest.text.cutting import Block
from haulyard.records.formats.cutting import Start
from haulyard.records.formats.json_values import JsonValues, begins_array

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from haulyard.ingest.text.streams import Lane, Opened
    from haulyard.records.model import Block as Values

#: What to do about JSON of which nothing can be read.
OTHER_FORMAT: Final = "format='csv', if that is what it is"


async def array_blocks(
    file: Opened,
    uri: str,
    lane: Lane,
    size: int,
    most: int,
) -> AsyncGenerator[Block]:
    """Yield the elements of a file, each as a line.

    Raises:
        IngestError: It is no JSON from some line on, or does not end: elements are missing.
    """
    head = await file.text.head(1)
    values = JsonValues(
        0,
        file.charset,
        Start(),
        is_array=begins_array(head),
        is_begun=False,
        grid=size,
        max_record=most,
    )
    while data := await file.text.read():
        for block in await lane.run(_lines, values.feed(data), uri):
            yield block
    for block in await lane.run(_lines, values.finish(), uri):
        yield block


def _lines(found: Iterator[Values | None], uri: str) -> list[Block]:
    blocks = []
    for each in found:
        if each is None:
            continue
        for place, flaw in each.flaws.items():
            is_first = not each.offset and not place
            raise IngestError(
                f"{uri}: line {flaw.line}: {flaw.reason}", hint=_hint(flaw.reason, uri, is_first=is_first)
            )
        blocks.append(Block(b"\n".join(each.rows) + b"\n"))
    return blocks


def _hint(reason: str, uri: str, *, is_first: bool) -> str:
    if "MiB" in reason:
        return "a larger memory limit allows for it: memory="
    if is_first and "does not end" not in reason:
        return OTHER_FORMAT
    return f"{again(uri)} if it was cut short; JSON Lines lose no more than a line"
