"""Whether `sync` copies an object of the source: pure rules, no I/O.

In their order; the first that applies decides:

1. missing in the destination: copy
2. ``no_clobber``: leave what exists alone
3. ``update``: leave alone what is newer in the destination
4. sizes differ: copy
5. ``size_only``: leave alone
6. ``checksum``: look at the contents
7. the source is newer: copy; with ``exact_timestamps`` also if it is older
8. leave alone

Times are compared in whole seconds. In S3 an object's time is that of its upload, so "newer" is all that can
be said there; a download gets the time of its object, so there the times can be equal.

What only the destination has is a matter of ``delete`` alone (`haulyard.transfer.sync`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from haulyard.models import Checksum, ObjectInfo
    from haulyard.transfer.items import Item

Action = Literal["copy", "skip", "look"]


class Decision(NamedTuple):
    """What to do with a pair, and why; ``look`` needs more than listings tell."""

    action: Action
    reason: str


MISSING = Decision("copy", "missing in the destination")
SIZES_DIFFER = Decision("copy", "sizes differ")
NEWER = Decision("copy", "newer in the source")
TIMES_DIFFER = Decision("copy", "times differ")
CONTENTS_DIFFER = Decision("copy", "contents differ")
NOT_COMPARABLE = Decision("copy", "contents could not be compared")
EXISTS = Decision("skip", "exists")
OLDER = Decision("skip", "newer in the destination")
UNCHANGED = Decision("skip", "unchanged")
LOOK_AT_CONTENTS = Decision("look", "contents have to be compared")


@dataclass(frozen=True, slots=True)
class SyncRules:
    """What `sync` was told.

    ``exact_timestamps`` is for destinations that keep the times of their sources (a local directory); the
    caller leaves it False for others. ``keep_markers`` says that both sides can hold zero-byte keys that end
    in a slash; if not, such objects take no part on either side. ``max_delete`` None is no limit.

    Raises:
        ConfigError: Two of them contradict each other.
    """

    size_only: bool = False
    exact_timestamps: bool = False
    checksum: bool = False
    no_clobber: bool = False
    update: bool = False
    delete: bool = False
    max_delete: int | None = None
    keep_markers: bool = True

    def __post_init__(self) -> None:
        ways = {
            "--size-only": self.size_only,
            "--exact-timestamps": self.exact_timestamps,
            "--checksum": self.checksum,
        }
        chosen = [flag for flag, is_set in ways.items() if is_set]
        if len(chosen) > 1:
            raise ConfigError(f"{' and '.join(chosen)} contradict each other", hint=f"use {chosen[0]} alone")

    @property
    def trusts_listings(self) -> bool:
        """Whether `unchanged` may be asked before `decide`."""
        return not (self.checksum or self.exact_timestamps)


DEFAULT_RULES = SyncRules()
"""By size and time, nothing deleted."""


def decide(source: Item, destination: Item | None, rules: SyncRules = DEFAULT_RULES) -> Decision:
    """Decide on an object of the source and what has its place in the destination."""
    if destination is None:
        return MISSING
    if rules.no_clobber:
        return EXISTS
    ahead = source.modified // 1 - destination.modified // 1
    # What was not described (a manifest names what is not there) is neither older nor newer.
    if rules.update and ahead < 0 <= source.size:
        return OLDER
    if source.size != destination.size:
        return SIZES_DIFFER
    if rules.checksum:
        return LOOK_AT_CONTENTS
    return UNCHANGED if rules.size_only else _by_time(ahead, rules)


def _by_time(ahead: float, rules: SyncRules) -> Decision:
    if ahead > 0:
        return NEWER
    return TIMES_DIFFER if ahead and rules.exact_timestamps else UNCHANGED


def unchanged(source: ObjectInfo, destination: ObjectInfo) -> bool:
    """Say in no time whether a pair is certain to be left alone, where ``rules.trusts_listings``.

    False says nothing. Most pairs of most runs end here, before anything is made of them.
    """
    return source.size == destination.size and source.last_modified <= destination.last_modified


def same_content(one: Iterable[Checksum], other: Iterable[Checksum]) -> bool | None:
    """Compare like with like; None where nothing can be compared.

    Equal composite checksums are of equal contents, different ones may come from parts of other sizes.
    """
    known = {(each.algorithm, each.kind): each.value for each in one}
    verdict = None
    for each in other:
        value = known.get((each.algorithm, each.kind))
        if value is None:
            continue
        if value == each.value:
            verdict = True
        elif each.kind == "FULL_OBJECT":
            return False
    return verdict
