"""A provider of the package chuk-virtual-fs: its `AsyncStorageProvider`, on an `S3Provider`.

That interface answers False, None, ``[]`` and ``{}`` where there is nothing, or nothing could be done. Here
these mean exactly that: no such file or directory, a directory that is not empty, a file that exists already,
a path that no file can have. Everything else is raised as it is everywhere in Haulyard: a denied call, a
network that is down or a damaged file never looks like an absent one. Needs the extra ``chuk``::

    from chuk_virtual_fs import AsyncVirtualFileSystem
    from haulyard.fs import chuk

    chuk.register()
    async with AsyncVirtualFileSystem("haulyard", enable_retry=False, bucket="demo") as files:
        await files.write_file("/notes/today.txt", "hello, world")

``enable_retry=False``: requests are tried again below this already, and what is left gets no better by it.
"""

from __future__ import annotations

import inspect
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from chuk_virtual_fs.node_info import EnhancedNodeInfo
from chuk_virtual_fs.provider_base import AsyncStorageProvider
from chuk_virtual_fs.providers import register_provider

from haulyard.checksums import digest_of
from haulyard.errors import ConfigError, Conflict, NotFound, PreconditionFailed, UnsafeName
from haulyard.fs.config import S3ProviderConfig
from haulyard.fs.nodes import NewNode
from haulyard.fs.provider import S3Provider
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence

    from haulyard.fs.config import FileProperties
    from haulyard.fs.nodes import NodeInfo
    from haulyard.models import Checksum

    Progress = Callable[[int, int], Awaitable[None] | None]

Item = TypeVar("Item")
T = TypeVar("T")

#: What that package's own S3 provider calls the settings of ours.
_NAMES: Final = {
    "bucket_name": "bucket",
    "aws_access_key_id": "access_key",
    "aws_secret_access_key": "secret_key",
    "region_name": "region",
    "multipart_chunksize": "part_size",
}
#: Fields of a node that S3 has no place for; they are kept in the file's metadata, under their names.
_KEPT: Final = ("mime_type", "owner", "group", "permissions", "ttl", "expires_at", "session_id", "sandbox_id")
_MIB: Final = 1024 * 1024


def register(name: str = "haulyard") -> None:
    """Make the provider known to chuk-virtual-fs under ``name``."""
    register_provider(name, HaulyardStorageProvider)


