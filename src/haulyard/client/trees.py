"""The calls on whole trees: make one like another, or delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from haulyard.client.arguments import Properties, filter_of
from haulyard.client.cancelling import cancelled_once
from haulyard.client.ends import is_uri, path_of, uri_of, written_place
from haulyard.client.results import TransferResult
from haulyard.client.session import Calls, Session, both
from haulyard.client.transferring import Transfer, transfer_options
from haulyard.errors import ConfigError, NotFound, S3NotFound
from haulyard.stores.local import LocalStore
from haulyard.transfer.compare import SyncRules
from haulyard.transfer.evidence import ContentComparer
from haulyard.transfer.selection import select
from haulyard.transfer.sources import find, find_versions
from haulyard.transfer.sync import SyncPlan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.client.arguments import Patterns, StrPath
    from haulyard.events import Emit
    from haulyard.models import Encryption
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item
    from haulyard.transfer.sources import Found


class TreeCalls(Calls):
    """Synchronise and delete trees."""

    @cancelled_once
    async def sync(  # noqa: PLR0913 -- the keywords are the flags of `haul sync`
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
        """Make the destination like the source: copy what is missing, of another size, or newer.

        Both ends are trees: what lies below ``source`` goes below ``destination``. Times are compared in
        whole seconds. Memory does not grow with the number of objects.

        Args:
            source: ``s3://bucket/prefix/`` or a directory.
            destination: The same; at least one of both is in S3.
            delete: Afterwards, delete in the destination what the source does not have. Never done if a
                listing or a copy failed, or if the source is empty; what the patterns leave out is kept.
            max_delete: With more than this number to delete, delete nothing and raise.
            size_only: Compare sizes alone.
            checksum: Compare contents where sizes are equal: by checksums where both ends have them, else
                by reading.
            exact_timestamps: Replace files that are newer than their objects, too (downloads only).
            no_clobber: Never replace what exists.
            update: Never replace what is newer.
            include: Patterns of relative paths that take part; empty for everything.
            exclude: Patterns of relative paths that do not.
            follow_symlinks: As in `upload`.
            source_encryption: The SSE-C key that the source was written with.
            check: As in `upload`.
            on_event: As in `upload`.
            properties: As in `copy`.

        Raises:
            NotFound: There is no such source, or it is empty and ``delete`` would empty the destination.
            ConfigError: Both ends are the same or local, or arguments contradict each other.
            TransferError: Something failed, or there is more to delete than ``max_delete``.

        Example:
            >>> result = await client.sync("report", "s3://demo/report/")
            >>> result.done, result.skipped
            (0, 2)
        """
        if exact_timestamps and is_uri(destination):
            raise ConfigError(
                "exact_timestamps compares the times of files: an object's is that of its upload",
                hint="leave it out, or compare by checksum=True",
            )
        if max_delete is not None and not delete:
            raise ConfigError("max_delete means nothing without delete=True", hint="leave it out")
        ends = is_uri(source), is_uri(destination)
        filters = filter_of(include, exclude)
        rules = SyncRules(
            size_only=size_only,
            exact_timestamps=exact_timestamps,
            checksum=checksum,
            no_clobber=no_clobber,
            update=update,
            delete=delete,
            keep_markers=all(ends),
        )
        options = transfer_options(
            self._session.settings,
            properties,
            source_encryption=source_encryption,
            no_clobber=no_clobber,
        )
        origin, here = await _tree(
            self._session, source, source_side=all(ends), writes=False, follow_symlinks=follow_symlinks
        )
        target, there = await _tree(self._session, destination, writes=True)
        plan = SyncPlan(
            origin,
            here,
            target,
            there,
            rules,
            filters,
            same_content=ContentComparer(
                origin,
                target,
                source_encryption=source_encryption,
                destination_encryption=options.put.encryption,
            ),
            emit=both(self._session.emit, on_event),
        )
        async with plan:
            transfer = Transfer(self._session, "sync", options, on_event=on_event, check=check)
            return await transfer.sync(plan, origin, target, max_delete)

    @cancelled_once
    async def delete_tree(
        self,
        uri: str,
        *,
        include: Patterns = (),
        exclude: Patterns = (),
        all_versions: bool = False,
        check: bool = True,
        on_event: Emit | None = None,
    ) -> TransferResult:
        """Delete all objects below a prefix, or in a bucket; where there are none there is nothing to do.

        Args:
            uri: ``s3://bucket/prefix/`` or ``s3://bucket``. What merely starts alike is not touched:
                ``s3://b/data`` deletes ``data/x`` and neither ``data`` nor ``database``.
            include: Patterns of paths relative to ``uri`` that are deleted; empty for everything.
            exclude: Patterns of paths that are kept.
            all_versions: All versions and delete markers, for ever.
            check: As in `upload`.
            on_event: As in `upload`.

        Raises:
            NotFound: There is no such bucket.
            TransferError: Some objects could not be deleted; the others are.

        Example:
            >>> (await client.delete_tree("s3://demo/report/")).deleted
            2
        """
        place = written_place(self._session, uri_of(uri))
        selection = select(place.key, recursive=True, raw=True)
        filters = filter_of(include, exclude)
        found = (find_versions if all_versions else find)(place.store, selection, filters)
        options = transfer_options(self._session.settings, {})
        transfer = Transfer(self._session, "delete", options, on_event=on_event, check=check)
        try:
            return await transfer.delete(place.store, _items(found))
        except NotFound as error:
            if isinstance(error, S3NotFound):
                raise
            return TransferResult()


async def _tree(
    session: Session, end: StrPath, *, writes: bool, source_side: bool = False, follow_symlinks: bool = True
) -> tuple[Store, str]:
    """Return the store of a tree and its prefix there."""
    if not is_uri(end):
        return LocalStore(path_of(end), follow_symlinks=follow_symlinks, emit=session.emit), ""
    place = written_place(session, str(end)) if writes else session.place(str(end), source=source_side)
    place = await session.proved(place, source=source_side, may_write=writes)
    return place.store, place.key


async def _items(pages: AsyncIterator[list[Found]]) -> AsyncIterator[list[Item]]:
    async for page in pages:
        yield [found.item for found in page]
