"""`AsyncClient`: every call on objects, buckets and trees, for programs with an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from haulyard.client.arguments import SettingOptions, check_keys, resolve_settings
from haulyard.client.buckets import BucketCalls
from haulyard.client.files import FileCalls
from haulyard.client.listings import ListingCalls
from haulyard.client.objects import ObjectCalls
from haulyard.client.session import Session
from haulyard.client.transfers import TransferCalls
from haulyard.client.trees import TreeCalls
from haulyard.events import ignore

if TYPE_CHECKING:
    from haulyard.config import Settings
    from haulyard.events import Emit


class AsyncClient(ObjectCalls, ListingCalls, BucketCalls, FileCalls, TransferCalls, TreeCalls):
    """S3, or a store that speaks its protocol, for programs with an event loop.

    Settings that are not given come from where those of `haul` come from: ``HAUL_*`` and AWS's variables,
    ``.env`` and ``haul.toml`` in the current directory, the AWS profile. Credentials are found by AWS's
    chain unless keys are given, and renewed before they end.

    One client serves any number of tasks, which share its connections; it belongs to the event loop in which
    it is first used (asyncio's; on uvloop it is faster). Leave its ``async with`` block, or `close` it.

    Args:
        access_key: Access key id, with ``secret_key``, instead of the chain's.
        secret_key: The secret that belongs to it.
        session_token: The token of temporary keys.
        on_event: Is called with every event (`haulyard.events`): requests, retries, bytes, objects. It runs
            in the event loop, so it must be quick, and must not raise.
        settings: Any setting by its name: ``endpoint_url``, ``region``, ``profile``, ``concurrency``
            (requests in flight, 32), ``part_size`` (bytes or ``"64MiB"``), ``addressing`` …

    Raises:
        ConfigError: A setting has a value that is not allowed.

    Example:
        >>> async with AsyncClient(endpoint_url="http://127.0.0.1:8333") as client:
        ...     await client.put("s3://demo/hello.txt", b"hello, world")
        PutResult(etag='e4d7f1b4ed2e42d15898f4b27b019da4', ...)
    """

    def __init__(
        self,
        *,
        access_key: str = "",
        secret_key: str = "",
        session_token: str = "",
        on_event: Emit | None = None,
        **settings: Unpack[SettingOptions],
    ) -> None:
        resolved = resolve_settings(settings)
        given = check_keys(access_key, secret_key, session_token, resolved)
        keys = (access_key, secret_key, session_token) if given else None
        super().__init__(Session(resolved, on_event or ignore, keys))

    @property
    def settings(self) -> Settings:
        """Every setting, and in ``origins`` where each came from."""
        return self._session.settings

    async def close(self) -> None:
        """Close all connections; closing twice is harmless, using the client afterwards raises HaulError."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
