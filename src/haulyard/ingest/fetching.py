"""The stored bytes of one file, fetched ahead of who takes them: in order, in parallel ranges, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from haulyard.ingest.model import SourceFile
    from haulyard.models.body import Buffer


class Stream(Protocol):
    """The bytes of ``source`` as they are stored, in order. Use it as an async context manager.

    ``taken`` is the number of bytes handed out so far. What runs ahead ends with the block.
    """

    source: SourceFile
    taken: int

    async def read(self) -> Buffer:
        """Return the next piece, mostly a few MiB, which nobody changes any more; ``b""`` behind the last.

        Raises:
            IngestError: The object was replaced since it was listed.
            S3Error: The store gave up.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
