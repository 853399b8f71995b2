"""``UPath("haul://…")``: imported by universal-pathlib alone, which finds it by its entry point."""

from __future__ import annotations

from upath import UPath


class HaulPath(UPath):
    """A path of a `HaulFileSystem`; its first part is the bucket.

    What makes it a class of its own is that universal-pathlib warns of protocols that have none.
    """

    __slots__ = ()
