"""S3 Inventory: a ``manifest.json`` that names data files, gzipped CSV or Parquet, with a row an object.

"Amazon S3 Inventory" and "Inventory manifest" in the S3 user guide say what is in them.
"""

from __future__ import annotations

import json
from datetime import UTC
from hashlib import md5
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import ConfigError, IntegrityError
from haulyard.transfer.lines import inflated, line_pages
from haulyard.transfer.listed import CsvLines, Listed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from haulyard.models.body import Buffer

#: Rows of a Parquet file that are in memory at a time.
_ROWS: Final = 10_000
_PARQUET_COLUMNS: Final = (
    *("bucket", "key", "is_latest", "is_delete_marker"),
    *("size", "last_modified_date", "e_tag", "storage_class"),
)


class DataFile(NamedTuple):
    """One data file: its key in the inventory's own bucket, and its MD5 in hexadecimal digits, or ``""``."""

    key: str
    md5: str


class Inventory(NamedTuple):
    """A ``manifest.json``, understood: of the bucket ``source``, with its data files in ``bucket``."""

    source: str
    bucket: str
    columns: tuple[str, ...]
    files: tuple[DataFile, ...]
    is_parquet: bool


def parse_inventory(text: bytes, name: str) -> Inventory:
    """Understand the content of a ``manifest.json``.

    Raises:
        ConfigError: It is none, or its data files have a format that cannot be read.
    """
    try:
        content = json.loads(text)
        source = str(content["sourceBucket"])
        bucket = str(content["destinationBucket"]).rpartition(":")[2]  # an ARN
        files = tuple(
            DataFile(str(file["key"]), str(file.get("MD5checksum", ""))) for file in content["files"]
        )
        kind, schema = str(content["fileFormat"]).upper(), str(content["fileSchema"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{name} is no manifest.json of S3 Inventory: {error!r}",
            hint="a manifest has keys one a line, CSV rows of bucket,key[,version], or is an S3 Inventory",
        ) from None
    if kind == "PARQUET":
        _parquet()
    elif kind != "CSV":
        raise ConfigError(
            f"{name} is an S3 Inventory in {kind}, which cannot be read",
            hint="configure the inventory for CSV or Parquet",
        )
    columns = tuple(column.strip().lower() for column in schema.split(","))
    return Inventory(source, bucket, columns, files, kind == "PARQUET")


async def rows(
    inventory: Inventory, file: DataFile, chunks: AsyncIterator[Buffer], name: str
) -> AsyncGenerator[list[Listed]]:
    """Yield pages of the current objects that a data file names.

    Raises:
        IntegrityError: The file is not the one that the manifest means, or damaged.
        ConfigError: A row cannot be understood.
    """
    checked = _checked(chunks, file, name)
    if inventory.is_parquet:
        async for page in _parquet_rows(checked, name):
            yield page
        return
    read = CsvLines(name, inventory.columns)
    async for lines in line_pages(inflated(checked, name), name):
        yield read(lines)


async def _checked(chunks: AsyncIterator[Buffer], file: DataFile, name: str) -> AsyncGenerator[Buffer]:
    """Pass the bytes of a data file on, and compare their MD5 when all are there."""
    state = md5(usedforsecurity=False)
    async for chunk in chunks:
        state.update(chunk)
        yield chunk
    if file.md5 and state.hexdigest() != file.md5.lower():
        raise IntegrityError(
            f"{name} has the MD5 {state.hexdigest()}, its manifest says {file.md5}",
            operation="read",
            key=file.key,
            hint="download it again, or wait until the inventory is complete",
        )


async def _parquet_rows(chunks: AsyncIterator[Buffer], name: str) -> AsyncGenerator[list[Listed]]:
    from tempfile import TemporaryFile

    # Its directory of contents is at the end of a Parquet file, so all of it has to be at hand.
    with TemporaryFile() as file:
        async for chunk in chunks:
            file.write(chunk)
        file.seek(0)
        for page in _parquet_pages(file, name):
            yield page


def _parquet_pages(file: IO[bytes], name: str) -> Iterator[list[Listed]]:
    try:
        table = _parquet().ParquetFile(file)
        columns = [column for column in _PARQUET_COLUMNS if column in table.schema_arrow.names]
        first = 1
        for batch in table.iter_batches(batch_size=_ROWS, columns=columns):
            yield _current(batch.to_pylist(), first)
            first += batch.num_rows
    except (ValueError, LookupError, OSError) as error:
        # pyarrow's errors of content are ValueErrors and OSErrors; several lines of it concern only pyarrow.
        raise IntegrityError(
            f"{name} is no Parquet of S3 Inventory, or damaged: {str(error).partition(chr(10))[0]}",
            operation="read",
            hint="download it again, or wait until the inventory is complete",
        ) from error


def _current(records: Sequence[dict[str, Any]], first: int) -> list[Listed]:
    return [
        Listed(number, record["bucket"], record["key"], "", *_properties(record))
        for number, record in enumerate(records, first)
        if not record.get("is_delete_marker") and record.get("is_latest") is not False
    ]


def _properties(record: dict[str, Any]) -> tuple[int, float, str, str]:
    size, modified = record.get("size"), record.get("last_modified_date")
    if modified is not None and modified.tzinfo is None:
        modified = modified.replace(tzinfo=UTC)
    return (
        -1 if size is None else int(size),
        0.0 if modified is None else modified.timestamp(),
        record.get("e_tag") or "",
        record.get("storage_class") or "",
    )


def _parquet() -> Any:  # noqa: ANN401 -- a module that need not be installed, and has no types
    from importlib import import_module

    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            "an S3 Inventory in Parquet needs pyarrow, which is not installed",
            hint="pip install 'haulyard[data]', or configure the inventory for CSV",
        ) from None
