"""What all operations of a run share: stores, rules, choices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from haulyard.jobs.applying.copying import SKEW, Copying
from haulyard.jobs.applying.deeds import Markers
from haulyard.jobs.applying.wanted import Wishes
from haulyard.jobs.rules import Changes
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.events import Emit
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.jobs.ends import Ends
    from haulyard.jobs.rules import Rules
    from haulyard.jobs.specification import Specification


class Workshop:
    """The surroundings of every operation of a run.

    ``begun`` is when the first run of the job began, in POSIX seconds. ``shards`` are the paths of all of
    the job's shards.
    """

    def __init__(
        self,
        specification: Specification,
        rules: Rules | None,
        ends: Ends,
        options: ApplyOptions,
        emit: Emit,
        *,
        begun: float,
        shards: Sequence[str] = (),
    ) -> None:
        self.specification = specification
        self.verb = specification.verb
        self.ends = ends
        self.options = options
        self.wishes = Wishes(ends, rules, common_changes(specification))
        self.copying = Copying(
            ends, self.wishes, options, emit, begun=begun, is_planned=partial(_is_planned, shards)
        )
        self.markers = Markers(ends.source, begun - SKEW)
        self.since = begun - SKEW
        """From when on, in POSIX seconds, what is there may be of this job."""
        self.is_ordered = False
        """Whether the operations at hand are those whose order matters."""
        self.unfinished: set[str] = set()
        """Sources, among those whose order matters, that something else may not replace yet."""


def _is_planned(shards: Sequence[str], destination: str) -> bool:
    """Return whether a plan has an operation with this destination; asked rarely, for it reads all of it."""
    text = destination.replace("'", "''")
    for path in shards:
        with Shard.open(path, owner="", read_only=True) as shard:
            if any(shard.rows(where=f"destination = '{text}'")):
                return True
    return False


def common_changes(specification: Specification) -> Changes:
    """Return what the flags of a job change about every object."""
    from haulyard.models import Encryption

    given = dict(specification.properties)
    mode, kms = given.pop("sse", ""), given.pop("sse_kms_key_id", "")
    encryption = Encryption(mode, kms) if mode else None
    return Changes(**given, remove_tags=specification.remove_tags, encryption=encryption)
