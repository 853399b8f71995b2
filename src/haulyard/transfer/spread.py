"""Lists a store in parallel: over key ranges where it lists in byte order, over prefixes elsewhere.

A store answers a page of 1,000 keys in some ten or hundred milliseconds, and the next page only then. So
one listing is cut into parts that are listed at the same time:

- Where the order is proved (`Capabilities.ordered_listing` is True), a part is a range of keys. Whoever is
  idle cuts the largest part that is under way and takes what is behind the cut
  (`haulyard.transfer.split_points`). The bound of the other part is moved in the same step, so that no key
  is listed twice and none is missed, wherever the cut is.
- Elsewhere a part is a prefix, which is listed whole. One with more than a page, and with directories that
  are large by the look of that page, is asked for its directories instead, and each of them is a part.

The first page is asked for as it is: a small listing costs one request. What is listed ahead of who reads it
is bounded by the number of workers.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import deque
from contextlib import aclosing
from operator import attrgetter, lt
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.models import ListOptions
from haulyard.transfer.merge import Disordered
from haulyard.transfer.split_points import from_names, guesses, levels
from haulyard.transfer.workers import first_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence

    from haulyard.models import ListPage, ObjectInfo
    from haulyard.stores.base import Store

#: Keys of a full page: what S3 gives at most.
PAGE: Final = 1_000
#: Pages that wait for their reader.
_AHEAD: Final = 16
#: Guessed cuts of one part in a row, and pages until it is tried again after all of them failed.
_GUESSES: Final = 16
_PAUSE: Final = 16
#: Directories on a page above which they are too small to be listed one by one (125 keys each).
_SMALL: Final = 8
#: Directories of which some are looked into before all are listed, and how many that are.
_MANY: Final = 64
_SAMPLES: Final = 4
#: Prefixes that wait to be listed; above that, who finds more of them lists some first.
_WAITING: Final = 2_000
#: Answers whose time is kept.
_TIMED: Final = 256
_key_of = attrgetter("key")


class Span(NamedTuple):
    """A part of a listing: the keys with ``prefix`` behind ``after``, up to and with ``until``.

    ``""`` is no bound.
    """

    prefix: str
    after: str = ""
    until: str = ""


class SpreadListing:
    """All objects whose keys start with ``prefix``, a page (at most 1,000) at a time, in no certain order.

    Args:
        store: What is listed.
        prefix: What every key starts with.
        workers: Requests at a time; with 1 nothing is cut, and the pages come as the store gives them.
        start: What is left of a listing that was begun before (`position`), instead of all of it. Only for
            stores in byte order.
        clock: Seconds; for `latency`.

    ``requests`` counts the pages that were asked for.
    """

    def __init__(
        self,
        store: Store,
        prefix: str = "",
        *,
        workers: int = 32,
        start: Sequence[Span] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.requests = 0
        self.is_ordered = store.capabilities.ordered_listing is True
        if start is not None and not self.is_ordered:
            raise ValueError("only a listing in byte order can be taken up again")
        self._store = store
        self._workers = workers
        self._clock = clock
        self._times: list[float] = []
        # In order of their making: a dictionary, for parts that are done leave from anywhere.
        self._parts: dict[_Part, None] = {}
        self._waiting: deque[_Part] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: deque[tuple[_Part, list[ObjectInfo]]] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._error: BaseException | None = None
        self._is_closed = False
        for span in [Span(prefix)] if start is None else start:
            self._add(_Part(*span))

    @property
    def latency(self) -> float:
        """The median of the seconds that an answer took; 0.0 before the first."""
        return sorted(self._times)[len(self._times) // 2] if self._times else 0.0

    def position(self) -> list[Span]:
        """Return what is left to list after the pages that were yielded; empty at the end.

        Only with a store in byte order, which `start` wants too.
        """
        return [Span(part.prefix, part.taken, part.until) for part in self._parts if not part.is_over]

    def __aiter__(self) -> AsyncGenerator[list[ObjectInfo]]:
        return self.pages()

    async def pages(self) -> AsyncGenerator[list[ObjectInfo]]:
        """Yield the pages; none is empty. Can be called once; close it where it is left early.

        Raises:
            Disordered: The store does not list in the order that was proved.
            StoreError: A request failed for good.
        """
        try:
            self._employ()
            while True:
                while self._ready:
                    part, page = self._ready.popleft()
                    part.taken, part.unread = page[-1].key, part.unread - 1
                    self._forget(part)
                    self._taken.set()
                    yield page
                    # A reader that never waits would leave the store without questions.
                    await asyncio.sleep(0)
                if self._error is not None:
                    raise first_error(self._error)
                if not self._tasks:
                    return
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._is_closed = True
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    # Parts and who works on them.

    def _add(self, part: _Part) -> None:
        self._parts[part] = None
        self._waiting.append(part)

    def _forget(self, part: _Part) -> None:
        if part.is_over:
            self._parts.pop(part, None)

    def _employ(self) -> None:
        """Give everybody who is idle a part that waits, or one that is under way to cut."""
        while len(self._tasks) < self._workers and self._error is None and not self._is_closed:
            if self._waiting:
                part = self._waiting.popleft()
                self._start(self._range(part) if self.is_ordered else self._tree(part))
            elif largest := self._largest():
                largest.is_being_cut = True
                self._start(self._cut(largest))
            else:
                return

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None and self._error is None:
                self._error = error
            self._employ()
        self._arrived.set()

    def _largest(self) -> _Part | None:
        if not self.is_ordered:
            return None
        return max(
            (part for part in self._parts if part.may_be_cut), key=lambda part: part.pages, default=None
        )

    # What a worker does.

    async def _range(self, part: _Part) -> None:
        """List a range of keys to its end, wherever that is moved meanwhile."""
        async with aclosing(self._asked(part.prefix, ListOptions(start_after=part.after))) as pages:
            async for page in pages:
                objects = part.received(page.objects)
                if objects:
                    await self._deliver(part, objects)
                if part.is_finished:
                    break
                self._employ()
        self._finish(part)

    async def _cut(self, part: _Part) -> None:
        """Cut a part that is under way, and list one that is behind a cut."""
        for directory in list(levels(part.prefix, part.at, part.until)):
            if directory in part.flat:
                continue
            names = await self._names(directory, part)
            if part.is_finished:
                return
            points = from_names(names, part.at, part.until, [each.key for each in part.last], self._workers)
            if points:
                self._divide(part, points)
                part.is_being_cut = False
                return
        await self._guess(part)

    async def _names(self, directory: str, part: _Part) -> list[str]:
        """Return the names in a directory that begin behind what was listed; nothing where it is flat."""
        options = ListOptions(delimiter="/", start_after=part.at)
        async with aclosing(self._asked(directory, options)) as pages:
            page = await anext(pages, None)
        if page is None or not page.prefixes:
            # Names of objects are no better than guesses, which reach further than a page.
            part.flat.add(directory)
            return []
        return sorted([*page.prefixes, *map(_key_of, page.objects)])

    async def _guess(self, part: _Part) -> None:
        tried = 0
        while not part.is_finished and tried < _GUESSES:
            floor = max(len(part.prefix), part.at.rfind("/") + 1)
            first = part.last[0].key if part.last else ""
            point = next(guesses(floor, first, part.at, part.until), None)
            if point is None:
                break
            tried += 1
            upper = self._divide(part, [point])[0]
            self._waiting.remove(upper)
            upper.on_first_page = lambda: setattr(part, "is_being_cut", False)
            await self._range(upper)
            if upper.pages:
                return
        part.is_being_cut = False
        part.pause = 2 * part.pages + _PAUSE

    def _divide(self, part: _Part, points: Sequence[str]) -> list[_Part]:
        """Make parts of what is behind each of the points, which lie within what is left of ``part``."""
        ends = [*points[1:], part.until]
        made = [_Part(part.prefix, point, end) for point, end in zip(points, ends, strict=True)]
        part.until = points[0]
        for each in made:
            self._add(each)
        return made

    async def _tree(self, part: _Part, *, whole: bool = False) -> None:
        """List what has a prefix, or its directories where it is large."""
        is_first = True
        async with aclosing(self._asked(part.prefix, ListOptions())) as pages:
            async for page in pages:
                if is_first and not whole and self._is_worth_expanding(part, page.objects):
                    break
                is_first = False
                if page.objects:
                    await self._deliver(part, page.objects)
            else:
                self._finish(part)
                return
        await self._expand(part)

    def _is_worth_expanding(self, part: _Part, objects: Sequence[ObjectInfo]) -> bool:
        if len(objects) < PAGE or self._workers == 1 or len(self._waiting) >= self._workers:
            return False
        cut = len(part.prefix)
        return len({each.key[: each.key.find("/", cut) + 1] for each in objects}) <= _SMALL

    async def _expand(self, part: _Part) -> None:
        is_first = True
        async with aclosing(self._asked(part.prefix, ListOptions(delimiter="/"))) as pages:
            async for page in pages:
                if is_first and len(page.prefixes) > _MANY and not await self._are_large(page.prefixes):
                    break
                is_first = False
                if page.objects:
                    await self._deliver(part, page.objects)
                for prefix in page.prefixes:
                    self._add(_Part(prefix))
                self._employ()
                while len(self._waiting) > _WAITING:
                    await self._tree(self._waiting.popleft(), whole=True)
            else:
                self._finish(part)
                return
        await self._tree(part, whole=True)

    async def _are_large(self, prefixes: Sequence[str]) -> bool:
        """Say whether directories are worth a request each, by the look of some of them."""
        sizes: list[int] = []
        for prefix in prefixes[:: max(1, len(prefixes) // _SAMPLES)][:_SAMPLES]:
            async with aclosing(self._asked(prefix, ListOptions())) as pages:
                page = await anext(pages, None)
                sizes.append(len(page.objects) if page else 0)
        # The median: one that is large says nothing of the others.
        return sorted(sizes)[len(sizes) // 2] * _SMALL * 2 >= PAGE

    async def _asked(self, prefix: str, options: ListOptions) -> AsyncGenerator[ListPage]:
        """Yield the pages of a plain listing, counted and timed."""
        pages = self._store.list(prefix, options)
        try:
            began = self._clock()
            async for page in pages:
                self.requests += 1
                if len(self._times) < _TIMED:
                    self._times.append(self._clock() - began)
                yield page
                began = self._clock()
        finally:
            close = getattr(pages, "aclose", None)
            if close is not None:
                await close()

    async def _deliver(self, part: _Part, page: list[ObjectInfo]) -> None:
        """Hand a page to the reader, once there is room."""
        part.unread += 1
        self._ready.append((part, page))
        self._arrived.set()
        if part.on_first_page is not None:
            part.on_first_page()
            part.on_first_page = None
        while len(self._ready) > _AHEAD:
            self._taken.clear()
            await self._taken.wait()

    def _finish(self, part: _Part) -> None:
        part.is_finished = True
        part.last = []
        self._forget(part)


class _Part:
    """A range of keys, or a prefix, that is listed by one worker.

    ``at`` is the last key that was received, ``taken`` the last one that was yielded, ``unread`` the number
    of pages between them. ``last`` is the last page, ``pages`` how many came.
    """

    __slots__ = (
        "after",
        "at",
        "flat",
        "is_being_cut",
        "is_finished",
        "last",
        "on_first_page",
        "pages",
        "pause",
        "prefix",
        "taken",
        "unread",
        "until",
    )

    def __init__(self, prefix: str, after: str = "", until: str = "") -> None:
        self.prefix = prefix
        self.after = self.at = self.taken = after
        self.until = until
        self.last: list[ObjectInfo] = []
        self.flat: set[str] = set()
        self.pages = self.unread = self.pause = 0
        self.is_being_cut = self.is_finished = False
        self.on_first_page: Callable[[], object] | None = None

    @property
    def is_over(self) -> bool:
        """Whether all of it was yielded."""
        return self.is_finished and not self.unread

    @property
    def may_be_cut(self) -> bool:
        """Whether there is likely more than the next page of it, and nobody is cutting it."""
        return (
            len(self.last) >= PAGE
            and not self.is_being_cut
            and not self.is_finished
            and self.pages >= self.pause
        )

    def received(self, objects: list[ObjectInfo]) -> list[ObjectInfo]:
        """Take a page of the listing, and return what of it is in the range.

        Raises:
            Disordered: The keys do not ascend.
        """
        keys = list(map(_key_of, objects))
        if not keys:
            return objects
        if keys[0] <= self.at != "" or not all(map(lt, keys, keys[1:])):
            raise Disordered(
                f"the listing of {self.prefix!r} is not in byte order, which the store was taken to keep: "
                f"{keys[0]!r} and what follows it came after {self.at!r}",
                operation="list",
                key=keys[0],
                hint="let `haul doctor` prove anew what the store can do",
            )
        if self.until and keys[-1] >= self.until:
            self.is_finished = True
            del objects[bisect_right(keys, self.until) :]
        if objects:
            self.at, self.last = objects[-1].key, objects
            self.pages += 1
        return objects
