"""What a file that nobody said to be CSV is by its content, where its name misleads."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from haulyard.errors import IngestError
from haulyard.events import Warned
from haulyard.records.formats.cutting import Start
from haulyard.records.formats.detection import format_of
from haulyard.records.formats.json_values import JsonValues, begins_array

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.records.formats.encoding import Charset
    from haulyard.records.model import Format

#: How pages and other documents begin; S3's errors begin like the last.
_MARKUP: Final = re.compile(
    rb"\s*<(?:(!doctype\s+html\b|html\b)|\?xml\b|!--|!doctype\b|error>)", re.IGNORECASE
)
#: How objects of JSON begin, in an array or not; nothing else is as likely to.
_OBJECT: Final = re.compile(rb'\s*(?:\[\s*)?\{\s*"(?:[^"\\\n]|\\.)*"\s*:')


def is_markup(head: bytes) -> str:
    """Return ``HTML`` or ``XML`` where a text begins like that, else ``""``."""
    found = _MARKUP.match(head)
    return "" if found is None else "HTML" if found[1] else "XML"


def check_markup(form: Format, head: bytes, uri: str) -> None:
    """Raise IngestError where a file that its name makes ``form`` begins like a page, or other markup."""
    if markup := is_markup(head):
        hint = "an error page may have been saved in its place: fetch it again"
        if form in {"csv", "tsv"}:
            hint = f"{hint}; format={form!r} reads it all the same"
        name = "Parquet" if form == "parquet" else form.upper()
        raise IngestError(f"{uri} is {markup}, not {name}", hint=hint)


def form_by_content(form: Format, head: bytes, charset: Charset, uri: str, emit: Emit) -> Format:
    """Return the format of a file that its name makes ``form``, and that begins with ``head``; tell of it.

    Raises:
        IngestError: It is a page, or another document of markup.
    """
    check_markup(form, head, uri)
    if form not in {"csv", "tsv"} or not _is_json(head, charset):
        return form
    found = format_of("", head) or "json"
    what = "JSON Lines" if found == "jsonl" else "JSON"
    emit(
        Warned(
            f"{uri} is {what}, whatever its name says, and is read as that",
            hint=f"format={form!r} reads it as {form.upper()}",
        )
    )
    return found


def _is_json(head: bytes, charset: Charset) -> bool:
    """Whether a text begins with objects of JSON, and its first line has nothing else."""
    if not _OBJECT.match(head):
        return False
    begun = head.lstrip()
    first = begun[: begun.find(b"\n") + 1] or begun
    values = JsonValues(0, charset, Start(), is_array=begins_array(first), is_begun=False, grid=1)
    blocks = [block for block in chain(values.feed(first), values.finish()) if block is not None]
    flaws = [flaw for block in blocks for flaw in block.flaws.values()]
    # An object may go on in the lines that follow; fields behind one are those of TSV.
    return all("does not end" in flaw.reason for flaw in flaws) and all(
        row[:1] in {b"", b"{"} for block in blocks for row in block.rows
    )
