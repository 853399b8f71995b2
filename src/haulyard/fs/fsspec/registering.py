"""The protocols that lead here: ``haul`` by entry point, ``s3`` on request: other packages own that name."""

from __future__ import annotations

import fsspec

from haulyard.fs.fsspec.filesystem import HaulFileSystem


class HaulS3FileSystem(HaulFileSystem):
    """`HaulFileSystem` for URLs that begin with ``s3://`` or ``s3a://``; see `register_s3`."""

    protocol = ("s3", "s3a", "haul")


def register_s3() -> None:
    """Let ``s3://`` and ``s3a://`` lead to Haulyard in this process, also where s3fs is installed.

    Programs that say ``s3://`` then need no change. Filesystems that were made before stay what they are.

    Example:
        >>> haulyard.fs.register_s3()
        >>> pandas.read_csv("s3://demo/flights.csv")
    """
    for protocol in ("s3", "s3a"):
        fsspec.register_implementation(protocol, HaulS3FileSystem, clobber=True)
