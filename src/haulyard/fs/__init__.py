"""A bucket as a filesystem.

`S3Provider` and `SyncS3Provider` are filesystems of their own (``docs/provider.md``), `HaulFileSystem` is one
for fsspec. All names are imported when they are first used, so that nobody pays for what he does not use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haulyard.fs.cache import CacheStats
    from haulyard.fs.config import FileProperties, S3ProviderConfig
    from haulyard.fs.encryption.model import ClientSideEncryption
    from haulyard.fs.fsspec.filesystem import HaulFileSystem
    from haulyard.fs.fsspec.registering import register_s3
    from haulyard.fs.nodes import (
        Cleaned,
        FileVersion,
        NewNode,
        NodeInfo,
        OperationStats,
        Outcome,
        ProviderMetrics,
        Relocated,
        RequestFailed,
        StorageStats,
    )
    from haulyard.fs.provider import S3Provider
    from haulyard.fs.sync_provider import SyncS3Provider

__all__ = [
    "CacheStats",
    "Cleaned",
    "ClientSideEncryption",
    "FileProperties",
    "FileVersion",
    "HaulFileSystem",
    "NewNode",
    "NodeInfo",
    "OperationStats",
    "Outcome",
    "ProviderMetrics",
    "Relocated",
    "RequestFailed",
    "S3Provider",
    "S3ProviderConfig",
    "StorageStats",
    "SyncS3Provider",
    "register_s3",
]

_MODULES = {
    "CacheStats": "haulyard.fs.cache",
    "ClientSideEncryption": "haulyard.fs.encryption.model",
    "FileProperties": "haulyard.fs.config",
    "HaulFileSystem": "haulyard.fs.fsspec.filesystem",
    "S3Provider": "haulyard.fs.provider",
    "S3ProviderConfig": "haulyard.fs.config",
    "register_s3": "haulyard.fs.fsspec.registering",
    "SyncS3Provider": "haulyard.fs.sync_provider",
}
#: Where all other names come from.
_NODES = "haulyard.fs.nodes"

# A type checker that saw it would take any name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_MODULES.get(name, _NODES)), name)
        return found


def __dir__() -> list[str]:
    return list(__all__)