class HaulyardStorageProvider(AsyncStorageProvider):
    """A prefix of a bucket, for chuk-virtual-fs.

    Args:
        config: What an `S3Provider` is told. Its ``directory_markers`` should be on, as they are otherwise:
            that package expects an empty directory to be there.
        settings: Its fields by their names, instead; those of that package's S3 provider are understood too
            (``bucket_name``, ``aws_access_key_id``, ``aws_secret_access_key``, ``region_name``,
            ``multipart_chunksize``).

    Raises:
        ConfigError: An unknown setting, or a value that is not allowed.
    """

    def __init__(self, config: S3ProviderConfig | None = None, **settings: Any) -> None:  # noqa: ANN401 -- fields of the configuration
        super().__init__()
        self.provider = S3Provider(_configured(settings) if config is None else config)

    async def initialize(self) -> bool:
        """Make sure that the bucket can be reached; raises where it cannot."""
        await self.provider.initialize()
        return True

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await self.provider.close()

    async def create_node(self, node_info: EnhancedNodeInfo) -> bool:
        """Create an empty file or a directory with those above it; False where a node of that name exists."""
        if node_info.is_dir and await self.exists(node_info.get_path()):
            return False
        return await _done(self.provider.create_node(_new(node_info)))

    async def delete_node(self, path: str) -> bool:
        """Delete a file or an empty directory; False for nothing, the root, or a directory that is in use."""
        return await _done(self.provider.delete_node(path))

    async def get_node_info(self, path: str) -> EnhancedNodeInfo | None:
        """Describe a file or a directory; None where there is neither."""
        found = await _or(self.provider.get_node_info(path), None)
        return None if found is None else _node(found)

    async def list_directory(self, path: str) -> list[str]:
        """Return the names in a directory; none where there is no such directory."""
        found: list[NodeInfo] = await _or(self.provider.list_directory(path), [])
        return sorted({node.name for node in found})

    async def write_file(self, path: str, content: bytes) -> bool:
        """Write a file; it need not exist, nor its directory. Its type and metadata stay, its tags do not."""
        await self.provider.write_file(path, content, **await self._properties(path))
        return True

    async def read_file(self, path: str) -> bytes | None:
        """Return a file's content; None where there is no such file."""
        return await _or(self.provider.read_file(path), None)

    async def exists(self, path: str) -> bool:
        """Say whether there is a file or a directory."""
        return await self.get_node_info(path) is not None

    async def copy_node(self, source: str, destination: str) -> bool:
        """Copy a file or a directory inside the store; False where there is none."""
        return await _done(self.provider.copy_node(source, destination))

    async def move_node(self, source: str, destination: str) -> bool:
        """Move a file or a directory; False where there is none."""
        return await _done(self.provider.move_node(source, destination))

    async def get_metadata(self, path: str) -> dict[str, Any]:
        """Return the fields of a node, ``custom_meta`` and ``tags`` too; nothing where there is none."""
        found = await self.get_node_info(path)
        if found is None:
            return {}
        if not found.is_dir:
            found.tags = await self.provider.get_object_tags(path)
        return found.to_dict()

    async def set_metadata(self, path: str, metadata: dict[str, Any]) -> bool:
        """Add to a file's metadata; False where there is no such file.

        ``tags`` (a mapping) become its tags. What is no text is kept as JSON.
        """
        found = await _or(self.provider.get_node_info(path), None)
        if found is None or found.is_dir:
            return False
        given = dict(metadata)
        tags = given.pop("tags", None)
        given.update(given.pop("custom_meta", None) or {})
        if isinstance(tags, dict):
            held = await self.provider.get_object_tags(path)
            await self.provider.set_object_tags(path, held | {key: str(value) for key, value in tags.items()})
        elif tags is not None:
            given["tags"] = tags
        if given:
            kept = {name: _text(value) for name, value in given.items()}
            await self.provider.set_metadata(path, {**found.metadata, **kept})
        return True

    async def get_storage_stats(self) -> dict[str, Any]:
        """Count files, directories with a marker, and bytes."""
        stats = await self.provider.get_storage_stats()
        config = self.provider.config
        return {
            "total_size": stats.bytes,
            "total_size_bytes": stats.bytes,
            "total_size_mb": stats.bytes / _MIB,
            "file_count": stats.files,
            "directory_count": stats.markers,
            "bucket": config.bucket,
            "prefix": config.prefix or "/",
        }

    async def cleanup(self) -> dict[str, Any]:
        """Forget what is cached. Files are never removed by it."""
        done = await self.provider.cleanup()
        return {
            "status": "success",
            "cache_entries_cleared": done.entries,
            "files_removed": 0,
            "bytes_freed": 0,
        }

    async def calculate_checksum(self, content: bytes | str, algorithm: str = "sha256") -> str:
        """Return the checksum of ``content``, or of the file at that path, in hexadecimal digits.

        Raises:
            NotFound: There is no such file.
        """
        return await self.provider.calculate_checksum(content, algorithm)

    async def batch_create(self, nodes: list[EnhancedNodeInfo]) -> list[bool]:
        """Call `create_node` for each, a bounded number at a time; an error is raised when all are done."""
        return await self._each(nodes, self.create_node)

    async def batch_delete(self, paths: list[str]) -> list[bool]:
        """Call `delete_node` for each, likewise."""
        return await self._each(paths, self.delete_node)

    async def batch_read(self, paths: list[str]) -> list[bytes | None]:
        """Call `read_file` for each, likewise."""
        return await self._each(paths, self.read_file)

    async def batch_write(self, operations: list[tuple[str, bytes]]) -> list[bool]:
        """Call `write_file` for each, likewise."""

        async def write(operation: tuple[str, bytes]) -> bool:
            return await self.write_file(*operation)

        return await self._each(operations, write)

    async def _properties(self, path: str) -> FileProperties:
        """Return what a file has that its next content is to have, too."""
        before = await _or(self.provider.get_node_info(path), None)
        if before is None or before.is_dir:
            return {}
        return {"content_type": before.content_type or "", "metadata": before.metadata}

    async def _each(self, items: Sequence[Item], call: Callable[[Item], Awaitable[T]]) -> list[T]:
        done: dict[int, T] = {}
        failed: dict[int, Exception] = {}
        queue = iter(range(len(items)))

        async def work() -> None:
            for number in queue:
                try:
                    done[number] = await call(items[number])
                except Exception as error:  # noqa: BLE001 -- raised below, when the others are done
                    failed[number] = error

        if items:
            await run_workers(work, min(self.provider.config.concurrency, len(items)))
        if failed:
            raise failed[min(failed)]
        return [done[number] for number in range(len(items))]

    async def with_retry(
        self,
        func: Callable[..., Awaitable[T]],
        *args: Any,  # noqa: ANN401 -- of ``func``
        max_retries: int | None = None,  # noqa: ARG002 -- of that interface
        **kwargs: Any,  # noqa: ANN401 -- likewise
    ) -> T:
        """Call ``func``: all requests are tried again already, as often as the settings say."""
        return await func(*args, **kwargs)

    async def generate_presigned_url(
        self, path: str, operation: str = "GET", expires_in: int = 3600
    ) -> str | None:
        """Return a URL that does ``operation`` (GET, HEAD, DELETE, PUT) on a file for so many seconds."""
        if operation.upper() == "PUT":
            signed = await self.provider.generate_presigned_upload_url(path, expires_in=expires_in)
        else:
            named = cast("Literal['GET']", operation.upper())
            signed = await self.provider.generate_presigned_url(path, operation=named, expires_in=expires_in)
        return signed.url

    async def generate_presigned_upload_url(
        self, path: str, expires_in: int = 3600
    ) -> tuple[str, str] | None:
        """Return a URL to PUT a file to, and the file's path."""
        signed = await self.provider.generate_presigned_upload_url(path, expires_in=expires_in)
        return signed.url, path

    async def stream_write(
        self,
        path: str,
        stream: AsyncIterable[bytes],
        chunk_size: int = 8192,  # noqa: ARG002 -- of that interface; parts have sizes of their own
        progress_callback: Progress | None = None,
    ) -> bool:
        """Write a file from a stream, whole or not at all; ``progress_callback`` gets bytes done, and -1."""
        properties = await self._properties(path)
        await self.provider.stream_write(path, _told(stream, progress_callback), **properties)
        return True

    async def stream_read(self, path: str, chunk_size: int = 8192) -> AsyncIterator[bytes]:
        """Yield a file in chunks of that size; nothing where there is no such file."""
        stream = self.provider.stream_read(path, chunk_size=chunk_size)
        async with aclosing(cast("AsyncGenerator[bytes]", stream)) as pieces:
            piece: bytes | None = await _or(anext(pieces, None), None)
            while piece is not None:
                yield piece
                piece = await anext(pieces, None)


