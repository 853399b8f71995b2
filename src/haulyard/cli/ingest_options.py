"""What `haul ingest` was asked for: its flags judged, before any file is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from haulyard.cli import ingest_embed
from haulyard.config.kinds import parse_size
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace

    from haulyard.ingest.embedding.model import Embedding

Mode = Literal["create", "append", "replace", "upsert"]
Drift = Literal["fail", "widen", "add-columns"]
MODES: Final = get_args(Mode)
DRIFTS: Final = get_args(Drift)
FORMATS: Final = ("csv", "tsv", "jsonl", "json", "parquet")
COMPRESSIONS: Final = ("gzip", "zstd", "bz2", "none")
#: What is read and written into by default.
DATABASE: Final = "haul.duckdb"
#: With less, DuckDB and a reader do not come far.
_LEAST_MEMORY: Final = 128 * 1024**2
_ESCAPED: Final = {"\\t": "\t", "tab": "\t", "none": ""}
#: Flags of a table, which mean nothing without one.
_OF_A_TABLE: Final = ("table", "db", "key", "force", "embed")


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for. ``max_rejects`` is None for any number; ``memory`` is in bytes, 0 for as usual."""

    sources: tuple[str, ...]
    schema: bool
    validate: bool
    to: str
    recursive: bool
    manifest: str
    table: str
    db: str
    mode: Mode
    key: tuple[str, ...]
    force: bool
    max_rejects: int | None
    rejects: str
    memory: int
    columns: tuple[str, ...]
    where: str
    schema_file: str
    on_drift: Drift
    format: str
    compression: str
    encoding: str
    delimiter: str
    quote: str
    escape: str
    header: bool | None
    names: tuple[str, ...]
    nulls: tuple[str, ...]
    hive: bool
    embedding: Embedding | None


def read(arguments: Namespace) -> Options:
    """Return the options.

    Raises:
        ConfigError: They are not what they have to be, or contradict each other.
    """
    _check_modes(arguments)
    mode: Mode = arguments.mode
    key = _names("--key", arguments.key)
    if (mode == "upsert") != bool(key):
        raise ConfigError(
            "--mode upsert needs the columns that tell rows apart"
            if not key
            else "--key is for --mode upsert",
            hint="write --mode upsert --key id",
        )
    if arguments.force and mode not in {"append", "upsert"}:
        raise ConfigError(
            "--force is for --mode append and upsert", hint="--mode replace loads all of it anew"
        )
    if arguments.max_rejects < -1:
        raise ConfigError(
            f"--max-rejects {arguments.max_rejects} is no number of rows", hint="-1 is for any number"
        )
    return Options(
        sources=tuple(arguments.sources),
        schema=arguments.schema,
        validate=arguments.validate,
        to=arguments.to,
        recursive=arguments.recursive,
        manifest=arguments.manifest,
        table=arguments.table,
        db=arguments.db or DATABASE,
        mode=mode,
        key=key,
        force=arguments.force,
        max_rejects=None if arguments.max_rejects < 0 else arguments.max_rejects,
        rejects=arguments.rejects,
        memory=_memory(arguments.memory_limit),
        columns=_names("--columns", arguments.columns),
        where=arguments.where,
        schema_file=arguments.schema_file,
        on_drift=arguments.on_drift,
        format=arguments.format,
        compression=arguments.compression,
        encoding=arguments.encoding,
        delimiter=_character("--delimiter", arguments.delimiter),
        quote=_character("--quote", arguments.quote),
        escape=_character("--escape", arguments.escape),
        header=False if arguments.header is None and arguments.names else arguments.header,
        names=_names("--names", arguments.names),
        nulls=tuple(arguments.null),
        hive=arguments.hive,
        embedding=ingest_embed.read(arguments),
    )


def _check_modes(arguments: Namespace) -> None:
    if arguments.schema and arguments.validate:
        raise ConfigError("--schema and --validate are two questions", hint="ask one of them")
    asks = "--schema" if arguments.schema else "--validate" if arguments.validate else ""
    if asks and (arguments.to or arguments.embed):
        raise ConfigError(f"{asks} loads nothing", hint=f"leave {'--to' if arguments.to else '--embed'} out")
    given = [name for name in _OF_A_TABLE if getattr(arguments, name)]
    if arguments.to and arguments.mode != "create":
        given.append("mode")
    if arguments.to and given:
        raise ConfigError(
            f"--{given[0]} is for a table, and --to writes a file", hint="leave one of them out"
        )
    if arguments.header and arguments.names:
        raise ConfigError("--names are for files without a header", hint="leave --header out")


def _memory(text: str) -> int:
    if not text:
        return 0
    try:
        size = parse_size(text)
    except ValueError:
        size = 0
    if size < _LEAST_MEMORY:
        raise ConfigError(
            f"--memory-limit {text!r} is no size, or too little",
            hint=f"write --memory-limit 512MiB; {_LEAST_MEMORY // 1024**2}MiB is the least",
        )
    return size


def _character(flag: str, text: str) -> str:
    text = _ESCAPED.get(text, text)
    if len(text) > 1:
        raise ConfigError(f"{flag} {text!r} is not one character", hint=f"write {flag} ';', or tab")
    return text


def _names(flag: str, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"{flag} {text!r} has an empty name, or one twice", hint=f"write {flag} id,name")
    return names
