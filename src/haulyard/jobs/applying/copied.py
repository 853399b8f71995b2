"""A copy that is there and verified, as the journal keeps it; and names beside names that are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.jobs.model import Operation


class LeftAlone(Exception):
    """The operation is not to be done, as was decided; the text says why."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A verified copy: where, what the store says of it, what it replaced.

    ``made`` is False where it was there before, or came from somebody else. ``in_place`` says that the object
    is its own copy, with other properties. ``replaced`` are ETag and version of what was there before.
    ``before`` are the properties of the source that the copy does not have, for who wants to put them back.
    """

    destination: str
    etag: str
    version: str
    size: int
    verified: str
    made: bool
    source_etag: str
    in_place: bool = False
    replaced: tuple[str, str] | None = None
    before: Mapping[str, Any] | None = None

    def details(self, operation: Operation, seconds: float) -> dict[str, Any]:
        """Return what the journal keeps of it; what is as planned is left out."""
        kept: dict[str, Any] = {
            "etag": self.etag,
            "version": self.version,
            "size": self.size,
            "verified": self.verified,
            "seconds": round(seconds, 4),
        }
        if self.source_etag != operation.etag:
            kept["source_etag"] = self.source_etag
        if self.destination != operation.destination:
            kept["destination"] = self.destination
        if self.in_place:
            kept["in_place"] = True
        if not self.made:
            kept["made"] = False
        if self.replaced is not None:
            kept["replaced"] = list(self.replaced)
        if self.before:
            kept["before"] = dict(self.before)
        return kept


def suffixed(key: str, number: int) -> str:
    """Return ``dir/name-NUMBER.ext``; the key itself for 0."""
    if not number:
        return key
    directory, slash, name = key.rpartition("/")
    stem, dot, extension = name.partition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    return f"{directory}{slash}{stem}-{number}{dot}{extension}"
