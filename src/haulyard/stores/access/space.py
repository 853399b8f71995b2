"""A prefix of our own in somebody's bucket: what is written there is removed again, whatever happens."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self, TypeVar

from haulyard.errors import AccessDenied, HaulError
from haulyard.events import Warned
from haulyard.models import DeleteItem, DeleteOptions, ListOptions
from haulyard.stores.base import COPY, DELETE, PUT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator

    from haulyard.events import Emit
    from haulyard.models import CopyOptions, CopySource, DeleteOutcome, PutOptions, PutResult
    from haulyard.stores.base import Store

T = TypeVar("T")

#: What every probe's prefix starts with, so that a person who finds one knows whose it was.
PREFIX = ".haul-probe-"
_FOLDED = ListOptions(delimiter="/")


class ProbeSpace:
    """Writes below ``<below>.haul-probe-<random>/``. Use it as an async context manager.

    At its end every object, version, delete marker and upload that was made through it is removed, also
    where an error or a cancellation ended it. What cannot be removed is named in a `Warned`.
    """

    def __init__(self, store: Store, below: str, emit: Emit) -> None:
        self.store = store
        self.prefix = f"{below}{PREFIX}{uuid.uuid4().hex}/"
        self.is_versioned = False
        """Whether the bucket has given a version id, so far."""
        self._emit = emit
        self._versions: dict[str, list[str]] = {}
        self._uploads: dict[str, str] = {}
        self._keys: set[str] = set()

    def key(self, name: str) -> str:
        """Return the full key of ``name``."""
        return self.prefix + name

    async def put(self, name: str, body: bytes, options: PutOptions = PUT) -> PutResult:
        """Write an object."""
        with self._claimed(name) as key:
            result = await self.store.put(key, body, options)
        self._note(key, result.version_id)
        return result

    async def copy(self, source: CopySource, name: str, options: CopyOptions = COPY) -> PutResult:
        """Copy an object inside the store."""
        with self._claimed(name) as key:
            result = await self.store.copy(source, key, options)
        self._note(key, result.version_id)
        return result

    async def delete(self, name: str, options: DeleteOptions = DELETE) -> DeleteOutcome:
        """Delete an object."""
        outcome = await self.store.delete(self.key(name), options)
        self._deleted(outcome)
        return outcome

    async def delete_batch(self, items: list[DeleteItem]) -> list[DeleteOutcome]:
        """Delete objects (named by their full keys) in one request."""
        outcomes = await self.store.delete_many(items)
        for outcome in outcomes:
            if outcome.error is None:
                self._deleted(outcome)
        return outcomes

    async def create_multipart(self, name: str) -> str:
        """Begin a multipart upload and return its id."""
        key = self.key(name)
        self._keys.add(key)
        upload_id = await self.store.create_multipart(key)
        self._uploads[upload_id] = key
        return upload_id

    async def abort_multipart(self, upload_id: str) -> None:
        """Give an upload up."""
        await self.store.abort_multipart(self._uploads[upload_id], upload_id)
        del self._uploads[upload_id]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        removals = [self._abort(key, upload_id) for upload_id, key in self._uploads.items()]
        removals += [self._remove(key, versions) for key, versions in self._versions.items()]
        left = [name for name in await together(*removals) if name]
        if self.is_versioned:
            await self._sweep()
        if not left:
            # Only now: versions of their own keep directories, too.
            await remove_directories(self.store, self.prefix, self._keys)
        if left:
            probes = "1 probe" if len(left) == 1 else f"{len(left)} probes"
            self._emit(
                Warned(
                    f"{probes} could not be removed: {self.store.name}/{left[0]} …",
                    f"Remove them yourself: haul rm -r --all-versions {self.store.name}/{self.prefix}",
                )
            )

    @contextmanager
    def _claimed(self, name: str) -> Iterator[str]:
        """Remember a key before it is written, as the answer may get lost; what is denied leaves nothing."""
        key = self.key(name)
        self._keys.add(key)
        is_new = key not in self._versions
        self._versions.setdefault(key, [])
        try:
            yield key
        except AccessDenied:
            if is_new:
                del self._versions[key]
            raise

    def _note(self, key: str, version_id: str) -> None:
        if version_id:
            self.is_versioned = True
            self._versions.setdefault(key, []).append(version_id)

    def _deleted(self, outcome: DeleteOutcome) -> None:
        self._note(outcome.key, outcome.marker_version_id)
        if not self.is_versioned:
            self._versions.pop(outcome.key, None)
        elif outcome.version_id and outcome.version_id in self._versions.get(outcome.key, ()):
            self._versions[outcome.key].remove(outcome.version_id)

    async def _remove(self, key: str, versions: list[str]) -> str:
        """Remove a key, by its versions where there are any; return it where that failed."""
        try:
            if not versions:
                outcome = await self.store.delete(key)
                versions = [outcome.marker_version_id] if outcome.marker_version_id else []
            for version in versions:
                await self.store.delete(key, DeleteOptions(version_id=version))
        except HaulError:
            return key
        return ""

    async def _sweep(self) -> None:
        """Remove what the store did not tell of: SeaweedFS leaves delete markers that no answer names."""
        # Listing versions is a right of its own, and what was told of is gone by now.
        with suppress(HaulError):
            async for page in self.store.list_versions(self.prefix):
                for version in page.versions:
                    await self.store.delete(version.key, DeleteOptions(version_id=version.version_id))

    async def _abort(self, key: str, upload_id: str) -> str:
        try:
            await self.store.abort_multipart(key, upload_id)
        except HaulError:
            return key
        return ""


async def remove_directories(store: Store, prefix: str, keys: Iterable[str]) -> None:
    """Remove the directories of ``keys``, which are gone, where the store goes on listing them.

    SeaweedFS does; deleting their names, the deepest first, makes it forget them. ``prefix`` ends in a slash.
    """
    names = {prefix}
    for key in keys:
        while len(key := key[: key.rstrip("/").rfind("/") + 1]) > len(prefix):
            names.add(key)
    # What is left of an empty directory is of no harm.
    with suppress(HaulError):
        if not await _is_listed(store, prefix):
            return
        for depth in sorted({name.count("/") for name in names}, reverse=True):
            await store.delete_many([DeleteItem(name) for name in names if name.count("/") == depth])


async def _is_listed(store: Store, prefix: str) -> bool:
    # SeaweedFS shows what is empty as an object of its own name, and only if asked with a delimiter.
    return any([page.objects or page.prefixes async for page in store.list(prefix, _FOLDED)])


async def together(*work: Coroutine[object, object, T]) -> list[T]:
    """Run all of ``work`` at once and return the results in order; the first error cancels the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
