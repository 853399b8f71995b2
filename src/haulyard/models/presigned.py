"""What others may use without credentials of their own: URLs and forms that carry a signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PresignedUrl:
    """A request that whoever holds ``url`` may make until it expires; ``url`` never shows in ``repr``.

    ``headers`` are signed, too: they have to be sent with exactly these values. ``expires_at`` is in
    seconds since the epoch and takes the end of the credentials into account.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """A form for uploads: POST ``fields``, then the file as the field ``file``, to ``url``."""

    url: str
    fields: Mapping[str, str] = field(repr=False)
    expires_at: float
