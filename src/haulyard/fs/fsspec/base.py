"""What all methods of `HaulFileSystem` stand on: options, connections, paths, and what is remembered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from glob import has_magic
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

from fsspec.asyn import AsyncFileSystem, sync
from fsspec.utils import stringify_path

from haulyard.client.arguments import checksum_algorithm
from haulyard.client.session import Place, Session
from haulyard.errors import HaulError
from haulyard.events import ignore
from haulyard.fs.fsspec import ending
from haulyard.fs.fsspec.errors import os_error, refusal_before
from haulyard.fs.fsspec.listings import Listings
from haulyard.fs.fsspec.loop import io_loop, is_io_loop
from haulyard.fs.fsspec.options import LISTINGS_EXPIRY, customer_key_of, given, put_of, written_properties
from haulyard.models import PutOptions
from haulyard.transfer.content_types import content_type_of
from haulyard.transfer.options import PART_CONCURRENCY, TransferOptions
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.stores.s3 import S3Store


class Target(NamedTuple):
    """What a path leads to: a bucket and a key in it, ``""`` for the bucket; ``""`` twice is the root."""

    bucket: str
    key: str
    version_id: str = ""


class Remembered(NamedTuple):
    """What belongs to one event loop: connections, stores by bucket, and what was listed."""

    session: Session
    stores: dict[str, S3Store]


class FileSystemBase(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Options, connections and paths of a filesystem; `haulyard.fs.HaulFileSystem` says what they mean."""

    protocol: ClassVar[str | tuple[str, ...]] = "haul"
    root_marker = ""
    cachable = True
    #: Bytes of a block of an open file; of a part, where it is written.
    default_block_size = 8 * 1024**2

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        profile: str | None = None,
        region: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        anon: bool = False,
        requester_pays: bool = False,
        version_aware: bool = False,
        default_block_size: int | None = None,
        default_cache_type: str = "ahead",
        use_listings_cache: bool = True,
        listings_expiry_time: float | None = LISTINGS_EXPIRY,
        max_paths: int | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        s3_additional_kwargs: Mapping[str, Any] | None = None,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        batch_size: int | None = None,
        **own: Any,
    ) -> None:
        if loop is None and not asynchronous:
            loop = io_loop()
        super().__init__(asynchronous=asynchronous, loop=loop, batch_size=batch_size)
        try:
            self._given = given(
                key=key,
                secret=secret,
                token=token,
                anon=anon,
                requester_pays=requester_pays,
                client_kwargs=client_kwargs,
                s3_additional_kwargs=s3_additional_kwargs,
                own={"endpoint_url": endpoint_url, "profile": profile, "region": region, **own},
            )
        except HaulError as error:
            if anon and (refusal := refusal_before(error)) is not None:
                raise refusal from refusal.__cause__
            raise os_error(error) from error
        self.version_aware = version_aware
        self.default_block_size = default_block_size or self.default_block_size
        self.default_cache_type = default_cache_type
        #: The SSE-C key that every read needs.
        self._customer_key = customer_key_of(self._given.written)
        self._put_plain: dict[str, PutOptions] = {}
        self._remembered: WeakKeyDictionary[asyncio.AbstractEventLoop, Remembered] = WeakKeyDictionary()
        self._listings = Listings(listings_expiry_time if use_listings_cache else 0, max_paths)

    @property
    def fsid(self) -> str:
        """Equal for filesystems that lead to the same store."""
        return f"haul_{self._given.settings.endpoint_url or 'aws'}"

    # Paths

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        text = stringify_path(path)
        scheme, separator, rest = text.partition("://")
        if separator and scheme in _SCHEMES:
            text = rest
        # "/bucket/key" is what path libraries make of it; a key may begin with a slash, a bucket cannot.
        return text.lstrip("/").rstrip("/") or cls.root_marker

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        """Return bucket, key and version of a path; a slash at its end stays with the key.

        ``?versionId=`` is understood by version-aware filesystems; elsewhere it is part of the key.
        """
        bucket, key, version_id = self._target(path)
        return bucket, key, version_id or None

    def _target(self, path: str) -> Target:
        text = self._strip_protocol(path)
        if text.startswith("arn:"):
            try:
                url = parse(text)
            except HaulError as error:
                raise os_error(error) from error
            bucket, key = (url.bucket, url.key) if isinstance(url, S3Url) else (text, "")
        else:
            bucket, _, key = text.partition("/")
        if key and path.endswith("/"):
            key += "/"
        version_id = ""
        if self.version_aware and "?versionId=" in key:
            key, _, version_id = key.partition("?versionId=")
        return Target(bucket, key, version_id)

    def _object(self, path: str, version_id: str | None = None) -> Target:
        """Return the target of a path that has to name an object."""
        target = self._target(path)
        if not target.key:
            raise ValueError(f"{path!r} names no object: write bucket/key")
        if version_id:
            if not self.version_aware:
                raise ValueError("version_id needs a filesystem with version_aware=True")
            if target.version_id not in {"", version_id}:
                raise ValueError(f"{path!r} and version_id name two versions")
            target = target._replace(version_id=version_id)
        return target

    # Connections

    def _here(self) -> Remembered:
        """Return what belongs to the running loop."""
        loop = asyncio.get_running_loop()
        found = self._remembered.get(loop)
        if found is None:
            session = Session(self._given.settings, ignore, self._given.keys)
            found = self._remembered[loop] = Remembered(session, {})
            if is_io_loop(loop):
                ending.sessions.add(session)
        return found

    def _store(self, bucket: str) -> S3Store:
        here = self._here()
        store = here.stores.get(bucket)
        if store is None:
            store = here.stores[bucket] = here.session.place(f"s3://{bucket}").store
        return store

    async def _proved(self, bucket: str, key: str = "", *, may_write: bool = True) -> S3Store:
        """Return the store of a bucket, which knows what its endpoint honours."""
        here = self._here()
        place = await here.session.proved(Place(self._store(bucket), key), may_write=may_write)
        if may_write:
            here.stores[bucket] = place.store
        return place.store

    def _put_options(self, properties: Mapping[str, Any], key: str, mode: str = "overwrite") -> PutOptions:
        """Return the options of a write: what the filesystem was given, and what the call was."""
        if mode not in {"overwrite", "create"}:
            raise ValueError(f"mode={mode!r}: overwrite or create")
        if properties:
            options = put_of({**self._given.written, **written_properties(properties, "the call")}, key)
        else:
            options = self._put_plain.get(content_type := content_type_of(key)) or self._plain(content_type)
        return replace(options, if_none_match="*") if mode == "create" else options

    def _plain(self, content_type: str) -> PutOptions:
        """Return what a written object gets of which the call says nothing; kept by content type."""
        options = put_of(self._given.written)
        if not options.content_type:
            options = replace(options, content_type=content_type)
        self._put_plain[content_type] = options
        return options

    def _transfer_options(
        self, put: PutOptions | None = None, part_size: int = 0, max_concurrency: int = 0, **changes: bool
    ) -> TransferOptions:
        settings = self._given.settings
        return TransferOptions(
            part_concurrency=max_concurrency or self._given.part_concurrency or PART_CONCURRENCY,
            put=put or PutOptions(),
            source_encryption=self._customer_key,
            part_size=part_size or settings.part_size,
            no_clobber=bool(put and put.if_none_match),
            state_dir=settings.state_dir,
            algorithm=checksum_algorithm(settings),
            **changes,
        )

    async def _close(self) -> None:
        """Close the connections of the running loop; the next call opens new ones."""
        found = self._remembered.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.session.close()

    def close(self) -> None:
        """Close the connections; the next call opens new ones. In an event loop: ``await fs._close()``."""
        sync(self.loop, self._close)

    # What is remembered

    def _forget(self, *paths: str) -> None:
        """Forget what was remembered of paths that were written to."""
        self._listings.forget(map(self._strip_protocol, paths))

    def _ask_anew(self, *paths: str | list[str]) -> None:
        """Forget what was listed of paths, or patterns, by which is decided what is written or removed."""
        for path in paths:
            for each in [path] if isinstance(path, str) else path:
                plain = self._strip_protocol(each)
                self._listings.refresh(_above_magic(plain) if has_magic(plain) else plain)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget what was listed: everything, or what lies at, below and above ``path``."""
        self._listings.refresh("" if path is None else self._strip_protocol(path))


def _above_magic(pattern: str) -> str:
    """Return the directory in which all that a pattern matches lies."""
    parts = pattern.split("/")
    return "/".join(parts[: next(at for at, part in enumerate(parts) if has_magic(part))])


#: What a URL of an object of ours may begin with.
_SCHEMES = frozenset(("haul", "s3", "s3a"))
