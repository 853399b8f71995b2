"""Writes plans for other programs: S3 Batch Operations, spreadsheets, databases."""

from __future__ import annotations

import csv
import io
import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from haulyard.errors import ConfigError
from haulyard.jobs.model import PLAN_COLUMNS, Action, Conflict
from haulyard.journal.reporting.completion import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Row = tuple[Any, ...]
    Pages = Iterable[tuple[str, list[Row]]]
    RuleName = Callable[[int], str]
    StrPath = str | os.PathLike[str]

FORMATS: Final = ("s3-batch", "csv", "parquet")
COLUMNS: Final = ("shard", *PLAN_COLUMNS)
#: Rows that become one row group of a Parquet file; all that is held of them are some 30 MiB.
_GROUP: Final = 65_536
_KEY: Final = PLAN_COLUMNS.index("key")
_VERSION: Final = PLAN_COLUMNS.index("version")
_ACTION_WORDS: Final = {each.value: each.word for each in Action}
_CONFLICT_WORDS: Final = {each.value: each.word for each in Conflict}


@contextmanager
def opened(file: StrPath | BinaryIO) -> Iterator[BinaryIO]:
    """Give a file to write to: the given one, or a new one that gets its name when the block has ended well.

    Raises:
        ConfigError: It cannot be written.
    """
    if not isinstance(file, (str, os.PathLike)):
        yield file
        return
    path = os.fspath(file)
    part = f"{path}.part"
    try:
        try:
            with open(part, "wb") as stream:
                yield stream
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}", hint="name another file, or make room"
        ) from error


def write_manifest(stream: BinaryIO, bucket: str, rows: Iterable[Row]) -> int:
    """Write a manifest for S3 Batch Operations and return the number of its lines.

    Keys are URL-encoded, there is no heading, and either all lines have a version or none ("Specifying a
    manifest", S3 user guide).

    Raises:
        ConfigError: Some rows have a version and others have none.
    """
    count = 0
    versions: bool | None = None
    with _text(stream) as text:
        for row in rows:
            version = row[_VERSION]
            if versions is None:
                versions = bool(version)
            elif versions != bool(version):
                raise ConfigError(
                    "some objects of the plan have versions and others have none",
                    hint="a manifest has versions for all or for none: make a job of each",
                )
            tail = f",{version}" if versions else ""
            text.write(f"{bucket},{encoded(row[_KEY])}{tail}\n")
            count += 1
    return count


def write_csv(stream: BinaryIO, pages: Pages, rule: RuleName) -> int:
    """Write all columns under a heading, as RFC 4180 has it, and return the number of rows."""
    count = 0
    with _text(stream) as text:
        # Fields with a carriage return or a line feed are quoted because both are in this line's end.
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for shard, page in pages:
            writer.writerows(_worded(shard, row, rule) for row in page)
            count += len(page)
    return count


def write_parquet(stream: BinaryIO, pages: Pages, rule: RuleName) -> int:
    """Write all columns as Parquet and return the number of rows.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    text, number = arrow.string(), arrow.int64()
    words = arrow.dictionary(arrow.int32(), text)
    types = dict.fromkeys(COLUMNS, text) | {
        "id": number,
        "size": number,
        "wave": number,
        "modified": arrow.timestamp("us", tz="UTC"),
        **dict.fromkeys(("shard", "action", "rule", "storage_class", "conflict"), words),
    }
    schema = arrow.schema([(name, types[name]) for name in COLUMNS])
    count = 0
    with parquet.ParquetWriter(stream, schema) as writer:
        for group in _grouped(pages, rule):
            columns = zip(*group, strict=True)
            arrays = [arrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            count += len(group)
    return count


def _grouped(pages: Pages, rule: RuleName) -> Iterator[list[Row]]:
    group: list[Row] = []
    for shard, page in pages:
        group += [_worded(shard, row, rule) for row in page]
        if len(group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group


def _worded(shard: str, row: Row, rule: RuleName) -> Row:
    """Return a row with words for numbers, a time for seconds, and None for what is not known."""
    number, action, rule_index, key, version, size, modified, *plain, wave, conflict, present = row
    return (
        shard,
        number,
        _ACTION_WORDS[action],
        rule(rule_index),
        key,
        version,
        None if size < 0 else size,
        datetime.fromtimestamp(modified, UTC) if modified else None,
        *plain,
        wave,
        _CONFLICT_WORDS[conflict],
        present,
    )


@contextmanager
def _text(stream: BinaryIO) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=False)
    try:
        yield text
    finally:
        # The stream is not ours to close.
        text.detach()


def _pyarrow() -> tuple[Any, Any]:
    from importlib import import_module

    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            "a plan in Parquet needs pyarrow, which is not installed",
            hint="pip install 'haulyard[data]', or export it as csv",
        ) from None
