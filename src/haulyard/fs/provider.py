"""`S3Provider`: a prefix of a bucket as a filesystem, for programs with an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from haulyard.fs.batch import BatchCalls
from haulyard.fs.bucket_rules import BucketRuleCalls
from haulyard.fs.properties import PropertyCalls
from haulyard.fs.sharing import ShareCalls
from haulyard.fs.updating import UpdateCalls
from haulyard.fs.volume import Volume
from haulyard.models import ListOptions

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.fs.config import S3ProviderConfig
    from haulyard.fs.nodes import ProviderMetrics

_ONE = ListOptions(page_size=1)


class S3Provider(UpdateCalls, BatchCalls, PropertyCalls, ShareCalls, BucketRuleCalls):
    """A prefix of a bucket as an asynchronous filesystem.

    Files are plain objects; a directory is there while a file lies in it. Paths are relative to the prefix,
    ``notes/today.txt``; see `haulyard.fs.paths`. Nothing outside the prefix can be reached. Errors are
    raised, with their cause; calls on many files return an outcome for each.

    What is asked of the store is remembered for ``cache_ttl`` seconds: nodes and listings, never contents.
    What this provider changes it sees at once, what others change after that time or after `refresh`.

    One provider serves any number of tasks of one event loop. Leave its ``async with`` block, or `close` it.

    Args:
        config: Which bucket, which prefix, and everything else.
        on_event: Is called with every event (`haulyard.events`), as that of `AsyncClient`.

    Raises:
        ConfigError: A setting has a value that is not allowed.

    Example:
        >>> config = S3ProviderConfig("demo", prefix="tenants/7", endpoint_url="http://127.0.0.1:8333")
        >>> async with S3Provider(config) as provider:
        ...     node = await provider.write_file("notes/today.txt", b"hello, world")
        ...     await provider.read_file("notes/today.txt")
        b'hello, world'
    """

    def __init__(self, config: S3ProviderConfig, *, on_event: Emit | None = None) -> None:
        super().__init__(Volume(config, on_event))

    @property
    def config(self) -> S3ProviderConfig:
        """What the provider was told."""
        return self._volume.config

    @property
    def metrics(self) -> ProviderMetrics:
        """What was done so far: calls, requests, latencies, errors, the cache's hit rate."""
        return self._volume.meter.snapshot(self._volume.cache.stats)

    async def initialize(self) -> None:
        """Make sure that the bucket can be reached: a listing of one key below the prefix.

        Not needed, but a wrong name or key is then found at the start. ``async with`` does it.

        Raises:
            NotFound: There is no such bucket.
            S3AuthError: The credentials are missing or wrong, or listing is denied.
            S3NetworkError: The endpoint does not answer.
        """
        volume = self._volume
        async for _ in volume.store.list(volume.prefix, _ONE):
            return

    async def close(self) -> None:
        """Close all connections; closing twice is harmless. Calls after that raise HaulError."""
        await self._volume.client.close()

    async def __aenter__(self) -> Self:
        try:
            await self.initialize()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
