"""What a job's specification asks for, made: what reads objects, shapes records, encodes calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from haulyard.events import Warned, ignore
from haulyard.records.bodies import encoder
from haulyard.records.formats.cutting import Start
from haulyard.records.listing import source_objects
from haulyard.records.reading import Listeners, ReadOptions, blocks
from haulyard.records.shaping import Shaper, load_transform

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from haulyard.events import Emit
    from haulyard.records.bodies import Encode
    from haulyard.records.intake import Reader
    from haulyard.records.model import Block, SourceObject
    from haulyard.records.shaping import Transform
    from haulyard.records.specification import Specification
    from haulyard.stores.base import Store
    from haulyard.transfer.manifest import OpenBucket
    from haulyard.transfer.selection import Selection


class Source(NamedTuple):
    """What is read: a store, and what is selected in it."""

    store: Store
    selection: Selection
    version_id: str = ""
    open_bucket: OpenBucket | None = None


def encoder_of(specification: Specification) -> tuple[Encode, str]:
    """Return what makes bodies of a job's records, and their media type. Raises ConfigError."""
    shape: Any = specification.body
    return encoder(shape, specification.template, specification.records_per_call)


def shaper_of(specification: Specification, transform: Transform | None = None) -> Shaper:
    """Return what shapes a job's records; ``transform`` goes before its own. Raises ConfigError."""
    if transform is None and specification.transform:
        transform = load_transform(specification.transform)
    return Shaper(specification.fields, specification.renames, transform, specification.sample)


def objects_of(specification: Specification, source: Source) -> AsyncGenerator[list[SourceObject]]:
    """Return the pages of a job's source objects, as they are now."""
    return source_objects(
        source.store,
        source.selection,
        specification.patterns,
        manifest=specification.manifest,
        version_id=source.version_id,
        open_bucket=source.open_bucket,
    )


def reader(
    specification: Specification,
    store: Store,
    chunk: int,
    *,
    emit: Emit = ignore,
    count: Callable[[int], None] = lambda _size: None,
) -> Reader:
    """Return what reads a job's objects, at least ``chunk`` bytes at a time; ``count`` is told of bytes.

    Raises:
        ConfigError: They cannot be read like that.
    """
    options = read_options(specification, chunk)

    def reread(source: SourceObject) -> None:
        emit(Warned(f"{source.key} is packed or recoded: it is read again from its beginning"))

    def read(source: SourceObject, offset: int, line: int) -> AsyncGenerator[Block]:
        start = Start(offset, line) if offset else None
        return blocks(store, source, options, start=start, listeners=Listeners(count, reread))

    return read


def grid_for(batch: int) -> int:
    """Return the bytes of a block that holds about so many records, 128 bytes each, a power of two."""
    return 1 << min(max((batch * 128 - 1).bit_length(), 14), 22)


def read_options(specification: Specification, chunk: int) -> ReadOptions:
    """Return how a job's objects are read. Raises ConfigError."""
    named: dict[str, Any] = {
        name: getattr(specification, name)
        for name in ("format", "compression", "encoding", "delimiter", "quote", "escape", "columns", "types")
    }
    return ReadOptions(**named, grid=specification.grid, chunk=chunk)
