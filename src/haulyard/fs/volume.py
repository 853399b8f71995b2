"""What all calls of one provider share: its part of the bucket, the client, the cache and the counters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from haulyard.client.arguments import check_properties, checksum_algorithm
from haulyard.client.async_client import AsyncClient
from haulyard.client.session import Place, both, session_of
from haulyard.errors import ConfigError, StoreError, Unsupported
from haulyard.fs.cache import Cache
from haulyard.fs.metrics import Meter
from haulyard.fs.nodes import NodeInfo
from haulyard.fs.paths import directory_key, file_key, path_of
from haulyard.models import GetOptions, PutOptions
from haulyard.stores.fate import TOKEN
from haulyard.transfer.content_types import content_type_of
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.events import Emit
    from haulyard.fs.config import FileProperties, S3ProviderConfig
    from haulyard.fs.encryption import Encrypter
    from haulyard.models import Encryption, ObjectHead, ObjectInfo, PutResult
    from haulyard.stores.s3 import S3Store

#: What GCM adds to a ciphertext (`haulyard.fs.encryption`); there it is not told before the extra is loaded.
_TAG_BYTES = 16


class Volume:
    """One prefix of one bucket."""

    def __init__(self, config: S3ProviderConfig, on_event: Emit | None) -> None:
        self.config = config
        self.prefix = config.prefix
        self.meter = Meter()
        self.client = AsyncClient(on_event=both(self.meter, on_event), **config.client_options())
        self.session = session_of(self.client)
        self.emit = self.session.emit
        self.cache: Cache[NodeInfo] = Cache(
            max_bytes=config.cache_size, max_entries=config.cache_entries, ttl=config.cache_ttl
        )
        encryption = config.encryption
        is_customers = encryption is not None and encryption.mode == "SSE-C"
        self.customer_key: Encryption | None = encryption if is_customers else None
        self.reading = GetOptions(encryption=self.customer_key)
        self.algorithm = (
            "MD5" if config.checksum_algorithm == "MD5" else checksum_algorithm(self.session.settings)
        )
        self.check_metadata(config.metadata)
        self._put = config.put_options()
        self._put_by_type: dict[str, PutOptions] = {}
        self._store: S3Store | None = None
        self._proved: S3Store | None = None
        self._encrypter: Encrypter | None = None

    @property
    def store(self) -> S3Store:
        """The bucket."""
        connection = self.session.connection()
        if self._store is None:
            self._store = connection.bucket(self.config.bucket)
        return self._store

    async def proved(self) -> S3Store:
        """Return the bucket, once it is known which conditions its endpoint honours."""
        store = self.store
        if self._proved is None:
            place = await self.session.proved(Place(store, self.prefix))
            self._proved = place.store
        return self._proved

    async def conditional(self, what: Literal["put", "delete"]) -> S3Store:
        """Return the bucket, whose endpoint was proved to honour conditions on such a call.

        Raises:
            Unsupported: It ignores them, or nobody could find out: the condition would then be no protection.
        """
        store = await self.proved()
        honoured = getattr(store.capabilities, f"conditional_{what}")
        if honoured:
            return store
        raise Unsupported(
            f"{self.config.bucket}: its endpoint "
            + ("ignores" if honoured is False else "was not proved to honour")
            + f" conditions on {what}",
            store="s3",
            operation=what,
            bucket=self.config.bucket,
            hint="haul doctor says what the endpoint can do, and what kept that from being found out",
        )

    @property
    def encrypter(self) -> Encrypter | None:
        """What encrypts and decrypts on this side, if that was asked for."""
        wanted = self.config.client_side_encryption
        if wanted is not None and self._encrypter is None:
            # Needs the extra `encryption`.
            from haulyard.fs.encryption import Encrypter

            self._encrypter = Encrypter(wanted, self.session.connection())
        return self._encrypter

    def uri(self, key: str) -> str:
        """Return the URI of a key."""
        return f"s3://{self.config.bucket}/{key}"

    @property
    def marker_options(self) -> PutOptions:
        """What the marker of a directory gets."""
        return replace(self._put, content_type="application/x-directory")

    def file_key(self, path: str) -> str:
        """Return the key of a file. Raises UnsafeName."""
        return file_key(path, self.prefix)

    def directory_key(self, path: str) -> str:
        """Return what all keys of a directory begin with. Raises UnsafeName."""
        return directory_key(path, self.prefix)

    def path_of(self, key: str) -> str | None:
        """Return the path of a key, None where none leads to it."""
        return path_of(key, self.prefix)

    def check_size(self, size: int, path: str) -> None:
        """Refuse a file that is larger than it may be.

        Raises:
            StoreError: With the code ``EntityTooLarge``.
        """
        most = self.config.max_file_size
        if most and size > most:
            raise StoreError(
                f"{path} has {size} bytes, and a file may have {most}",
                store="s3",
                operation="check_size",
                bucket=self.config.bucket,
                key=self.prefix + path,
                code="EntityTooLarge",
                hint="max_file_size of S3ProviderConfig sets the limit; stream_read needs none",
            )

    def check_metadata(self, metadata: Mapping[str, str]) -> None:
        """Refuse metadata whose names are not free: no other writer could tell them from Haulyard's own.

        Raises:
            ConfigError: One is ``haul-token``; or it belongs to client-side encryption, where that is used.
        """
        if TOKEN in map(str.lower, metadata):
            raise ConfigError(
                f"the metadata entry {TOKEN} is Haulyard's own: it tells a write whose answer got lost",
                hint="choose another name",
            )
        if self.config.client_side_encryption is not None:
            from haulyard.fs.encryption import check_own

            check_own(metadata)

    def put_options(self, key: str, given: FileProperties) -> PutOptions:
        """Return what a file gets: what was ``given``, then what the configuration says.

        Raises:
            ConfigError: A value of another kind than the property has, or as `check_metadata`.
        """
        content_type = given.get("content_type") or content_type_of(key)
        options = self._put_by_type.get(content_type)
        if options is None:
            options = self._put_by_type[content_type] = replace(self._put, content_type=content_type)
        if not given:
            return options
        check_properties(given)
        self.check_metadata(given.get("metadata", {}))
        changes: dict[str, Any] = {name: value for name, value in given.items() if name != "content_type"}
        for name in ("metadata", "tags"):
            if name in changes:
                changes[name] = {**getattr(self._put, name), **changes[name]}
        return replace(options, **changes)

    def transfer_options(self, put: PutOptions | None = None, **changes: Any) -> TransferOptions:  # noqa: ANN401 -- fields of it
        """Return how objects are copied inside the bucket."""
        settings = self.session.settings
        return TransferOptions(
            put=self._put if put is None else put,
            source_encryption=self.customer_key,
            part_size=settings.part_size,
            state_dir=settings.state_dir,
            algorithm="none" if self.algorithm == "MD5" else self.algorithm,
            **changes,
        )

    def listed(self, info: ObjectInfo, path: str) -> NodeInfo:
        """Return the node of a listed object."""
        size = info.size
        if self.config.client_side_encryption is not None:
            size = max(size - _TAG_BYTES, 0)
        return NodeInfo(path, False, size, info.last_modified, info.etag, info.storage_class)  # noqa: FBT003 -- by place: made by the million

    def described(self, head: ObjectHead, path: str, *, is_dir: bool = False) -> NodeInfo:
        """Return the node of an object that was asked for."""
        metadata, size = dict(head.metadata), head.size
        metadata.pop(TOKEN, None)
        if self.config.client_side_encryption is not None:
            from haulyard.fs.encryption import own_metadata, plaintext_size

            metadata, size = own_metadata(metadata), plaintext_size(head)
        return NodeInfo(
            path,
            is_dir,
            size,
            head.last_modified,
            head.etag,
            head.storage_class,
            head.content_type,
            metadata,
            head.version_id,
            head.checksums,
            head.encryption,
        )

    def written(self, result: PutResult, path: str, size: int, options: PutOptions) -> NodeInfo:
        """Return the node of a file that was written just now."""
        return NodeInfo(
            path,
            size=size,
            modified=result.last_modified,
            etag=result.etag,
            storage_class=options.storage_class or "STANDARD",
            content_type=options.content_type,
            metadata=options.metadata,
            version_id=result.version_id,
            checksums=result.checksums,
            encryption=options.encryption.mode if options.encryption is not None else "",
        )


class VolumeCalls:
    """A group of the calls of a provider."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    @property
    def _meter(self) -> Meter:
        return self._volume.meter
