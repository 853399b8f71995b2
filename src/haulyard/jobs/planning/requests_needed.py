"""What carrying a plan out will ask of the store: requests by kind, their price, and how long they take.

An estimate: nothing is tried again, every conflict is decided for doing, and what changes meanwhile is left
out. Its time is the longest of

- requests that write / 3,500 a second, and requests that read / 5,500 a second, which is what S3 gives one
  partitioned prefix at least ("Best practices design patterns: optimizing Amazon S3 performance"),
- all requests * the time of an answer, as measured while listing / requests in flight.

Bytes through this machine (uploads and downloads) take their time besides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from haulyard.jobs.model import Action, Conflict, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from haulyard.jobs.planning.prices import Prices
    from haulyard.jobs.planning.tally import Amount, Group, Tally

WRITES_A_SECOND: Final = 3_500
READS_A_SECOND: Final = 5_500
#: Actions that `apply` works on, wherever their rows are.
WORKED_ON: Final = (Action.ACT, Action.ORDERED, Action.FOLDER)
_BATCH: Final = 1_000
_READS: Final = frozenset({"HEAD", "GET", "GET tagging"})
_FREE: Final = frozenset({"DELETE"})


class Asked(NamedTuple):
    """A kind of request, and the storage class that sets its price."""

    kind: str
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """How the objects of a job go: ``inside`` one service, or through this machine, ``up`` or ``down``.

    ``batched`` says that deletes go by the thousand; else each takes a HEAD and a DELETE. ``tier`` is that of
    a restore.
    """

    verb: Verb
    direction: Literal["inside", "up", "down", "through"] = "inside"
    batched: bool = True
    tier: str = "Standard"


def requests_needed(
    tally: Tally, way: Way, class_of: Callable[[int, str], str] = lambda _rule, source: source
) -> Counter[Asked]:
    """Return what `apply` will ask for.

    ``class_of`` gives the storage class that a copy gets, by the number of its rule and its source's class.
    """
    needed: Counter[Asked] = Counter()
    deletes = 0
    for group, amount in tally.items():
        if group.action not in WORKED_ON:
            continue
        if group.action == Action.FOLDER:
            needed[Asked("PUT")] += amount.objects
            needed[Asked("LIST")] += amount.objects
        elif way.verb.writes_elsewhere:
            _copies(needed, group, amount, way, class_of(group.rule, group.storage_class))
        elif way.verb is Verb.RESTORE:
            needed[Asked("RESTORE", group.storage_class)] += amount.objects
        elif way.verb is Verb.RETAG:
            needed[Asked("GET tagging", group.storage_class)] += amount.objects
            needed[Asked("PUT tagging", group.storage_class)] += amount.objects
        if way.verb.deletes and group.action != Action.FOLDER:
            deletes += amount.objects
    if deletes and not way.batched:
        needed[Asked("HEAD")] += deletes
    if deletes:
        needed[Asked("DELETE")] += -(-deletes // _BATCH) if way.batched else deletes
    return Counter({asked: count for asked, count in needed.items() if count})


def _copies(needed: Counter[Asked], group: Group, amount: Amount, way: Way, storage_class: str) -> None:
    here, there = group.storage_class, storage_class
    is_upload, is_download = way.direction == "up", way.direction == "down"
    if not is_upload:
        needed[Asked("HEAD", here)] += amount.objects
    if not is_download:
        needed[Asked("HEAD", there)] += amount.objects
    if group.conflict == Conflict.SAME:
        return
    if way.direction in {"down", "through"}:
        needed[Asked("GET", here)] += amount.objects - amount.large + amount.parts
    if is_download:
        return
    single, many = ("COPY", "COPY part") if way.direction == "inside" else ("PUT", "PUT part")
    needed[Asked(single, there)] += amount.objects - amount.large
    if amount.large:
        needed[Asked(many, there)] += amount.parts
        needed[Asked("POST", there)] += 2 * amount.large
        if way.direction == "inside":
            needed[Asked("GET tagging", here)] += amount.large


def price_of(requests: Counter[Asked], prices: Prices, tier: str = "Standard") -> float:
    """Return what the requests cost, in the currency of the prices."""
    total = 0.0
    for (kind, storage_class), count in requests.items():
        if kind == "RESTORE":
            total += count * prices.restore(storage_class, tier)
        elif kind not in _FREE:
            total += count * prices.request("read" if kind in _READS else "write", storage_class)
    return total


def seconds_for(requests: Iterable[tuple[Asked, int]], *, latency: float, concurrency: int) -> float:
    """Return how long the requests take at least; ``latency`` in seconds, 0.0 where nothing was measured."""
    reads = writes = 0
    for asked, count in requests:
        if asked.kind in _READS:
            reads += count
        else:
            writes += count
    paced = max(writes / WRITES_A_SECOND, reads / READS_A_SECOND)
    return max(paced, (reads + writes) * latency / concurrency)
