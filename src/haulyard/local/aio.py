"""The asynchronous face of the embedded store; the work is done by `EmbeddedStore` in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from haulyard.local.embedded import EmbeddedStatus, EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType


class AsyncEmbeddedStore:
    """`EmbeddedStore` for async programs: the same names and signatures, awaited."""

    def __init__(self, data_dir: Path | str | None = None) -> None:
        self._store = EmbeddedStore(data_dir)

    async def start(self, *, attached: bool = False, timeout: float = 30.0) -> EmbeddedStatus:  # noqa: ASYNC109 - as in EmbeddedStore
        """See `EmbeddedStore.start`. Cancelled, it first waits until the server is up or has failed."""
        return await anyio.to_thread.run_sync(lambda: self._store.start(attached=attached, timeout=timeout))

    async def stop(self, *, grace: float = 5.0) -> bool:
        """See `EmbeddedStore.stop`."""
        return await anyio.to_thread.run_sync(lambda: self._store.stop(grace=grace))

    async def status(self) -> EmbeddedStatus:
        """See `EmbeddedStore.status`."""
        return await anyio.to_thread.run_sync(self._store.status)

    async def run(self, on_ready: Callable[[EmbeddedStatus], None] | None = None) -> None:
        """See `EmbeddedStore.run`; cancelling stops the server. ``on_ready`` is called in a thread."""
        try:
            await anyio.to_thread.run_sync(lambda: self._store.run(on_ready), abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            # Stopping ends the thread as well: it waits for the server.
            with anyio.CancelScope(shield=True):
                await self.stop()
            raise

    async def environment(self) -> dict[str, str]:
        """See `EmbeddedStore.environment`."""
        return await anyio.to_thread.run_sync(self._store.environment)

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._store.__enter__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._store.__exit__, kind, error, trace)
