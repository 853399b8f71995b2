"""What a command works with: settings, streams, the wish to stop, and connections opened at first use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulyard.cli.foresight import nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Protocol

    from haulyard.cli.output import Output
    from haulyard.cli.stop import Stop
    from haulyard.config import Setting, Settings
    from haulyard.events import Emit
    from haulyard.observe.subscribers import Subscribers
    from haulyard.stores.assemble import Connection
    from haulyard.stores.base import Store
    from haulyard.stores.local import LocalStore
    from haulyard.url import S3Url

    ResolveOwned = Callable[
        [Mapping[str, Setting], Mapping[str, object]], tuple[dict[str, Any], dict[str, str]]
    ]

    class Connect(Protocol):
        """Opens a connection; ``rate`` is its ceiling in requests a second, 0 for none."""

        def __call__(self, settings: Settings, emit: Emit, *, rate: float = 0.0) -> Connection:
            """Open it."""
            ...


#: Local destinations kept at hand, each with a few open descriptors.
_MAX_DIRECTORIES = 64


class Connections:
    """Every connection of a process, one for each different settings; commands of ``haul run`` share them."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._open: dict[tuple[Settings, float], Connection] = {}
        self._last: tuple[Settings | None, Connection | None] = (None, None)
        self._directories: dict[str, LocalStore] = {}

    def get(self, settings: Settings, emit: Emit, *, rate: float = 0.0) -> Connection:
        """Return the connection for ``settings``, opened at the first call.

        ``rate`` is a ceiling in requests a second for all that goes over it, 0 for none.
        """
        last, found = self._last
        if last is settings and found is not None and not rate:
            # The lines of a script mostly share their settings, whose hash is that of thirty values.
            return found
        found = self._open.get((settings, rate))
        if found is None:
            found = self._open[settings, rate] = self._connect(settings, emit, rate=rate)
        if not rate:
            self._last = (settings, found)
        return found

    def directory(self, root: str) -> LocalStore:
        """Return the local directory that is written to; its descriptors stay open for the next command."""
        from haulyard.stores.local import LocalStore

        found = self._directories.get(root)
        if found is None:
            if len(self._directories) >= _MAX_DIRECTORIES:
                del self._directories[next(iter(self._directories))]
            found = self._directories[root] = LocalStore(root)
        return found

    async def close(self) -> None:
        """Close all of them."""
        self._directories.clear()
        self._last = (None, None)
        while self._open:
            _, connection = self._open.popitem()
            await connection.close()


class Context:
    """The surroundings of one command."""

    def __init__(
        self,
        settings: Settings,
        output: Output,
        stop: Stop,
        connections: Connections,
        subscribers: Subscribers,
        resolve: Callable[[Mapping[str, object]], Settings],
        resolve_owned: ResolveOwned,
        *,
        inner: bool = False,
    ) -> None:
        self.settings = settings
        self.resolve = resolve
        """Gives the settings with further flags on top of those of this command."""
        self.resolve_owned = resolve_owned
        """Gives those settings of a table that are given by flags or otherwise, and their origins."""
        self.output = output
        self.stop = stop
        self.subscribers = subscribers
        self._inner = inner
        self._connections = connections

    @property
    def emit(self) -> Emit:
        """Where events go."""
        return self.subscribers.emit

    def connection(self, *, source: bool = False) -> Connection:
        """Return the connection of the destination's side (or the only one), or of the source's."""
        settings = self.settings.for_source() if source else self.settings
        return self._connections.get(settings, self.emit)

    def connection_for(self, settings: Settings, *, rate: float = 0.0) -> Connection:
        """Return the connection for settings that are not those of the command: a job remembers its own."""
        return self._connections.get(settings, self.emit, rate=rate)

    def directory(self, root: str) -> LocalStore:
        """Return the local directory ``root`` as a destination."""
        return self._connections.directory(root)

    def bucket(self, url: S3Url, *, source: bool = False) -> Store:
        """Return the bucket that ``url`` names, as a store."""
        return self.connection(source=source).bucket(url.bucket)

    @contextmanager
    def progress(self, unit: str = "bytes", *, finding: bool = False) -> Iterator[Callable[[int, int], None]]:
        """Show a progress bar meanwhile, where one is wanted: by ``--progress``, else on a terminal.

        ``unit`` is ``bytes``, ``objects``, or ``records`` or ``rows`` (whose bar is of the bytes read).
        Yields a function to be told of work found: objects, bytes. Where ``finding`` is all that there is to
        do, the bar counts what was found.
        """
        # Many lines of `haul run` are under way at a time, and bars would overwrite each other.
        wanted = False if self._inner else self.settings.progress
        if wanted is None:
            wanted = self.output.writer.on_terminal and not self.output.as_json
        if not wanted:
            yield nobody
            return
        from haulyard.observe.progress import Progress, RecordProgress

        bar = (RecordProgress if unit in {"records", "rows"} else Progress)(self.output.writer.err, unit)
        self.subscribers.add(bar, requests=False)
        self.output.writer.aside = bar.clear
        try:
            yield bar.count if finding else bar.expect
        finally:
            self.output.writer.aside = None
            self.subscribers.remove(bar)
            bar.close()

    def inside(
        self,
        settings: Settings,
        output: Output,
        resolve: Callable[[Mapping[str, object]], Settings] | None = None,
    ) -> Context:
        """Return the surroundings of one line of ``haul run``: own settings and voice, all else shared.

        ``resolve`` is where its settings come from, if not from where those of this command do.
        """
        return Context(
            settings,
            output,
            self.stop,
            self._connections,
            self.subscribers,
            resolve or self.resolve,
            self.resolve_owned,
            inner=True,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()
