"""`SyncS3Provider`: what `S3Provider` does, for programs without an event loop.

Every method is one call into the loop; what it does, raises and returns is said there.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack

from haulyard.client.portal import Portal
from haulyard.fs.provider import S3Provider
from haulyard.fs.sync_streams import feed, pieces_of
from haulyard.fs.updating import RETRIES, TEMPORARY, pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from haulyard.client.arguments import Range
    from haulyard.events import Emit
    from haulyard.fs.config import FileProperties, S3ProviderConfig
    from haulyard.fs.nodes import (
        Cleaned,
        FileVersion,
        NewNode,
        NodeInfo,
        Outcome,
        ProviderMetrics,
        Relocated,
        StorageStats,
    )
    from haulyard.fs.reading import Progress
    from haulyard.fs.updating import Change
    from haulyard.models import Checksum, ObjectAcl, PresignedPost, PresignedUrl
    from haulyard.models.body import Buffer

P = ParamSpec("P")
T = TypeVar("T")


class SyncS3Provider:
    """A prefix of a bucket as a filesystem, for programs without an event loop, and for notebooks.

    Has the methods of `S3Provider`, without ``await``; streams are plain iterables. It drives one event loop
    in a thread of its own, and any number of threads may use it. Leave its ``with`` block, or `close` it;
    otherwise it is closed when the program ends.

    Args:
        config: As in `S3Provider`.
        on_event: As in `S3Provider`. It runs in the provider's own thread and must not call the provider, and
            neither must ``progress`` functions and the ``change`` of `update`.

    Raises:
        ConfigError: A setting has a value that is not allowed.

    Example:
        >>> with SyncS3Provider(S3ProviderConfig("demo", prefix="tenants/7")) as provider:
        ...     node = provider.write_file("notes/today.txt", b"hello, world")
        ...     provider.read_file("notes/today.txt")
        b'hello, world'
    """

    def __init__(self, config: S3ProviderConfig, *, on_event: Emit | None = None) -> None:
        self._provider = S3Provider(config, on_event=on_event)
        self._portal = Portal()
        # Also where nobody closes it: when it is collected, or at the end of the program.
        self._finalizer = weakref.finalize(self, self._portal.close, self._provider.close)

    @property
    def config(self) -> S3ProviderConfig:
        """What the provider was told."""
        return self._provider.config

    @property
    def metrics(self) -> ProviderMetrics:
        """What was done so far; as `S3Provider.metrics`."""
        return self._portal.call(_metrics, self._provider)

    def initialize(self) -> None:
        """Make sure that the bucket can be reached; as `S3Provider.initialize`."""
        return self._portal.call(self._provider.initialize)

    def close(self) -> None:
        """Close all connections; as `S3Provider.close`. Calls of other threads end with a HaulError."""
        self._finalizer()

    def __enter__(self) -> Self:
        try:
            self.initialize()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Reading

    def read_file(
        self,
        path: str,
        *,
        range: Range | None = None,  # noqa: A002 -- as in `S3Provider.read_file`
        version_id: str = "",
        if_match: str = "",
        checksum: Checksum | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Return the content of a file, or of ``range`` of it; as `S3Provider.read_file`."""
        return self._portal.call(
            self._provider.read_file,
            path,
            range=range,
            version_id=version_id,
            if_match=if_match,
            checksum=checksum,
            progress=progress,
        )

    def stream_read(
        self,
        path: str,
        *,
        chunk_size: int = 0,
        range: Range | None = None,  # noqa: A002 -- as in `S3Provider.read_file`
        version_id: str = "",
        if_match: str = "",
        progress: Progress | None = None,
    ) -> Iterator[bytes]:
        """Yield the content of a file in pieces; as `S3Provider.stream_read`."""
        return pieces_of(
            self._portal,
            self._provider.stream_read(
                path,
                chunk_size=chunk_size,
                range=range,
                version_id=version_id,
                if_match=if_match,
                progress=progress,
            ),
        )

    def read_version(self, path: str, version_id: str) -> bytes:
        """Return the content of a version of a file; as `S3Provider.read_version`."""
        return self._portal.call(self._provider.read_version, path, version_id)

    def calculate_checksum(self, content: Buffer | str, algorithm: str = "SHA256") -> str:
        """Return a checksum in hexadecimal digits; as `S3Provider.calculate_checksum`."""
        return self._portal.call(self._provider.calculate_checksum, content, algorithm)

    # Writing

    def write_file(
        self,
        path: str,
        content: Buffer,
        *,
        if_absent: bool = False,
        if_match: str = "",
        checksum: Checksum | None = None,
        progress: Progress | None = None,
        **properties: Unpack[FileProperties],
    ) -> NodeInfo:
        """Write a file; as `S3Provider.write_file`."""
        return self._portal.call(
            self._provider.write_file,
            path,
            content,
            if_absent=if_absent,
            if_match=if_match,
            checksum=checksum,
            progress=progress,
            **properties,
        )

    def stream_write(
        self,
        path: str,
        stream: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str = "",
        progress: Progress | None = None,
        **properties: Unpack[FileProperties],
    ) -> NodeInfo:
        """Write a file from an iterable, which runs in the caller's thread; as `S3Provider.stream_write`."""
        return feed(
            self._portal,
            stream,
            lambda pieces: self._provider.stream_write(
                path, pieces, if_absent=if_absent, if_match=if_match, progress=progress, **properties
            ),
        )

    def update(
        self, path: str, change: Change, *, missing: bytes | None = b"", attempts: int = 1000
    ) -> NodeInfo:
        """Read a file, change it and write it until nobody comes between; as `S3Provider.update`."""
        return self._portal.call(self._provider.update, path, change, missing=missing, attempts=attempts)

    def with_retry(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``call``, in this thread, until it succeeds; as `S3Provider.with_retry`."""
        for attempt in range(1, RETRIES):
            try:
                return call(*args, **kwargs)
            except TEMPORARY:
                time.sleep(pause_after(attempt))
        return call(*args, **kwargs)

    # Nodes and directories

    def get_node_info(self, path: str) -> NodeInfo:
        """Describe a file or a directory; as `S3Provider.get_node_info`."""
        return self._portal.call(self._provider.get_node_info, path)

    def exists(self, path: str) -> bool:
        """Say whether there is a file or a directory; as `S3Provider.exists`."""
        return self._portal.call(self._provider.exists, path)

    def list_directory(self, path: str = "") -> list[NodeInfo]:
        """Return what lies in a directory; as `S3Provider.list_directory`."""
        return self._portal.call(self._provider.list_directory, path)

    def scan(self, path: str = "") -> Iterator[NodeInfo]:
        """Yield all files below a directory; as `S3Provider.scan`."""
        return self._portal.iterate(self._provider.scan(path))

    def create_node(self, node: NewNode) -> NodeInfo:
        """Create an empty file or a directory; as `S3Provider.create_node`."""
        return self._portal.call(self._provider.create_node, node)

    def delete_node(self, path: str, *, recursive: bool = False, if_match: str = "") -> None:
        """Delete a file or a directory; as `S3Provider.delete_node`."""
        return self._portal.call(self._provider.delete_node, path, recursive=recursive, if_match=if_match)

    def copy_node(
        self, source: str, destination: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Relocated:
        """Copy a file or a directory; as `S3Provider.copy_node`."""
        return self._portal.call(
            self._provider.copy_node, source, destination, overwrite=overwrite, progress=progress
        )

    def move_node(
        self, source: str, destination: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Relocated:
        """Move a file or a directory; as `S3Provider.move_node`."""
        return self._portal.call(
            self._provider.move_node, source, destination, overwrite=overwrite, progress=progress
        )

    def undo(self, job: str) -> Relocated:
        """Take back what was done to a directory; as `S3Provider.undo`."""
        return self._portal.call(self._provider.undo, job)

    def get_storage_stats(self) -> StorageStats:
        """Count all files and their bytes; as `S3Provider.get_storage_stats`."""
        return self._portal.call(self._provider.get_storage_stats)

    def cleanup(self, *, uploads_older_than: timedelta | None = None) -> Cleaned:
        """Forget what is cached, and give up old uploads; as `S3Provider.cleanup`."""
        return self._portal.call(self._provider.cleanup, uploads_older_than=uploads_older_than)

    def refresh(self, path: str = "") -> None:
        """Forget what is cached of a node and below it; as `S3Provider.refresh`."""
        return self._portal.call(_refresh, self._provider, path)

    # Many at once

    def batch_read(self, paths: Iterable[str]) -> list[Outcome[bytes]]:
        """Read files; as `S3Provider.batch_read`."""
        return self._portal.call(self._provider.batch_read, paths)

    def batch_write(self, files: Iterable[tuple[str, Buffer]]) -> list[Outcome[NodeInfo]]:
        """Write files; as `S3Provider.batch_write`."""
        return self._portal.call(self._provider.batch_write, files)

    def batch_create(self, nodes: Iterable[NewNode]) -> list[Outcome[NodeInfo]]:
        """Create empty files and directories; as `S3Provider.batch_create`."""
        return self._portal.call(self._provider.batch_create, nodes)

    def batch_delete(self, paths: Iterable[str]) -> list[Outcome[None]]:
        """Delete files; as `S3Provider.batch_delete`."""
        return self._portal.call(self._provider.batch_delete, paths)

    # Metadata, tags, ACLs, versions

    def get_metadata(self, path: str) -> dict[str, str]:
        """Return the metadata of a file; as `S3Provider.get_metadata`."""
        return self._portal.call(self._provider.get_metadata, path)

    def set_metadata(self, path: str, metadata: Mapping[str, str], *, content_type: str = "") -> NodeInfo:
        """Replace the metadata of a file; as `S3Provider.set_metadata`."""
        return self._portal.call(self._provider.set_metadata, path, metadata, content_type=content_type)

    def get_object_tags(self, path: str, *, version_id: str = "") -> dict[str, str]:
        """Return the tags of a file; as `S3Provider.get_object_tags`."""
        return self._portal.call(self._provider.get_object_tags, path, version_id=version_id)

    def set_object_tags(self, path: str, tags: Mapping[str, str], *, version_id: str = "") -> None:
        """Replace the tags of a file; as `S3Provider.set_object_tags`."""
        return self._portal.call(self._provider.set_object_tags, path, tags, version_id=version_id)

    def get_acl(self, path: str, *, version_id: str = "") -> ObjectAcl:
        """Return owner and grants of a file; as `S3Provider.get_acl`."""
        return self._portal.call(self._provider.get_acl, path, version_id=version_id)

    def set_acl(self, path: str, acl: str | ObjectAcl, *, version_id: str = "") -> None:
        """Replace the ACL of a file; as `S3Provider.set_acl`."""
        return self._portal.call(self._provider.set_acl, path, acl, version_id=version_id)

    def list_versions(self, path: str) -> list[FileVersion]:
        """Return the versions of a file; as `S3Provider.list_versions`."""
        return self._portal.call(self._provider.list_versions, path)

    def restore_version(self, path: str, version_id: str) -> NodeInfo:
        """Make an older version the current one; as `S3Provider.restore_version`."""
        return self._portal.call(self._provider.restore_version, path, version_id)

    # For others

    def generate_presigned_url(
        self,
        path: str,
        *,
        operation: Literal["GET", "HEAD", "DELETE"] = "GET",
        expires_in: float | timedelta = 3600,
        version_id: str = "",
    ) -> PresignedUrl:
        """Return a URL for one file; as `S3Provider.generate_presigned_url`."""
        return self._portal.call(
            self._provider.generate_presigned_url,
            path,
            operation=operation,
            expires_in=expires_in,
            version_id=version_id,
        )

    def generate_presigned_upload_url(
        self,
        path: str,
        *,
        expires_in: float | timedelta = 3600,
        **properties: Unpack[FileProperties],
    ) -> PresignedUrl:
        """Return a URL for a PUT of one file; as `S3Provider.generate_presigned_upload_url`."""
        return self._portal.call(
            self._provider.generate_presigned_upload_url, path, expires_in=expires_in, **properties
        )

    def generate_presigned_post(
        self,
        path: str,
        *,
        expires_in: float | timedelta = 3600,
        max_size: int = 0,
        **properties: Unpack[FileProperties],
    ) -> PresignedPost:
        """Return a form for the upload of one file; as `S3Provider.generate_presigned_post`."""
        return self._portal.call(
            self._provider.generate_presigned_post,
            path,
            expires_in=expires_in,
            max_size=max_size,
            **properties,
        )

    # The bucket

    def get_lifecycle(self) -> list[dict[str, Any]]:
        """Return the rules of the bucket's lifecycle; as `S3Provider.get_lifecycle`."""
        return self._portal.call(self._provider.get_lifecycle)

    def set_lifecycle(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules of the bucket's lifecycle; as `S3Provider.set_lifecycle`."""
        return self._portal.call(self._provider.set_lifecycle, rules)

    def get_bucket_policy(self) -> dict[str, Any]:
        """Return the policy of the bucket; as `S3Provider.get_bucket_policy`."""
        return self._portal.call(self._provider.get_bucket_policy)

    def set_bucket_policy(self, policy: Mapping[str, Any]) -> None:
        """Replace the policy of the bucket; as `S3Provider.set_bucket_policy`."""
        return self._portal.call(self._provider.set_bucket_policy, policy)

    def get_cors(self) -> list[dict[str, Any]]:
        """Return the rules for web pages of other origins; as `S3Provider.get_cors`."""
        return self._portal.call(self._provider.get_cors)

    def set_cors(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules for web pages of other origins; as `S3Provider.set_cors`."""
        return self._portal.call(self._provider.set_cors, rules)


async def _metrics(provider: S3Provider) -> ProviderMetrics:
    return provider.metrics


async def _refresh(provider: S3Provider, path: str) -> None:
    provider.refresh(path)
