"""`HaulFileSystem`: S3 for whatever speaks fsspec."""

from __future__ import annotations

from haulyard.fs.fsspec.writing import WritingMethods


class HaulFileSystem(WritingMethods):
    """S3, or a store that speaks its protocol, for pandas, polars, dask, zarr and whatever speaks fsspec."""
