"""Text as columns: CSV, TSV, JSON Lines and JSON arrays, block by block, with every bad row named.

What `dataset` calls::

    async def text_pieces(
        source: SourceFile,
        stream: AsyncIterator[Buffer],          # stored bytes, in order
        options: ReadOptions,
        schema: pa.Schema | None,               # these columns and types; None: those found so far
        lanes: Executor,                        # threads that parse
        *,
        emit: Emit = ignore,                    # is told of `Warned`
        found: Callable[[tuple[str, ...]], None] = ...,
                                                # is told the file's columns before the first piece, and again
                                                # when JSON shows more; what it raises is passed on
        doubt: Callable[[Mapping[str, Evidence], int], None] = ...,
                                                # is told in the end of columns of text most of whose values
                                                # are of another type, and of the number of rows
    ) -> AsyncGenerator[Piece]

    async def text_profile(source, stream, options, lanes, *, emit=ignore) -> TextProfile
    async def text_names(source, stream, options, lanes) -> tuple[str, ...]
    merge(a: TextProfile, b: TextProfile) -> TextProfile
    types_of(profile: TextProfile, share: float = 0.999) -> pa.Schema

``found`` has for CSV all columns, also those that nobody wants; for JSON those of the schema and of the first
objects. A field of `types_of` whose dates are not written as ISO says how in its metadata (`FORMAT`:
``DD/MM/YYYY``); `text_pieces` understands it. Keep the metadata when schemas are put together; where a schema
asks for dates without it, the first rows tell.

Without a schema, the batches of later pieces may have wider types (null to anything, int64 to double, date to
timestamp), and `ConvergedLaterError` is raised where that would lose something, be it digits of a number.
Whether an int64 of an earlier piece is too large for a double is left to the cast. Dates that may have the
day or the month first are text; where a later block tells which, the error is raised as well.
"""

from haulyard.ingest.text.layout import FORMAT
from haulyard.ingest.text.profile import TextProfile, merge, types_of
from haulyard.ingest.text.reading import text_names, text_pieces, text_profile

__all__ = ["FORMAT", "TextProfile", "merge", "text_names", "text_pieces", "text_profile", "types_of"]