def _configured(settings: dict[str, Any]) -> S3ProviderConfig:
    named = {_NAMES.get(name, name): value for name, value in settings.items() if value is not None}
    if len(named) < sum(value is not None for value in settings.values()):
        raise ConfigError("a setting is given by both of its names", hint="bucket or bucket_name, not both")
    named.setdefault("directory_markers", True)
    try:
        return S3ProviderConfig(**named)
    except TypeError as error:
        raise ConfigError(f"{error}", hint="see S3ProviderConfig for the settings") from None


def _new(node: EnhancedNodeInfo) -> NewNode:
    if node.is_dir:
        return NewNode(node.get_path(), is_dir=True)
    metadata = {name: _text(value) for name, value in node.custom_meta.items()}
    for name in _KEPT:
        value = getattr(node, name)
        if name != "mime_type" and value is not None and value != _DEFAULTS[name]:
            metadata[name] = _text(value)
    # Where that package knows of no type, ours is guessed.
    content_type = "" if node.mime_type == _DEFAULTS["mime_type"] else node.mime_type
    return NewNode(node.get_path(), content_type=content_type, metadata=metadata, tags=node.tags or None)


_DEFAULTS: Final = EnhancedNodeInfo("", is_dir=False).to_dict()


def _node(found: NodeInfo) -> EnhancedNodeInfo:
    custom = {name: value for name, value in found.metadata.items() if name not in _KEPT}
    kept: dict[str, Any] = {"mime_type": _mime_type(found)}
    kept |= {name: found.metadata[name] for name in _KEPT if name in found.metadata}
    if (seconds := str(kept.get("ttl", ""))).isdecimal():
        kept["ttl"] = int(seconds)
    modified: dict[str, Any] = {} if found.modified is None else {"modified_at": found.modified.isoformat()}
    digests = {checksum.algorithm: checksum for checksum in found.checksums if checksum.kind != "COMPOSITE"}
    node = EnhancedNodeInfo(
        found.name,
        found.is_dir,
        f"/{found.parent}",
        size=found.size,
        sha256=_hexadecimal(digests.get("SHA256")),
        custom_meta=custom,
        provider="haulyard",
        storage_class=found.storage_class or None,
        **modified,
        **kept,
    )
    # S3 knows one time, which the package would fill in as now.
    node.created_at = node.modified_at
    return node


def _mime_type(found: NodeInfo) -> str:
    return "inode/directory" if found.is_dir else found.content_type or str(_DEFAULTS["mime_type"])


def _hexadecimal(checksum: Checksum | None) -> str | None:
    return None if checksum is None else digest_of(checksum).hex()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def _or(call: Awaitable[T], default: T) -> T:
    """Return what a call returns, or ``default`` where there is nothing."""
    try:
        return await call
    except UnsafeName:
        return default
    except NotFound as error:
        if _is_bucket(error):
            raise
        return default


async def _done(call: Awaitable[object]) -> bool:
    """Return whether a call did what it was for; False where it could not for what is there or is not."""
    try:
        await call
    except Exception as error:  # noqa: BLE001 -- raised again unless it is one of those
        return _refused(error)
    return True


def _refused(error: Exception) -> bool:
    """Return False for what the interface says so; raise everything else."""
    is_absent = isinstance(error, NotFound) and not _is_bucket(error)
    is_in_use = isinstance(error, Conflict) and error.code == "DirectoryNotEmpty"
    if is_absent or is_in_use or isinstance(error, (PreconditionFailed, UnsafeName)):
        return False
    raise error


def _is_bucket(error: NotFound) -> bool:
    return error.code == "NoSuchBucket"


async def _told(stream: AsyncIterable[bytes], progress: Progress | None) -> AsyncIterator[bytes]:
    """Yield what comes, and tell of it."""
    seen = 0
    async for chunk in stream:
        yield chunk
        seen += len(chunk)
        if progress is not None:
            waiting = progress(seen, -1)
            if inspect.isawaitable(waiting):
                await waiting
