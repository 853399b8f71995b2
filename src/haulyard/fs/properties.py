"""What files have besides their content: metadata, tags, ACLs; and their versions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from haulyard.client.arguments import check_texts
from haulyard.client.cancelling import cancelled_once
from haulyard.errors import NotFound, PreconditionFailed, SourceChanged
from haulyard.fs.explaining import no_file
from haulyard.fs.metrics import measured
from haulyard.fs.moving import MoveCalls, kept, rewritten
from haulyard.fs.nodes import FileVersion, NodeInfo
from haulyard.models import GetOptions
from haulyard.transfer.copy import Copier
from haulyard.transfer.items import Item, Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import ObjectAcl, ObjectHead, ObjectVersion

#: How often metadata is set anew where the file is replaced at that moment.
_ROUNDS: Final = 5


class PropertyCalls(MoveCalls):
    """Read and change what files have besides their content."""

    @measured
    async def get_metadata(self, path: str) -> dict[str, str]:
        """Return the metadata of a file, its keys in lower case; of a directory none.

        Raises:
            NotFound: There is no such file or directory.
        """
        return dict((await self.get_node_info(path)).metadata)

    @measured
    @cancelled_once
    async def set_metadata(
        self, path: str, metadata: Mapping[str, str], *, content_type: str = ""
    ) -> NodeInfo:
        """Replace the metadata of a file; its content and its tags stay as they are.

        S3 writes the file anew for that, inside the store: it gets another time, a new version in buckets
        with versions, and loses an ACL that the configuration does not name.

        Args:
            path: Of the file.
            metadata: Texts by name, 2 KiB together, printable ASCII; an empty mapping removes all.
            content_type: Replaces the present one, where given.

        Raises:
            NotFound: There is no such file.
            SourceChanged: It was replaced again and again meanwhile.
            ConfigError: Something else than such texts, or a name that is Haulyard's own (``haul-token``).

        Example:
            >>> (await provider.set_metadata("notes/today.txt", {"author": "me"})).metadata
            {'author': 'me'}
        """
        check_texts("metadata", metadata)
        volume = self._volume
        volume.check_metadata(metadata)
        key = volume.file_key(path)
        for is_last in (False,) * (_ROUNDS - 1) + (True,):
            try:
                head = await volume.store.head(key, volume.reading)
            except NotFound as error:
                raise await no_file(volume, error, key) from error.__cause__
            try:
                return await self._rewrite(head, dict(metadata), content_type)
            except (PreconditionFailed, SourceChanged):
                if is_last:
                    raise
        raise AssertionError  # the last round returns or raises

    @measured
    async def get_object_tags(self, path: str, *, version_id: str = "") -> dict[str, str]:
        """Return the tags of a file.

        Raises:
            NotFound: There is no such file.
        """
        volume = self._volume
        return await volume.store.get_tags(volume.file_key(path), version_id)

    @measured
    @cancelled_once
    async def set_object_tags(self, path: str, tags: Mapping[str, str], *, version_id: str = "") -> None:
        """Replace the tags of a file, at most ten; an empty mapping removes them.

        Raises:
            NotFound: There is no such file.
            ConfigError: Something else than texts by name.
        """
        check_texts("tags", tags)
        volume = self._volume
        await volume.store.set_tags(volume.file_key(path), tags, version_id)

    @measured
    async def get_acl(self, path: str, *, version_id: str = "") -> ObjectAcl:
        """Return owner and grants of a file.

        Raises:
            NotFound: There is no such file.
        """
        volume = self._volume
        return await volume.store.get_acl(volume.file_key(path), version_id)

    @measured
    @cancelled_once
    async def set_acl(self, path: str, acl: str | ObjectAcl, *, version_id: str = "") -> None:
        """Replace the ACL of a file, by a canned one (``private``, ``public-read`` …) or by grants.

        Raises:
            NotFound: There is no such file.
            S3Error: The bucket has ACLs disabled, as new buckets of AWS have.
        """
        volume = self._volume
        await volume.store.set_acl(volume.file_key(path), acl, version_id)

    @measured
    async def list_versions(self, path: str) -> list[FileVersion]:
        """Return the versions of a file and the markers of its deletions, the newest first.

        In a bucket without versions that is the file alone, if there is one.

        Raises:
            S3PermissionError: Listing versions is denied.
            UnsafeName: The path is none of a file.

        Example:
            >>> [version.is_latest for version in await provider.list_versions("notes/today.txt")]
            [True, False]
        """
        volume = self._volume
        key = volume.file_key(path)
        found: list[FileVersion] = []
        async for page in volume.store.list_versions(key):
            ours = [each for each in page.versions if each.key == key]
            found += [_version(each, key[len(volume.prefix) :]) for each in ours]
            # In byte order all versions of the key come before those of longer ones.
            if volume.store.capabilities.ordered_listing and len(ours) < len(page.versions):
                break
        # Some stores list markers behind all versions; S3's own order stays, as sorting is stable.
        found.sort(key=lambda each: (not each.is_latest, -each.modified.timestamp()))
        return found

    @measured
    @cancelled_once
    async def restore_version(self, path: str, version_id: str) -> NodeInfo:
        """Make an older version of a file the current one, by a copy inside the store.

        The versions since stay where they are. Metadata, type and tags are those of the older one.

        Raises:
            NotFound: There is no such version of it.
            S3Error: It is the marker of a deletion.
        """
        volume = self._volume
        key = volume.file_key(path)
        old = await volume.store.head(key, GetOptions(version_id=version_id, encryption=volume.customer_key))
        options = volume.transfer_options(kept(volume, old))
        copier = Copier(volume.store, volume.store, options, volume.emit)
        name = key[len(volume.prefix) :]
        with volume.cache.writing(name):
            done = await copier(Job(Item(key, old.size, etag=old.etag, version_id=version_id), key))
        node = volume.described(old, name)
        return node._replace(etag=done.etag, version_id=done.version_id, modified=None)

    async def _rewrite(self, head: ObjectHead, metadata: dict[str, str], content_type: str) -> NodeInfo:
        volume = self._volume
        head = head._replace(content_type=content_type or head.content_type)
        stored = dict(metadata)
        if volume.encrypter is not None:
            from haulyard.fs.encryption import own_metadata

            # Without what is said there of its keys nobody could read it any more.
            own = own_metadata(head.metadata)
            stored |= {name: value for name, value in head.metadata.items() if name not in own}
        put = rewritten(volume, head, stored)
        store = await volume.proved()
        if store.capabilities.conditional_copy:
            # The source's condition alone would let a write in between be overwritten by what was before.
            put = replace(put, if_match=head.etag)
        options = volume.transfer_options(put, replace_metadata=True)
        name = head.key[len(volume.prefix) :]
        with volume.cache.writing(name):
            done = await Copier(store, store, options, volume.emit)(
                Job(Item(head.key, head.size, etag=head.etag), head.key)
            )
        node = volume.described(head._replace(metadata=stored), name)
        return node._replace(etag=done.etag, version_id=done.version_id, modified=None)


def _version(version: ObjectVersion, path: str) -> FileVersion:
    return FileVersion(
        path,
        version.version_id,
        version.is_latest,
        version.is_marker,
        version.size,
        version.last_modified,
        version.etag,
        version.storage_class,
    )
