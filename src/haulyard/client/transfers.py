"""The calls that move objects between this machine and stores, one or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from haulyard.client.arguments import Properties, filter_of
from haulyard.client.cancelling import cancelled_once
from haulyard.client.ends import path_of, uri_of
from haulyard.client.session import Calls
from haulyard.client.transferring import transfer, transfer_options

if TYPE_CHECKING:
    from haulyard.client.arguments import Patterns, StrPath
    from haulyard.client.results import TransferResult
    from haulyard.events import Emit
    from haulyard.models import Encryption


class TransferCalls(Calls):
    """Upload, download, copy and move objects and trees.

    Names are mapped as `haul cp` does:

    =================  ======================  ==================
    source             destination ``DST/``    destination ``DST``
    =================  ======================  ==================
    object ``a/x``     ``DST/x``               ``DST``
    tree ``a/b``       ``DST/b/…``             ``DST/…``
    tree ``a/b/``      ``DST/…``               ``DST/…``
    =================  ======================  ==================
    """

    @cancelled_once
    async def upload(
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
        """Upload a file, or with ``recursive`` all files below a directory.

        Large files go in parts, several at a time; an upload that was killed is continued by the same call.
        Each object carries a checksum that the store verifies. A file that changes while it is read fails.

        Args:
            path: A file or a directory.
            uri: ``s3://bucket/key``, or ``s3://bucket/prefix/`` to keep the name.
            recursive: Everything below the directory.
            include: Patterns (``*``, ``?``, ``[a-z]``) of paths relative to ``path``; empty for everything.
            exclude: Patterns of paths that are left out, also where ``include`` matches.
            no_clobber: Leave out what exists already.
            follow_symlinks: Read what links lead to; otherwise leave links out.
            check: Raise if anything failed; otherwise the result says what did.
            on_event: Is called with the events of this call (`BytesMoved`, `TransferDone` …), in addition to
                that of the client.
            properties: What each object gets; see `Properties`.

        Raises:
            NotFound: There is nothing at ``path``.
            ConfigError: A directory without ``recursive``.
            TransferError: Some of several files failed; the others are done.
            HaulError: The single file failed; the error says why.

        Example:
            >>> result = await client.upload("report", "s3://demo/", recursive=True, exclude="*.tmp")
            >>> result.done, result.failed
            (2, 0)
        """
        return await transfer(
            self._session,
            "upload",
            (path_of(path), uri_of(uri)),
            transfer_options(self._session.settings, properties, no_clobber=no_clobber),
            recursive=recursive,
            filters=filter_of(include, exclude),
            follow_symlinks=follow_symlinks,
            check=check,
            on_event=on_event,
        )

    @cancelled_once
    async def download(
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
        """Download an object, or with ``recursive`` all objects below a prefix.

        Files appear under their names only when they are complete and verified, with the modification time
        of their objects. A large download that was killed is continued by the same call. Keys that cannot be
        files below ``path`` (``../x``, ``a//b``) fail; nothing is ever written elsewhere.

        Args:
            uri: ``s3://bucket/key`` or, with ``recursive``, ``s3://bucket/prefix/``.
            path: The file, or a directory: one that exists, or with a slash at its end.
            recursive: Everything below the prefix.
            include: As in `upload`, for keys relative to ``uri``.
            exclude: As in `upload`.
            no_clobber: Leave files alone that exist.
            version_id: A version of the single object.
            encryption: The SSE-C key that the objects were written with.
            check: As in `upload`.
            on_event: As in `upload`.

        Raises:
            NotFound: There is no such object, or nothing below the prefix.
            ConfigError: A prefix without ``recursive``.
            TransferError: Some of several objects failed; the others are done.
            HaulError: The single object failed; the error says why.

        Example:
            >>> result = await client.download("s3://demo/report/", "copy", recursive=True)
            >>> result.done, result.bytes
            (2, 31)
        """
        return await transfer(
            self._session,
            "download",
            (uri_of(uri), path_of(path)),
            transfer_options(self._session.settings, {}, source_encryption=encryption, no_clobber=no_clobber),
            recursive=recursive,
            filters=filter_of(include, exclude),
            version_id=version_id,
            check=check,
            on_event=on_event,
        )

    @cancelled_once
    async def copy(
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
        """Copy an object, or with ``recursive`` all objects below a prefix, from S3 to S3.

        Inside one store no byte passes through this machine. Where the source is another store (the
        ``source_…`` settings of the client), the bytes are streamed through.

        Args:
            source: ``s3://bucket/key`` or, with ``recursive``, ``s3://bucket/prefix/``.
            destination: ``s3://bucket/key``, or ``s3://bucket/prefix/`` to keep the name. An object may be
                copied onto itself to change its properties.
            recursive: Everything below the prefix.
            include: As in `upload`, for keys relative to ``source``.
            exclude: As in `upload`.
            no_clobber: Leave out what exists already.
            version_id: A version of the single object.
            source_encryption: The SSE-C key that the source was written with.
            check: As in `upload`.
            on_event: As in `upload`.
            properties: What the copies get. Without any they keep the source's; where one of them is given,
                all are taken from here (storage class, ACL and encryption aside, which are never copied).

        Raises:
            NotFound: There is no such object, or nothing below the prefix.
            ConfigError: A prefix without ``recursive``, or a tree that is its own destination.
            SourceChanged: The single object was replaced while it was copied.
            TransferError: Some of several objects failed; the others are done.

        Example:
            >>> (await client.copy("s3://demo/hello.txt", "s3://demo/backup/")).done
            1
        """
        return await transfer(
            self._session,
            "copy",
            (uri_of(source), uri_of(destination)),
            transfer_options(
                self._session.settings,
                properties,
                source_encryption=source_encryption,
                no_clobber=no_clobber,
            ),
            recursive=recursive,
            filters=filter_of(include, exclude),
            version_id=version_id,
            in_place=bool(properties),
            check=check,
            on_event=on_event,
        )

    @cancelled_once
    async def move(
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
        """Move an object or a file, or with ``recursive`` all below a prefix or directory.

        Each source is deleted once its own copy is verified, and only while it is still what was copied.
        Called again after a kill, what was moved is gone from the source and the rest goes on.

        Args:
            source: A URI of S3 or a path.
            destination: A URI of S3 or a path; at least one of both is a URI.
            recursive: Everything below the prefix or directory.
            include: As in `upload`.
            exclude: As in `upload`.
            no_clobber: Leave out, and keep in the source, what exists already.
            follow_symlinks: As in `upload`.
            source_encryption: The SSE-C key that the source was written with.
            check: As in `upload`.
            on_event: As in `upload`.
            properties: As in `copy`.

        Raises:
            NotFound: There is nothing to move (any more).
            ConfigError: A tree without ``recursive``, or one that is its own destination.
            SourceChanged: The single object was replaced after it was copied; it was not deleted.
            TransferError: Some of several objects failed; they are where they were.

        Example:
            >>> (await client.move("s3://demo/hello.txt", "s3://demo/greetings/")).done
            1
        """
        return await transfer(
            self._session,
            "move",
            (source, destination),
            transfer_options(
                self._session.settings,
                properties,
                source_encryption=source_encryption,
                no_clobber=no_clobber,
            ),
            recursive=recursive,
            filters=filter_of(include, exclude),
            follow_symlinks=follow_symlinks,
            check=check,
            on_event=on_event,
        )
