"""A bucket as a filesystem.

All names are imported when they are first used; those of fsspec need the extra ``fs``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haulyard.fs.fsspec.filesystem import HaulFileSystem
    from haulyard.fs.fsspec.registering import register_s3

__all__ = ["HaulFileSystem", "register_s3"]

_MODULES = {
    "HaulFileSystem": "haulyard.fs.fsspec.filesystem",
    "register_s3": "haulyard.fs.fsspec.registering",
}

# A type checker that saw it would take any name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return found


def __dir__() -> list[str]:
    return list(__all__)
