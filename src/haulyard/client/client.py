"""`Client`: what `AsyncClient` does, for programs without an event loop.

Every method is one call into the loop; what it does, raises and returns is said there.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Self, Unpack

from haulyard.client.async_client import AsyncClient
from haulyard.client.blocking_calls import BlockingObjectCalls
from haulyard.client.blocking_transfers import BlockingTransferCalls
from haulyard.client.portal import Portal

if TYPE_CHECKING:
    from haulyard.client.arguments import SettingOptions
    from haulyard.config import Settings
    from haulyard.events import Emit


class Client(BlockingObjectCalls, BlockingTransferCalls):
    """S3, or a store that speaks its protocol, for programs without an event loop, and for notebooks.

    Has the methods of `AsyncClient`, without ``await``; listings are plain iterators, and `open` returns
    files of the standard library. It drives one event loop in a thread of its own. Any number of threads may
    use one client. Ctrl-C cancels the call that it interrupts and waits until that has cleaned up.

    Leave its ``with`` block, or `close` it; otherwise it is closed when the program ends. Processes that are
    forked after a client was used cannot use any: there calls raise HaulError. Start them by spawn or
    forkserver.

    Args:
        access_key: As in `AsyncClient`.
        secret_key: As in `AsyncClient`.
        session_token: As in `AsyncClient`.
        on_event: As in `AsyncClient`. It runs in the client's own thread, and must not call the client.
        settings: As in `AsyncClient`.

    Raises:
        ConfigError: A setting has a value that is not allowed.

    Example:
        >>> with Client(endpoint_url="http://127.0.0.1:8333") as client:
        ...     client.put("s3://demo/hello.txt", b"hello, world").etag
        'e4d7f1b4ed2e42d15898f4b27b019da4'
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
        self._client = AsyncClient(
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            on_event=on_event,
            **settings,
        )
        self._portal = Portal()
        # Also where nobody closes it: when it is collected, or at the end of the program.
        self._finalizer = weakref.finalize(self, self._portal.close, self._client.close)

    @property
    def settings(self) -> Settings:
        """Every setting, and in ``origins`` where each came from."""
        return self._client.settings

    def close(self) -> None:
        """As `AsyncClient.close`; calls of other threads that still run end with a HaulError."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def inside(client: Client) -> tuple[AsyncClient, Portal]:
    """Return the client that a blocking one drives, and the way into its loop, for the rooms above."""
    return client._client, client._portal  # noqa: SLF001 -- the class above
