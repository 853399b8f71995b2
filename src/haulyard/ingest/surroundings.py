"""What the files of a dataset share while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    import pyarrow as pa

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.ingest.remarks import Remarks
    from haulyard.models.body import Buffer

    #: Is told the names of a file's own columns, and of Parquet their types.
    Found = Callable[[SourceFile, Sequence[str], pa.Schema | None], None]

NO_TAILS: Final[Mapping[str, Buffer]] = {}


class Surroundings(NamedTuple):
    """What files share: options, threads that parse, who is told; and the bytes that one may hold.

    ``tails`` are the last bytes of files of which they are known, by URI; ``remarks`` gathers what is to be
    said in the end.
    """

    options: ReadOptions
    lanes: Executor
    emit: Emit
    memory: int
    tails: Mapping[str, Buffer] = NO_TAILS
    remarks: Remarks | None = None
