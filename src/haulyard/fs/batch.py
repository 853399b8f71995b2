"""Many files at once: an outcome for each, in their order; no more is under way than the limiter takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from haulyard.client.arguments import check_bytes
from haulyard.client.cancelling import cancelled_once
from haulyard.errors import HaulError
from haulyard.fs.directories import DirectoryCalls
from haulyard.fs.metrics import measured
from haulyard.fs.nodes import NewNode, NodeInfo, Outcome
from haulyard.fs.reading import ReadCalls
from haulyard.models import DeleteItem
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from haulyard.models.body import Buffer

Item = TypeVar("Item")
T = TypeVar("T")


class BatchCalls(ReadCalls, DirectoryCalls):
    """Create, read, write and delete many files."""

    @measured
    async def batch_read(self, paths: Iterable[str]) -> list[Outcome[bytes]]:
        """Read files into memory, ``concurrency`` at a time.

        Returns:
            An outcome for each path, in their order; ``value`` is its content.

        Example:
            >>> [outcome.ok for outcome in await provider.batch_read(["notes/today.txt", "nothing"])]
            [True, False]
        """
        reading = self._volume.reading

        async def read(path: str) -> bytes:
            data, _ = await self._read(path, self._volume.file_key(path), reading)
            return data

        return await self._each(list(paths), _itself, read)

    @measured
    @cancelled_once
    async def batch_write(self, files: Iterable[tuple[str, Buffer]]) -> list[Outcome[NodeInfo]]:
        """Write files, ``concurrency`` at a time; each is whole or not written.

        Of two contents for one path any may be the last.

        Args:
            files: Paths and contents.

        Returns:
            An outcome for each file, in their order; ``value`` is what `S3Provider.write_file` returns.
        """
        volume = self._volume

        async def write(file: tuple[str, Buffer]) -> NodeInfo:
            path, content = file
            key = volume.file_key(path)
            check_bytes(content)
            return await self._write(key, content, volume.put_options(key, {}))

        return await self._each(list(files), _first, write)

    @measured
    @cancelled_once
    async def batch_create(self, nodes: Iterable[NewNode]) -> list[Outcome[NodeInfo]]:
        """Create empty files and directories, as `S3Provider.create_node` does.

        Returns:
            An outcome for each node, in their order.
        """
        return await self._each(list(nodes), _path, self.create_node)

    @measured
    @cancelled_once
    async def batch_delete(self, paths: Iterable[str]) -> list[Outcome[None]]:
        """Delete files, 1,000 a request. One that is not there counts as deleted.

        Directories are deleted by `S3Provider.delete_node`; the path of one here is that of no file.

        Returns:
            An outcome for each path, in their order; it has an error, or the file is gone.
        """
        volume = self._volume
        wanted = list(paths)
        outcomes: list[Outcome[None]] = [Outcome(path) for path in wanted]
        keys: dict[int, str] = {}
        for number, path in enumerate(wanted):
            try:
                keys[number] = volume.file_key(path)
            except Exception as error:  # noqa: BLE001 -- it is the outcome of this path
                outcomes[number] = Outcome(path, error=error)
        # A key twice in one request is deleted once, and answered once.
        once = list(dict.fromkeys(keys.values()))
        errors: dict[str, Exception] = {}
        with volume.cache.writing(*(key[len(volume.prefix) :] for key in once)):
            try:
                deleted = await volume.store.delete_many([DeleteItem(key) for key in once])
            except HaulError as error:
                # Where it is one reason for all of them.
                errors = dict.fromkeys(once, error)
            else:
                errors = {each.key: each.error for each in deleted if each.error is not None}
        for number, key in keys.items():
            if key in errors:
                outcomes[number] = Outcome(wanted[number], error=errors[key])
        return outcomes

    async def _each(
        self, items: Sequence[Item], name: Callable[[Item], str], call: Callable[[Item], Awaitable[T]]
    ) -> list[Outcome[T]]:
        """Call ``call`` with each item, a few at a time, and return what became of each."""
        outcomes: list[Outcome[T]] = [Outcome(name(item)) for item in items]
        queue = iter(range(len(items)))

        async def work() -> None:
            for number in queue:
                path = outcomes[number].path
                try:
                    outcomes[number] = Outcome(path, await call(items[number]))
                except Exception as error:  # noqa: BLE001 -- it is the outcome of this item
                    outcomes[number] = Outcome(path, error=error)

        if items:
            await run_workers(work, min(self._volume.session.settings.concurrency, len(items)))
        return outcomes


def _itself(path: str) -> str:
    return path


def _first(file: tuple[str, Buffer]) -> str:
    return file[0]


def _path(node: NewNode) -> str:
    return node.path
