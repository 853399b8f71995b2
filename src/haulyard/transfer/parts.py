"""Cutting an object into parts: pure arithmetic within the limits of S3 or of the store at hand.

Limits of S3 (user guide, "Amazon S3 multipart upload limits"): 10,000 parts of 5 MiB to 5 GiB, the last
may be smaller; hence objects of up to 48.8 TiB, and parts of 8 MiB end at 78 GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError, StoreError
from haulyard.models import ByteRange
from haulyard.stores.base import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1024**2

DEFAULT_PART_SIZE: Final = 8 * MIB
"""Bytes in a part where nobody asked for another size and the object is not too large for it."""

S3_LIMITS: Final = Capabilities()
"""The limits of S3 itself, which are the defaults of `Capabilities`."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """An object of ``size`` bytes in ``count`` parts of ``part_size`` bytes, the last one maybe smaller.

    An empty object is one empty part, since a multipart upload without a part cannot be completed.
    """

    size: int
    part_size: int
    count: int

    def range(self, number: int) -> ByteRange:
        """Return the bytes of part ``number``, counted from 1 as S3 does.

        Raises:
            IndexError: There is no such part.
        """
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        start = (number - 1) * self.part_size
        return ByteRange(start, min(start + self.part_size, self.size))


def ranges(plan: PartPlan) -> Iterator[ByteRange]:
    """Yield the bytes of each part in order: adjacent, without gap or overlap, from 0 to ``plan.size``."""
    return (plan.range(number) for number in range(1, plan.count + 1))


def check_part_size(part_size: int, limits: Capabilities = S3_LIMITS) -> None:
    """Accept ``part_size`` in bytes, or 0 for "choose one".

    Raises:
        ConfigError: No object could be cut that way; the message names the limit.
    """
    if not part_size:
        return
    if part_size < limits.min_part_size:
        raise ConfigError(
            f"a part size of {part_size} bytes is below the store's min_part_size of {limits.min_part_size}",
            hint=f"use --part-size {_in_mib(limits.min_part_size)} or more, or leave it out",
        )
    if part_size > limits.max_part_size:
        raise ConfigError(
            f"a part size of {part_size} bytes is above the store's max_part_size of {limits.max_part_size}",
            hint=f"use --part-size {limits.max_part_size // MIB}MiB or less, or leave it out",
        )


def plan_parts(
    size: int, part_size: int = 0, limits: Capabilities = S3_LIMITS, *, preferred: int = DEFAULT_PART_SIZE
) -> PartPlan:
    """Cut ``size`` bytes into parts.

    ``part_size`` is what somebody asked for and is kept to the byte. With 0 it is ``preferred`` (default
    8 MiB), scaled up in whole MiB until the object has at most ``limits.max_parts`` parts.

    Raises:
        ConfigError: ``part_size`` is outside the limits, or would need more than ``max_parts`` parts.
        StoreError: The object is too large for the store however it is cut.
    """
    if size < 0:
        raise ValueError(f"an object of {size} bytes")
    check_part_size(part_size, limits)
    least = _whole_mib(-(-size // limits.max_parts))
    chosen = part_size or min(max(preferred, limits.min_part_size, least), limits.max_part_size)
    plan = PartPlan(size, chosen, max(1, -(-size // chosen)))
    if plan.count <= limits.max_parts:
        return plan
    if size > limits.max_parts * limits.max_part_size:
        raise StoreError(
            f"an object of {size} bytes is larger than the store takes: "
            f"max_parts {limits.max_parts} of max_part_size {limits.max_part_size} bytes",
            operation="create_multipart",
            hint="split it into several objects",
        )
    raise ConfigError(
        f"a part size of {part_size} bytes would cut {size} bytes into {plan.count} parts, "
        f"above the store's max_parts of {limits.max_parts}",
        hint=f"use --part-size {_in_mib(least)} or more, or leave it out",
    )


def fits_one_put(size: int, part_size: int = 0, limits: Capabilities = S3_LIMITS) -> bool:
    """Say whether an object goes in one request: it is no larger than one part, and the store takes it.

    A store without multipart takes everything up to ``max_put_size`` in one.
    """
    if size > limits.max_put_size:
        return False
    return not limits.multipart or size <= (part_size or DEFAULT_PART_SIZE)


def _whole_mib(size: int) -> int:
    return -(-size // MIB) * MIB


def _in_mib(size: int) -> str:
    return f"{-(-size // MIB)}MiB"
