"""The values that go between the modules of this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from haulyard.errors import ConfigError
from haulyard.records.formats.delimited import Dialect
from haulyard.records.formats.encoding import Charset
from haulyard.records.model import Compression, Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from haulyard.stores.base import Store

#: What is done with files whose columns differ.
Drift = Literal["fail", "widen", "add-columns"]

#: Stands for a delimiter that is to be found out: like no other character.
_NO_DELIMITER: Final = "\x1f"
#: Of a rejected row so many bytes are kept at most.
KEPT_ROW: Final = 64 * 1024


class SourceFile(NamedTuple):
    """One file that is read: ``uri`` names it to people, ``size`` is in stored bytes.

    ``partitions`` are the columns that its path gives, as in ``dt=2026-01-01/``, with their text.
    """

    store: Store
    key: str
    uri: str
    size: int
    etag: str
    version_id: str = ""
    partitions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files become rows.

    ``""`` for ``format``, ``compression`` and ``delimiter`` means "find out"; ``encoding=""`` means UTF-8, or
    what a byte order mark says. ``header`` None finds out whether the first line has names;
    ``names`` gives them where there is no header. ``columns`` are those that are wanted, all where None.
    ``schema`` pins the types of the columns that it names. ``nulls`` are the texts that mean null. ``hive``
    makes columns of ``name=value`` directories. ``memory`` bounds what is held at a time, in bytes.
    """

    format: Format | Literal[""] = ""
    compression: Compression | Literal["none"] = ""
    encoding: str = ""
    delimiter: str = ""
    quote: str = '"'
    escape: str = ""
    header: bool | None = None
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    schema: pa.Schema | None = None
    nulls: tuple[str, ...] = ("", "NA", "N/A", "NULL", "null", "NaN", "nan", "n/a", "None", "#N/A")
    on_drift: Drift = "fail"
    hive: bool = True
    memory: int = 512 * 1024**2

    def __post_init__(self) -> None:
        check_choice("format", self.format, ("", *get_args(Format)))
        check_choice("compression", self.compression, ("none", *get_args(Compression)))
        check_choice("on_drift", self.on_drift, get_args(Drift))
        if self.schema is not None and not hasattr(self.schema, "field"):
            raise ConfigError(
                f"a {type(self.schema).__name__} is no schema",
                hint="give a pyarrow.Schema: pyarrow.schema([('id', pyarrow.int64()), …])",
            )

    def check(self) -> None:
        """Raise ConfigError where an option makes no sense, whatever the files are."""
        for name in ("encoding", "delimiter", "quote", "escape"):
            if not isinstance(value := getattr(self, name), str):
                raise ConfigError(f"{name}={value!r} is no text", hint="leave it out, and it is found out")
        if self.header is not None and not isinstance(self.header, bool):
            raise ConfigError(f"header={self.header!r} is neither True nor False", hint="None finds it out")
        if not isinstance(self.memory, int) or self.memory < 1:
            raise ConfigError(f"memory={self.memory!r} is no number of bytes", hint="give 512 * 1024**2, say")
        Dialect(self.delimiter or _NO_DELIMITER, self.quote, self.escape)
        Charset(self.encoding or "utf-8", b"", b"")


def check_choice(name: str, given: str, allowed: Sequence[str]) -> None:
    """Raise ConfigError where ``given`` is none of the values that are ``allowed``."""
    if given not in allowed:
        known = ", ".join(filter(None, allowed))
        raise ConfigError(f"{name}={given!r} is not allowed", hint=f"give one of {known}")


def check_max_rejects(given: object) -> None:
    """Raise ConfigError where that is no number of rows, nor None for any number."""
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 0):
        raise ConfigError(
            f"max_rejects={given!r} is no number of rows", hint="give one from 0 on; None allows any number"
        )


class Reject(NamedTuple):
    """A row that does not fit, and why.

    ``line`` counts from 1: the physical line on which the row begins; the row's number for JSON arrays and
    Parquet. ``column`` and ``value`` name what does not parse, both empty where the row as a whole does not
    fit. ``raw`` is the row's beginning as it stands in the file, at most `KEPT_ROW` bytes.
    """

    uri: str
    line: int
    reason: str
    column: str = ""
    value: str = ""
    raw: bytes = b""


def again(uri: str) -> str:
    """Return what is to be done about a file that is of no use as it is."""
    return "upload it again" if "://" in uri else "write it again"


class Piece(NamedTuple):
    """Rows of one file that follow each other: ``rows == batch.num_rows + len(rejects) + filtered``.

    ``stored`` is the number of stored bytes that were read for it; ``filtered`` counts the good rows that
    a condition left out.
    """

    source: SourceFile
    batch: pa.RecordBatch
    rejects: Sequence[Reject]
    rows: int
    stored: int
    filtered: int = 0


class ConvergedLaterError(Exception):
    """Rows were met that the types known so far cannot hold without loss: read again with the types of all.

    Raised by `Dataset.pieces` when it was called without a schema; whoever has taken pieces by then throws
    them away, asks for `Dataset.schema`, and begins again with it.
    """
