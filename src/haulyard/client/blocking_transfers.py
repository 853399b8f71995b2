"""The calls that move objects and trees, without ``await``; what they do is said in their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from haulyard.client.blocking_calls import BlockingCalls

if TYPE_CHECKING:
    from haulyard.client.arguments import Patterns, Properties, StrPath
    from haulyard.client.results import TransferResult
    from haulyard.events import Emit
    from haulyard.models import Encryption


class BlockingTransferCalls(BlockingCalls):
    """Transfers and trees."""

    def upload(
        self,
        path: StrPath,
        uri: str,
        *,
        recursive: bool = False,
        include: Patterns = (),
        exclude: Patterns = (),
        no_clobber: bool = False,
        follow_symlinks: bool = True,
        check: bool = True,
        on_event: Emit | None = None,
        **properties: Unpack[Properties],
    ) -> TransferResult:
        """Upload a file, or all files below a directory; as `AsyncClient.upload`."""
        return self._portal.call(
            self._client.upload,
            path,
            uri,
            recursive=recursive,
            include=include,
            exclude=exclude,
            no_clobber=no_clobber,
            follow_symlinks=follow_symlinks,
            check=check,
            on_event=on_event,
            **properties,
        )

    def download(
        self,
        uri: str,
        path: StrPath,
        *,
        recursive: bool = False,
        include: Patterns = (),
        exclude: Patterns = (),
        no_clobber: bool = False,
        version_id: str = "",
        encryption: Encryption | None = None,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> TransferResult:
        """Download an object, or all objects below a prefix; as `AsyncClient.download`."""
        return self._portal.call(
            self._client.download,
            uri,
            path,
            recursive=recursive,
            include=include,
            exclude=exclude,
            no_clobber=no_clobber,
            version_id=version_id,
            encryption=encryption,
            check=check,
            on_event=on_event,
        )

    def copy(
        self,
        source: str,
        destination: str,
        *,
        recursive: bool = False,
        include: Patterns = (),
        exclude: Patterns = (),
        no_clobber: bool = False,
        version_id: str = "",
        source_encryption: Encryption | None = None,
        check: bool = True,
        on_event: Emit | None = None,
        **properties: Unpack[Properties],
    ) -> TransferResult:
        """Copy an object, or all objects below a prefix, from S3 to S3; as `AsyncClient.copy`."""
        return self._portal.call(
            self._client.copy,
            source,
            destination,
            recursive=recursive,
            include=include,
            exclude=exclude,
            no_clobber=no_clobber,
            version_id=version_id,
            source_encryption=source_encryption,
            check=check,
            on_event=on_event,
            **properties,
        )

    def move(
        self,
        source: StrPath,
        destination: StrPath,
        *,
        recursive: bool = False,
        include: Patterns = (),
        exclude: Patterns = (),
        no_clobber: bool = False,
        follow_symlinks: bool = True,
        source_encryption: Encryption | None = None,
        check: bool = True,
        on_event: Emit | None = None,
        **properties: Unpack[Properties],
    ) -> TransferResult:
        """Copy, verify, and then delete the source, of one or of many; as `AsyncClient.move`."""
        return self._portal.call(
            self._client.move,
            source,
            destination,
            recursive=recursive,
            include=include,
            exclude=exclude,
            no_clobber=no_clobber,
            follow_symlinks=follow_symlinks,
            source_encryption=source_encryption,
            check=check,
            on_event=on_event,
            **properties,
        )

    def sync(  # noqa: PLR0913 -- as `AsyncClient.sync`
        self,
        source: StrPath,
        destination: StrPath,
        *,
        delete: bool = False,
        max_delete: int | None = None,
        size_only: bool = False,
        checksum: bool = False,
        exact_timestamps: bool = False,
        no_clobber: bool = False,
        update: bool = False,
        include: Patterns = (),
        exclude: Patterns = (),
        follow_symlinks: bool = True,
        source_encryption: Encryption | None = None,
        check: bool = True,
        on_event: Emit | None = None,
        **properties: Unpack[Properties],
    ) -> TransferResult:
        """Make the destination like the source; as `AsyncClient.sync`."""
        return self._portal.call(
            self._client.sync,
            source,
            destination,
            delete=delete,
            max_delete=max_delete,
            size_only=size_only,
            checksum=checksum,
            exact_timestamps=exact_timestamps,
            no_clobber=no_clobber,
            update=update,
            include=include,
            exclude=exclude,
            follow_symlinks=follow_symlinks,
            source_encryption=source_encryption,
            check=check,
            on_event=on_event,
            **properties,
        )

    def delete_tree(
        self,
        uri: str,
        *,
        include: Patterns = (),
        exclude: Patterns = (),
        all_versions: bool = False,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> TransferResult:
        """Delete all objects below a prefix, or in a bucket; as `AsyncClient.delete_tree`."""
        return self._portal.call(
            self._client.delete_tree,
            uri,
            include=include,
            exclude=exclude,
            all_versions=all_versions,
            check=check,
            on_event=on_event,
        )
