"""What all operations that are taken back share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from haulyard.jobs.applying.copying import Copying
from haulyard.jobs.applying.wanted import Wanted
from haulyard.jobs.ends import Ends
from haulyard.models import PutOptions
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.jobs.applying.workshop import Workshop
    from haulyard.jobs.model import Operation
    from haulyard.models import ObjectHead


class Counterpart:
    """The surroundings of every operation that is taken back.

    ``shop`` is what the job was applied with. ``since`` is when the job was first undone, in POSIX seconds.
    """

    def __init__(self, shop: Workshop, emit: Emit, *, since: float) -> None:
        self.shop = shop
        self.verb = shop.verb
        self.ends = shop.ends
        self.options = shop.options
        back = Ends(shop.ends.destination, select(""), shop.ends.source, Target("", into=True))
        self.before = Before()
        self.copying = Copying(
            back, self.before, replace(shop.options, on_conflict="fail"), emit, begun=since
        )
        self.unfinished: set[str] = set()
        """Names, among those whose order matters, whose copy is still there because taking it back failed."""
        self.occupied: set[str] = set()
        """Names, among those with several sources, whose copy stays for good."""


class Before:
    """What a copy gets that is copied back: the properties that its source had."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Any]] = {}

    def remember(self, key: str, before: dict[str, Any]) -> None:
        """Take note of the properties that the source of the copy ``key`` had."""
        if before:
            self._kept[key] = before

    async def of(self, operation: Operation, head: ObjectHead) -> Wanted:
        """Return what the copy that is copied back is to get."""
        before = dict(self._kept.pop(operation.key, {}))
        tags = before.pop("tags", None)
        storage_class = before.pop("storage_class", "")
        put = PutOptions(**before, storage_class=storage_class, tags=tags or {})
        expected = PutOptions(**before) if "metadata" in before else PutOptions(metadata=head.metadata)
        return Wanted(put, "metadata" in before, tags is not None, expected)
