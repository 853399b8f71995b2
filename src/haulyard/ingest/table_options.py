"""How files become rows: the options that all functions for tables share, for checkers and for help."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, TypeVar

from haulyard.config.suggest import nearest
from haulyard.errors import ConfigError
from haulyard.ingest.model import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from haulyard.client.arguments import StrPath
    from haulyard.ingest.model import Drift

F = TypeVar("F", bound="Callable[..., Any]")

#: Options that say which files are read, not how.
_OF_SOURCES: Final = frozenset(("manifest", "recursive"))


class TableOptions(TypedDict, total=False):
    """How files become rows; all is found out that is not given.

    Attributes:
        format: ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"json"`` or ``"parquet"``.
        compression: ``"gzip"``, ``"zstd"``, ``"bz2"``, or ``"none"``, which takes the bytes as they are.
        encoding: Of text, by the names of Python: ``"latin-1"``.
        delimiter: Between the fields of CSV: one ASCII character.
        quote: Around fields of CSV, ``'"'`` by default; ``""`` for none.
        escape: Before a quote within a field, where it is not doubled.
        header: Whether the first line of CSV has the names of the columns; False says that it is a row.
        names: The columns, in their order, where there is no header.
        schema: A ``pyarrow.Schema`` that pins types by the names of columns; those that it does not name have
            the types that are found. Rows that do not fit are rejected.
        nulls: The texts that mean null, instead of the usual ones (``""``, ``NA``, ``NULL`` …).
        on_drift: What becomes of files whose columns differ: ``"fail"`` (the default), ``"widen"`` to types
            that hold both, or ``"add-columns"``, which also takes columns that some files lack, as null.
        hive: False makes no columns of directories like ``year=2026``.
        memory: Bounds what is held besides the table itself, in bytes (512 MiB).
        manifest: A file that lists what is read of the only source.
        recursive: True takes what lies below a prefix that does not end in a slash.
    """

    format: Literal["", "csv", "tsv", "jsonl", "json", "parquet"]
    compression: Literal["", "gzip", "zstd", "bz2", "none"]
    encoding: str
    delimiter: str
    quote: str
    escape: str
    header: bool | None
    names: Sequence[str]
    schema: pa.Schema | None
    nulls: Sequence[str]
    on_drift: Drift
    hive: bool
    memory: int
    manifest: StrPath
    recursive: bool


def read_options(columns: Sequence[str] | None, options: TableOptions) -> ReadOptions:
    """Return how files are read.

    Raises:
        ConfigError: An option is not what it has to be.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if name not in _OF_SOURCES}
    for name in ("names", "nulls"):
        if name in given:
            given[name] = strings(name, given[name])
    return ReadOptions(columns=None if columns is None else strings("columns", columns), **given)


def check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise TypeError, as Python does, where ``options`` has a name that ``function`` does not know.

    Raises:
        ConfigError: The memory is no number of bytes.
    """
    for name in options:
        if name not in TableOptions.__annotations__:
            known = [*inspect.signature(function).parameters, *TableOptions.__annotations__]
            near = nearest(name, (each for each in known if each != "options"))
            meant = f". Did you mean {near!r}?" if near else "; haulyard.TableOptions has all options"
            public = function.__name__.removesuffix("_async")
            raise TypeError(f"{public}() got an unexpected keyword argument {name!r}{meant}")
    if "memory" in options:
        # Before a part of it is taken for something else.
        ReadOptions(memory=options["memory"]).check()


def listing_options(function: F) -> F:
    """Add the options to what ``help`` says of a function that takes them."""
    if function.__doc__ and TableOptions.__doc__:  # python -OO has none
        listed = inspect.cleandoc(TableOptions.__doc__).partition("Attributes:\n")[2]
        function.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n\nOptions:\n{listed}"
    return function


def face_of(awaited: Callable[..., Any]) -> Callable[[F], F]:
    """Let ``help`` say of a function without an event loop what it says of the one that it calls.

    The example stays its own.
    """

    def documented(function: F) -> F:
        if function.__doc__ and awaited.__doc__:
            own = inspect.cleandoc(function.__doc__)
            summary, _, example = own.partition("\n\nExample:\n")
            parts = awaited.__doc__.split("\n\n")
            kept = [part for part in parts[1:] if not part.startswith("Example:\n")]
            function.__doc__ = "\n\n".join([summary, *kept, f"Example:\n{example}"])
        return function

    return documented


def strings(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return several texts; ConfigError where it is a single one, whose characters were not meant."""
    if isinstance(values, str):
        raise ConfigError(f"{name}={values!r} is one text", hint=f"write {name}=[{values!r}]")
    return tuple(values)
