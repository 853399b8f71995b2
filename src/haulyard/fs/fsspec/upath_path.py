"""``UPath("haul://…")``: imported by universal-pathlib alone, which finds it by its entry point."""

from __future__ import annotations

from fsspec import get_filesystem_class
from upath._flavour import WrappedFileSystemFlavour
from upath.implementations.cloud import CloudPath


class HaulPath(CloudPath):
    """A path of a `HaulFileSystem`, which begins with a bucket, as those of s3:// do."""

    __slots__ = ()


def _known_to_universal_pathlib() -> None:
    """Tell universal-pathlib how paths of ours are cut: it lists the protocols that begin with a bucket.

    Before its first path of a protocol it looks for an imported filesystem, and remembers what it found.
    """
    get_filesystem_class("haul")
    config = WrappedFileSystemFlavour.protocol_config
    config["netloc_is_anchor"].add("haul")
    config["supports_empty_parts"].add("haul")
    WrappedFileSystemFlavour.from_protocol.cache_clear()


_known_to_universal_pathlib()
